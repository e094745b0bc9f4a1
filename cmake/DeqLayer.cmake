# SPDX-License-Identifier: MIT
# How everything here is compiled, and how a layer of src/ is declared.
include_guard(GLOBAL)

# deq_instrument(target)
#
# Sanitizers and coverage, if they are asked for.
function(deq_instrument target)
  if(DEQ_SANITIZE)
    target_compile_options(${target} PRIVATE
      -fsanitize=${DEQ_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer
      $<$<C_COMPILER_ID:Clang,AppleClang>:-Wno-pass-failed>) # checks keep loops from being vectorised
    target_link_options(${target} PRIVATE -fsanitize=${DEQ_SANITIZE})
  endif()
  if(DEQ_COVERAGE)
    target_compile_options(${target} PRIVATE --coverage)
    target_link_options(${target} PRIVATE --coverage)
  endif()
endfunction()

# deq_compile_options(target)
#
# The flags of all our code.  Products and sums are not contracted, so that gcc, clang and the
# sanitizer builds compute the same numbers; tuned kernels (deq_isa_sources) turn that on again.
function(deq_compile_options target)
  set_target_properties(${target} PROPERTIES
    C_STANDARD 11
    C_STANDARD_REQUIRED ON
    C_EXTENSIONS OFF
    C_VISIBILITY_PRESET hidden
    POSITION_INDEPENDENT_CODE ON)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef
    -ffp-contract=off
    $<$<BOOL:${DEQ_WERROR}>:-Werror>)
  deq_instrument(${target})
endfunction()

# deq_object_library(target SOURCES ... [LIBRARIES ...])
#
# An object library whose objects go into libdeq.
function(deq_object_library target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBRARIES")
  add_library(${target} OBJECT ${arg_SOURCES})
  deq_compile_options(${target})
  target_include_directories(${target} PRIVATE
    ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(${target} PRIVATE OpenMP::OpenMP_C ${arg_LIBRARIES})
  set_property(GLOBAL APPEND PROPERTY DEQ_OBJECTS $<TARGET_OBJECTS:${target}>)
endfunction()

# deq_layer(name SOURCES a.c b.c ... [LIBRARIES ...])
#
# Declares the layer deq_<name>.  A layer without sources is no target yet.
function(deq_layer name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBRARIES")
  if(arg_SOURCES)
    deq_object_library(deq_${name} SOURCES ${arg_SOURCES} LIBRARIES ${arg_LIBRARIES})
  endif()
endfunction()

# deq_isa_sources(name kernels.c ...)
#
# Compiles each file once per instruction set level into the layer deq_<name>:
#
#   level      DEQ_ISA_SUFFIX   flags
#   baseline   _baseline        the compiler's default for the machine family
#   avx2       _avx2            AVX2, FMA, F16C
#   avx512     _avx512          AVX-512 F, BW, DQ, VL
#
# The files name their functions with the suffix.  The layer's other files (the dispatcher) see
# DEQ_HAVE_AVX2 and DEQ_HAVE_AVX512 as 0 or 1; other machine families have the baseline alone.
function(deq_isa_sources name)
  set(levels baseline)
  set(flags_baseline "")
  set(flags_avx2 -mavx2 -mfma -mf16c)
  set(flags_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c
    -mprefer-vector-width=512)
  # Vectors wider than the level's registers are passed between inlined functions only, and a debug
  # build may leave a loop as it is.
  set(quiet -Wno-psabi $<$<C_COMPILER_ID:Clang,AppleClang>:-Wno-pass-failed>)
  set(x86 0)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    set(x86 1)
    list(APPEND levels avx2 avx512)
  endif()
  foreach(level IN LISTS levels)
    set(target deq_${name}_${level})
    deq_object_library(${target} SOURCES ${ARGN})
    set_target_properties(${target} PROPERTIES C_EXTENSIONS ON)
    target_compile_definitions(${target} PRIVATE DEQ_ISA_SUFFIX=_${level})
    target_compile_options(${target} PRIVATE ${flags_${level}}
      $<$<NOT:$<CONFIG:Debug>>:-O3> -ffp-contract=fast -fno-math-errno -fno-trapping-math
      ${quiet})
  endforeach()
  target_compile_definitions(deq_${name} PRIVATE DEQ_HAVE_AVX2=${x86} DEQ_HAVE_AVX512=${x86})
endfunction()

# SPDX-License-Identifier: MIT
# Has the program write its manual pages and completions.
#
#   cmake -DDEQ=PROGRAM [-DEMULATOR=...] -DMANUALS=FOLDER -DCOMPLETIONS=FOLDER -P manuals.cmake

# What the libraries below keep until the end is no matter of the build.
set(ENV{ASAN_OPTIONS} "$ENV{ASAN_OPTIONS}:detect_leaks=0")

function(run_deq variable)
  execute_process(COMMAND ${EMULATOR} ${DEQ} ${ARGN} OUTPUT_VARIABLE text RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "deq ${ARGN}: exit code ${code}")
  endif()
  set(${variable} "${text}" PARENT_SCOPE)
endfunction()

function(write_page path) # file
  execute_process(COMMAND ${EMULATOR} ${DEQ} ${ARGN} OUTPUT_FILE ${path} RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "deq ${ARGN}: exit code ${code}")
  endif()
endfunction()

# Pages of commands that are no more should not be installed.
file(REMOVE_RECURSE ${MANUALS} ${COMPLETIONS})
file(MAKE_DIRECTORY ${MANUALS} ${COMPLETIONS})

write_page(${MANUALS}/deq.1 help --man)
run_deq(commands help --list)
string(REGEX REPLACE "\n$" "" commands "${commands}")
string(REPLACE "\n" ";" commands "${commands}")
foreach(command IN LISTS commands)
  string(REPLACE " " ";" words "${command}")
  string(REPLACE " " "-" name "${command}")
  write_page(${MANUALS}/deq-${name}.1 help --man ${words})
endforeach()

write_page(${COMPLETIONS}/deq completion bash)
write_page(${COMPLETIONS}/_deq completion zsh)
write_page(${COMPLETIONS}/deq.fish completion fish)

# SPDX-License-Identifier: MIT
# The framework of command lines, without any command: deq_cli.  The program is made of it, its tests
# and its fuzz target, which is also built where the program is not.
include_guard(GLOBAL)

set(framework
  argument bash command context faults fish interrupt json manual nearest parse progress shell table
  terminal text usage value zsh)
list(TRANSFORM framework REPLACE "(.+)" "${CMAKE_CURRENT_LIST_DIR}/\\1.c")
add_library(deq_cli STATIC ${framework})
deq_compile_options(deq_cli)
target_include_directories(deq_cli PUBLIC ${CMAKE_CURRENT_LIST_DIR})
target_link_libraries(deq_cli PUBLIC deq PkgConfig::jansson m)

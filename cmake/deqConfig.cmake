# SPDX-License-Identifier: MIT
# The CMake package of libdeq: deq::deq is the shared library, deq::deq_static the archive.
include(${CMAKE_CURRENT_LIST_DIR}/deqTargets.cmake)

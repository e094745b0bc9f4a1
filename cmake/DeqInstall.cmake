# SPDX-License-Identifier: MIT
# What `cmake --install` puts where: headers, both libraries, a CMake package and a pkg-config file.
include(CMakePackageConfigHelpers)

# A program that links libdeq.a has to name what the shared library brings along by itself.  Flags,
# not this machine's paths: the installed tree can then be moved and packaged.
set(static_needs -ldnnl -lzip -lpng -ljpeg -lz -ljansson -lyaml -fopenmp -lm)
target_link_libraries(deq_static INTERFACE "$<INSTALL_INTERFACE:${static_needs}>")

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/deq)
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(DIRECTORY include/deq DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(TARGETS deq deq_static EXPORT deqTargets)
install(EXPORT deqTargets NAMESPACE deq:: DESTINATION ${package_dir})

write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/deqConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES cmake/deqConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/deqConfigVersion.cmake
  DESTINATION ${package_dir})

# The .pc file finds its prefix from where it stands, so that the tree can be moved.
file(RELATIVE_PATH pc_prefix "/prefix/${pkgconfig_dir}" "/prefix")
string(REGEX REPLACE "/$" "" pc_prefix "${pc_prefix}")
list(JOIN static_needs " " pc_libs_private)
configure_file(cmake/deq.pc.in deq.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/deq.pc DESTINATION ${pkgconfig_dir})

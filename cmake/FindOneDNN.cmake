# SPDX-License-Identifier: MIT
# Finds oneDNN and makes the target OneDNN::OneDNN.  (Ubuntu 22.04 has 2.2, Debian 13 has 3.7.)
#
# oneDNN's own CMake package is not used: the distributions build it with the OpenCL run time, and
# it then demands OpenCL's headers of everyone, which the library's package only recommends.
find_path(OneDNN_INCLUDE_DIR dnnl.h)
find_library(OneDNN_LIBRARY NAMES dnnl)
mark_as_advanced(OneDNN_INCLUDE_DIR OneDNN_LIBRARY)

set(OneDNN_VERSION "")
foreach(header oneapi/dnnl/dnnl_version.h dnnl_version.h)
  if(NOT OneDNN_VERSION AND EXISTS "${OneDNN_INCLUDE_DIR}/${header}")
    file(STRINGS "${OneDNN_INCLUDE_DIR}/${header}" lines
      REGEX "^#define DNNL_VERSION_(MAJOR|MINOR|PATCH) +[0-9]+")
    string(REGEX REPLACE "[^0-9;]+" "" lines "${lines}")
    string(REPLACE ";" "." OneDNN_VERSION "${lines}")
  endif()
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OneDNN
  REQUIRED_VARS OneDNN_LIBRARY OneDNN_INCLUDE_DIR
  VERSION_VAR OneDNN_VERSION
  REASON_FAILURE_MESSAGE "install libdnnl-dev, or point OneDNN_ROOT at oneDNN")

if(OneDNN_FOUND AND NOT TARGET OneDNN::OneDNN)
  add_library(OneDNN::OneDNN UNKNOWN IMPORTED)
  set_target_properties(OneDNN::OneDNN PROPERTIES
    IMPORTED_LOCATION "${OneDNN_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${OneDNN_INCLUDE_DIR}")
endif()

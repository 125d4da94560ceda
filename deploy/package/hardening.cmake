# Debian's hardening flags (dpkg-buildflags, hardening=+all), and control-flow protection if the
# processor supports it. Not with sanitizers, which have their own checks; FORTIFY only with
# optimization. test/deploy/package.py checks the built program.
if(NMANAGER_SANITIZE)
  return()
endif()
include(CheckCXXCompilerFlag)
set(NMANAGER_FORTIFY 2)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 12)
  set(NMANAGER_FORTIFY 3)
endif()
target_compile_options(nmanager_flags INTERFACE
  -fPIE -fstack-protector-strong -fstack-clash-protection
  $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE>
  $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=${NMANAGER_FORTIFY}>)
check_cxx_compiler_flag(-fcf-protection NMANAGER_HAS_CET)           # x86
check_cxx_compiler_flag(-mbranch-protection=standard NMANAGER_HAS_BTI)  # arm64
if(NMANAGER_HAS_CET)
  target_compile_options(nmanager_flags INTERFACE -fcf-protection)
elseif(NMANAGER_HAS_BTI)
  target_compile_options(nmanager_flags INTERFACE -mbranch-protection=standard)
endif()
target_link_options(nmanager_flags INTERFACE -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
# The same program for every location of the source tree.
target_compile_options(nmanager_flags INTERFACE -ffile-prefix-map=${PROJECT_SOURCE_DIR}=.)

# What the program says of itself: NMANAGER_REVISION_NOW, NMANAGER_ARCH.

set(NMANAGER_REVISION "" CACHE STRING "The commit that is built; empty: asked of git, else \"unknown\"")

set(NMANAGER_REVISION_NOW "${NMANAGER_REVISION}")
# Of this checkout, not of one that a source package happens to be unpacked in.
if(NMANAGER_REVISION_NOW STREQUAL "" AND EXISTS "${PROJECT_SOURCE_DIR}/.git")
  execute_process(COMMAND git -C "${PROJECT_SOURCE_DIR}" rev-parse HEAD
    OUTPUT_VARIABLE NMANAGER_REVISION_NOW OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  # Each commit and each checkout adds a line there: asked again.
  execute_process(COMMAND git -C "${PROJECT_SOURCE_DIR}" rev-parse --path-format=absolute --git-path logs/HEAD
    OUTPUT_VARIABLE head_log OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(EXISTS "${head_log}")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${head_log}")
  endif()
endif()
string(SUBSTRING "${NMANAGER_REVISION_NOW}" 0 12 NMANAGER_REVISION_NOW)
if(NMANAGER_REVISION_NOW STREQUAL "")
  set(NMANAGER_REVISION_NOW "unknown")
endif()

# By Go's names, as Kubernetes' own clients have it.
set(NMANAGER_ARCH ${CMAKE_SYSTEM_PROCESSOR})
if(NMANAGER_ARCH STREQUAL "x86_64")
  set(NMANAGER_ARCH amd64)
elseif(NMANAGER_ARCH STREQUAL "aarch64")
  set(NMANAGER_ARCH arm64)
endif()

// Whether a sanitizer watches: its shadow and quarantine count as memory of the process, too.
#pragma once

namespace nmanager::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

}  // namespace nmanager::test

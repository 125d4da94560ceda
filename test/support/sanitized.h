// Whether a sanitizer is active: its shadow memory and quarantine also count as memory of the
// process.
#pragma once

namespace nmanager::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

}  // namespace nmanager::test

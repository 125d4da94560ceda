// Whether a sanitizer watches: its shadow and quarantine count as memory of the process, too, and
// it is five times as slow.
#pragma once

namespace nmanager::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)  // g++
constexpr bool kSanitized = true;
#elif defined(__has_feature)  // clang
constexpr bool kSanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

/// Random cases: whether the results are right is shown by the plain build.
constexpr int random_cases(int plain) {
  return kSanitized ? plain / 5 : plain;
}

}  // namespace nmanager::test

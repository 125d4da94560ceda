// Steps of the code that is compiled to be counted.
#pragma once

#include <cstdint>

namespace nmanager::test {

/// So many since the start.
[[nodiscard]] std::uint64_t steps();

template <class Work>
[[nodiscard]] std::uint64_t steps_of(Work&& work) {
  const std::uint64_t before = steps();
  work();
  return steps() - before;
}

}  // namespace nmanager::test

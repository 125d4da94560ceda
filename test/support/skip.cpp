#include "test/support/skip.h"

#include <atomic>
#include <iostream>

namespace nmanager::test {

namespace {

std::atomic<bool> skipped{false};

}  // namespace

void skip(std::string_view reason) {
  skipped = true;
  std::cout << "skipped: " << reason << '\n';
}

bool take_skipped() {
  return skipped.exchange(false);
}

}  // namespace nmanager::test

// Large values are freed elsewhere.
#include "plugin/run/disposal.h"

#include <doctest/doctest.h>

#include <optional>
#include <thread>

namespace nmanager::run {
namespace {

std::shared_ptr<const void> noting(std::vector<std::thread::id>& freed_by) {
  return {new int(1), [&freed_by](const int* value) {
            freed_by.push_back(std::this_thread::get_id());
            delete value;
          }};
}

}  // namespace

TEST_CASE("values are freed on another thread, all of them before the end") {
  std::vector<std::thread::id> freed_by;
  std::optional<Disposal> disposal(std::in_place);
  for (int i = 0; i < 10; ++i) disposal->take(noting(freed_by));
  disposal->take(nullptr);
  disposal.reset();
  REQUIRE(freed_by.size() == 10);
  for (const std::thread::id& one : freed_by) CHECK(one != std::this_thread::get_id());
}

}  // namespace nmanager::run

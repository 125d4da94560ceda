#include "plugin/api/exchange.h"

#include <doctest/doctest.h>

namespace nmanager::test {
using namespace nmanager::api;

namespace {
std::chrono::steady_clock::time_point now() {
  return std::chrono::steady_clock::now();
}
}  // namespace

TEST_CASE("an exchange is released by the library's last call alone, and keeps its first error") {
  Exchange exchange;
  exchange.on_received(Exchange::kMaxHead + 1);
  CHECK(exchange.wait(now()) == Exchange::Event::kEnd);
  CHECK(exchange.too_much());
  const std::string first = exchange.end_error().value().message;
  exchange.stop();
  CHECK_FALSE(exchange.wait_released(now()));
  exchange.on_end(Error{ErrorKind::kUnavailable, "cancelled"});
  CHECK(exchange.wait_released(now()));
  CHECK(exchange.end_error().value().message == first);
}

}  // namespace nmanager::test

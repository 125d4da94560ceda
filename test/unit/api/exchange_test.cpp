#include "plugin/api/exchange.h"

#include <doctest/doctest.h>

#include "plugin/api/session.h"
#include "test/unit/api/follower.h"

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

TEST_CASE("a session that is stopped before its request does not wait for the library") {
  start_library_once();
  ApiServer server;
  const auto start = now();
  {
    ApiSession session(access_to(server), {});
    const auto list = [&] {
      ServicesListed listed;
      const auto ignore = [](const services::Undecodable&) {};
      return session.list({NextStep::What::kCachedList}, listed, ignore).kind;
    };
    CHECK(list() == Ending::Kind::kDone);
    session.stop();
    CHECK(list() == Ending::Kind::kStopped);
  }
  CHECK(now() - start < std::chrono::seconds(30));  // close() waits up to 60 s
  CHECK(server.requests().size() == 1);
}

}  // namespace nmanager::test

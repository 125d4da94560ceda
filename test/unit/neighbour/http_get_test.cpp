// The HTTP client against servers that are slow or silent or send wrong or huge responses, over
// real loopback sockets.
#include "plugin/neighbour/http_get.h"

#include <doctest/doctest.h>

#include <chrono>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "test/unit/neighbour/scripted_server.h"

namespace nmanager {
using namespace nmanager::neighbour;
namespace {

using std::chrono::milliseconds;
using test::Reply;
using test::ScriptedServer;
using Clock = std::chrono::steady_clock;

constexpr HttpLimits kShort{milliseconds(300),
                            std::size_t{4} << 20};  // for servers that never answer
constexpr HttpLimits kLong{milliseconds(30'000), std::size_t{4} << 20};

TEST_CASE("a response") {
  struct Case {
    Reply reply;
    std::string body;
  };
  const std::vector<Case> cases{
      {test::ok("ipvs"), "ipvs"},
      {test::ok(""), ""},
      {{"HTTP/1.1 200 OK\r\n\r\nuntil the end"}, "until the end"},
      {{"HTTP/1.0 200 Fine\r\nContent-Length: 2\r\n\r\nok"}, "ok"},
      {{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"},
       "abcde"},
  };
  for (const Case& one : cases) {
    const ScriptedServer server([&](std::string_view) { return one.reply; });
    const auto body = http_get(server.endpoint(), "/proxyMode", kLong);
    REQUIRE_MESSAGE(body.ok(), body.error().message);
    CHECK(*body == one.body);
  }
}

TEST_CASE("the path is requested, over both families") {
  for (const Family family : kFamilies) {
    const ScriptedServer server([](std::string_view path) { return test::ok(std::string(path)); },
                                family);
    const auto body = http_get(server.endpoint(), "/some/path", kLong);
    REQUIRE_MESSAGE(body.ok(), body.error().message);
    CHECK(*body == "/some/path");
  }
}

TEST_CASE("every failure gives one line that names the address, in time") {
  struct Case {
    std::string name;
    Reply reply;
    ErrorKind kind;
    std::string named;
  };
  const std::string head = "HTTP/1.1 200 OK\r\n";
  const std::vector<Case> cases{
      {"silence", {"", 1, true}, ErrorKind::kUnavailable, "no response within 300 ms"},
      {"closed at once", {""}, ErrorKind::kUnavailable, "closed before"},
      {"half a head", {"HTTP/1.1 20", 1, true}, ErrorKind::kUnavailable, "no response within"},
      {"half a body",
       {head + "Content-Length: 9\r\n\r\nipvs", 1, true},
       ErrorKind::kUnavailable,
       "no response within"},
      {"cut body",
       {head + "Content-Length: 9\r\n\r\nipvs"},
       ErrorKind::kUnavailable,
       "closed before"},
      {"one byte at a time",
       {head + std::string(1000, 'x'), 1, false, true},
       ErrorKind::kUnavailable,
       "no response within"},
      {"garbage", {"\x16\x03\x01\x02\x00\x01", 100}, ErrorKind::kBadInput, "not an HTTP response"},
      {"unbounded garbage", {std::string(1024, 'g'), 10'000}, ErrorKind::kBadInput, ""},
      {"an unbounded head", {head + "X-A: b\r\n", 1, true}, ErrorKind::kUnavailable, ""},
      {"a huge head", {head + "X-Huge: " + std::string(1 << 20, 'h')}, ErrorKind::kBadInput, ""},
      {"10 MB announced",
       {head + "Content-Length: 10000000\r\n\r\n"},
       ErrorKind::kBadInput,
       "larger than 4194304 bytes"},
      {"8 MB announced and sent", test::ok(std::string(8 << 20, 'i')), ErrorKind::kBadInput,
       "larger than 4194304 bytes"},
      {"8 MB in one chunk",
       {head + "Transfer-Encoding: chunked\r\n\r\n800000\r\n" + std::string(8 << 20, 'c')},
       ErrorKind::kBadInput,
       "larger than 4194304 bytes"},
      {"10 MB sent",
       {head + "\r\n" + std::string(1 << 20, 'b'), 10},
       ErrorKind::kBadInput,
       "larger than 4194304 bytes"},
      {"a length that overflows",
       {head + "Content-Length: 99999999999999999999\r\n\r\n"},
       ErrorKind::kBadInput,
       ""},
      {"404",
       {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"},
       ErrorKind::kBadInput,
       "HTTP status 404"},
      {"500",
       {"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nipvs"},
       ErrorKind::kBadInput,
       "HTTP status 500"},
      {"a redirect",
       {"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n"},
       ErrorKind::kBadInput,
       "HTTP status 302"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.name);
    const ScriptedServer server([&](std::string_view) { return one.reply; });
    const bool silent = one.named.find("no response") != std::string::npos;
    const auto body = http_get(server.endpoint(), "/proxyMode", silent ? kShort : kLong);
    REQUIRE_FALSE(body.ok());
    const std::string& message = body.error().message;
    CHECK_MESSAGE(body.error().kind == one.kind, message);
    CHECK_MESSAGE(message.find(one.named) != std::string::npos, message);
    CHECK_MESSAGE(message.starts_with("http://" + to_string(server.endpoint()) + "/proxyMode: "),
                  message);
    CHECK(message.find('\n') == std::string::npos);
    CHECK(message.size() < 200);
  }
}

TEST_CASE("connection refused") {
  const auto body = http_get(test::closed_port(), "/", kShort);
  REQUIRE_FALSE(body.ok());
  CHECK(body.error().kind == ErrorKind::kUnavailable);
  CHECK(body.error().message.find("refused") != std::string::npos);
}

TEST_CASE("a stop ends it at once, before and while it waits") {
  const ScriptedServer server([](std::string_view) { return Reply{"", 1, true, false}; });
  const HttpLimits patient{std::chrono::seconds(60), 100};
  std::stop_source early;
  early.request_stop();
  CHECK_FALSE(http_get(server.endpoint(), "/", patient, early.get_token()).ok());

  std::stop_source late;
  const auto begin = Clock::now();
  std::thread stopper([&] {
    while (server.requests() == 0) std::this_thread::yield();
    late.request_stop();
  });
  const auto body = http_get(server.endpoint(), "/", patient, late.get_token());
  stopper.join();
  REQUIRE_FALSE(body.ok());
  CHECK(body.error().message.find("stopped") != std::string::npos);
  CHECK(Clock::now() - begin < std::chrono::seconds(10));
}

}  // namespace
}  // namespace nmanager

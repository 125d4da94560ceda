// Observed behaviour of API servers and of proxies in front of them.
#include <doctest/doctest.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <thread>

#include "plugin/api/resolve.h"
#include "test/api_server/api_server.h"
#include "test/api_server/endless.h"
#include "test/support/command.h"
#include "test/support/net_namespace.h"
#include "test/support/sanitized.h"
#include "test/unit/api/follower.h"

namespace nmanager::test {
using namespace nmanager::api;
namespace {

using Known = Follower::Known;
using On = Fault::On;
using Kind = Fault::Kind;
using Then = Fault::Then;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

std::string error_event(int code, const std::string& message) {
  return R"({"type":"ERROR","object":{"kind":"Status","code":)" + std::to_string(code) +
         R"(,"message":")" + message + "\"}}\n";
}

}  // namespace

TEST_CASE("every watch is refused: lists continue with delays, each refusal is counted (A1)") {
  start_library_once();
  struct Case {
    Fault fault;
    const char* counted;
  };
  for (const Case& c :
       {Case{{.kind = Kind::kStatus,
       .status = 504,
       .body = R"({"kind":"Status","code":504,"message":"Too large resource version: 9"})"},
             "too_large_version"},
        Case{{.kind = Kind::kStatus, .status = 500}, "refused"},
        Case{{.kind = Kind::kStatus, .status = 403}, "forbidden"},
        Case{{.kind = Kind::kStream, .body = error_event(500, "etcd is gone")}, "refused"},
        Case{{.kind = Kind::kStream, .body = error_event(410, "too old")}, "expired"}}) {
    CAPTURE(std::string(c.counted));
    ApiServer server({.streaming = Streaming::kUnprocessable});
    Fault fault = c.fault;
    fault.on = On::kWatch;
    fault.times = 0;
    server.fail_next(fault);
    Follower follower;
    const auto client = client_of(access_to(server), impatient());
    client->start(follower.sink());
    REQUIRE(follower.wait_for([](const Known& known) { return known.lists == 1; }));
    server.services().put(service_json("new", "192.0.2.1"));  // no watch reports it
    CHECK(follower.wait_for([&](const Known& known) {
      return known.services.contains("default/new") && known.api.errors_by_kind.contains(c.counted);
    }));
    CHECK(follower.known().delays.front() >= milliseconds(200));
    CHECK(follower.known().api.last_word.has_value());
  }
}

TEST_CASE("no listener: the watch continues from its version, without a list (A1)") {
  start_library_once();
  ApiServer server({.streaming = Streaming::kUnprocessable});
  server.fail_next({.kind = Kind::kStatus, .on = On::kWatch, .status = 429, .times = 2});
  Follower follower;
  const auto client = client_of(access_to(server), impatient());
  client->start(follower.sink());
  CHECK(follower.wait_for([](const Known& known) {
    return known.api.phase == ApiState::Phase::kWatching && known.api.errors == 2;
  }));
  CHECK(follower.known().lists == 1);
}

TEST_CASE("a watch that is permanently silent after etcd was rewound (A2)") {
  start_library_once();
  for (const Streaming streaming : {Streaming::kYes, Streaming::kUnprocessable}) {
    ApiServer server({.bookmarks = milliseconds(50), .streaming = streaming});
    for (int i = 0; i < 20; ++i) server.services().put(service_json("a", "192.0.2.1"));
    Follower follower;
    const auto client = client_of(access_to(server), impatient());
    client->start(follower.sink());
    REQUIRE(follower.wait_for([](const Known& known) { return known.api.bookmarks > 0; }));
    server.services().rewind(3);
    server.services().put(service_json("b", "192.0.2.2"));
    CHECK(
        follower.wait_for([](const Known& known) { return known.services.contains("default/b"); }));
    CHECK(follower.known().api.errors_by_kind.contains("silent"));
  }
}

TEST_CASE("the second page is too old each time: one whole list (A4)") {
  start_library_once();
  ApiServer server({.streaming = Streaming::kUnprocessable, .watch_cache = false});
  for (int i = 0; i < 501; ++i) {
    server.services().put(service_json("s" + std::to_string(i), "192.0.2.1"));
  }
  server.fail_next({.kind = Kind::kStatus, .on = On::kPage, .status = 410, .times = 0});
  Follower follower;
  const auto client = client_of(access_to(server), impatient());
  client->start(follower.sink());
  CHECK(follower.wait_for([](const Known& known) { return known.services.size() == 501; }));
  CHECK(follower.known().errors.size() == 1);
}

TEST_CASE("a server without streaming lists is detected") {
  start_library_once();
  for (const Streaming streaming : {Streaming::kUnprocessable, Streaming::kBadRequest,
                                    Streaming::kErrorEvent, Streaming::kIgnored}) {
    CAPTURE(static_cast<int>(streaming));
    ApiServer server({.streaming = streaming});
    server.services().put(service_json("a", "192.0.2.1"));
    Follower follower;
    ApiClientOptions options = impatient();
    options.watch_silence = seconds(60);
    const auto client = client_of(access_to(server), options);
    client->start(follower.sink());
    REQUIRE(follower.wait_for(
        [](const Known& known) { return known.api.phase == ApiState::Phase::kWatching; }));
    CHECK(follower.known().errors.empty());  // not an error
    server.fail_next({.kind = Kind::kStatus, .on = On::kWatch, .status = 500});
    server.end_watches();
    REQUIRE(follower.wait_for([](const Known& known) { return known.lists == 2; }));
    const auto requests = server.requests();
    CHECK(std::ranges::count_if(requests, &SeenRequest::is_stream_list) == 1);  // remembered
    CHECK(std::ranges::all_of(requests, [](const SeenRequest& seen) {
      return !seen.is_list() || seen.is_stream_list() || seen.has("resourceVersion=0");
    }));
  }
}

TEST_CASE("a server without streaming lists that is never silent is detected") {
  start_library_once();
  ApiServer server({.bookmarks = milliseconds(20), .streaming = Streaming::kIgnored});
  server.services().put(service_json("a", "192.0.2.1"));
  Follower follower;
  const auto client = client_of(access_to(server));
  client->start(follower.sink());
  CHECK(follower.wait_for([](const Known& known) { return known.lists == 1; }));
  CHECK(follower.known().errors.empty());
}

TEST_CASE("a healthy server gets one list request, which becomes the watch") {
  start_library_once();
  ApiServer server({.bookmarks = milliseconds(30)});
  Follower follower;
  ApiClientOptions options;
  options.node_name = "node-a";
  options.user_agent = "a name/1";
  const auto client = client_of(access_to(server), options);
  client->start(follower.sink());
  REQUIRE(follower.wait_for([](const Known& known) { return known.api.bookmarks > 3; }));
  const auto requests = server.requests();
  CHECK(std::ranges::count_if(requests, &SeenRequest::is_services) == 1);
  for (const SeenRequest& seen : requests) {
    CHECK(seen.user_agent == "a name/1");  // A15
    CHECK(seen.host == server.url().substr(7));
  }
  CHECK(follower.known().api.streamed_lists == 1);
}

TEST_CASE("a role that forbids Nodes is asked once (A15)") {
  start_library_once();
  ApiServer server({.streaming = Streaming::kUnprocessable});
  server.fail_next({.kind = Kind::kStatus, .on = On::kWatch, .status = 500, .times = 2});
  server.set_nodes_status(403);
  Follower follower;
  ApiClientOptions options;
  options.node_name = "node-a";
  const auto client = client_of(access_to(server), options);
  client->start(follower.sink());
  REQUIRE(follower.wait_for([](const Known& known) {
    return known.lists == 3 && known.api.phase == ApiState::Phase::kWatching;
  }));
  CHECK(std::ranges::count_if(server.requests(),
                              [](const auto& seen) { return !seen.is_services(); }) == 1);
}

TEST_CASE("a redirect is not followed but reported (A8)") {
  start_library_once();
  ApiServer other;
  ApiServer server({.token = "secret"});
  server.fail_next({.kind = Kind::kStatus,
                    .status = 307,
                    .headers = "Location: " + other.url() + "/api/v1/services?x\r\n",
                    .times = 0});
  ApiAccess access = access_to(server);
  access.token = "secret";
  Follower follower;
  const auto client = client_of(access, impatient());
  client->start(follower.sink());
  REQUIRE(follower.wait_for([](const Known& known) { return known.errors.size() >= 2; }));
  CHECK(other.requests().empty());
  const std::string told = follower.known().errors.front();
  CHECK_MESSAGE(told.find("never followed") != std::string::npos, told);
  CHECK_MESSAGE(told.find(other.url().substr(7)) != std::string::npos, told);
}

TEST_CASE("a proxy that sends bodies without chunking: events at once (A13)") {
  start_library_once();
  for (const Streaming streaming : {Streaming::kYes, Streaming::kUnprocessable}) {
    ApiServer server({.streaming = streaming, .chunking = false});
    Follower follower;
    const auto client = client_of(access_to(server));
    client->start(follower.sink());
    REQUIRE(follower.wait_for(
        [](const Known& known) { return known.api.phase == ApiState::Phase::kWatching; }));
    server.services().put(service_json("a", "192.0.2.1"));
    CHECK(
        follower.wait_for([](const Known& known) { return known.services.contains("default/a"); }));
    CHECK(follower.known().errors.empty());
  }
}

TEST_CASE("watches that fail after some events do not make lists frequent (A16)") {
  start_library_once();
  const std::string bookmark =
      R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"1"}}})"
      "\n";
  for (const std::string& end : {std::string("garbage\n"), error_event(410, "too old")}) {
    ApiServer server({.streaming = Streaming::kUnprocessable});
    server.fail_next({.kind = Kind::kStream, .on = On::kWatch, .body = bookmark + end, .times = 0});
    Follower follower;
    const auto client = client_of(access_to(server));
    client->start(follower.sink());
    REQUIRE(follower.wait_for([](const Known& known) { return known.lists == 4; }));
    std::vector<Clock::time_point> at;
    for (const auto& seen : server.requests()) {
      if (seen.is_list() && !seen.is_stream_list()) at.push_back(seen.at);
    }
    REQUIRE(at.size() == 4);
    for (std::size_t i = 1; i < at.size(); ++i) {  // at least a quarter of 800, 1600, 3200 ms
      CHECK(at[i] - at[i - 1] >= milliseconds(200) * (1 << (i - 1)));
    }
  }
}

namespace {

/// For the calling thread: one interface with an address of one family, and loopback with both.
void one_family(Family family) {
  must("ip link set lo up && ip link add v0 type veth peer name v1");
  if (family == Family::kIpv4) {
    must("echo 1 > /proc/sys/net/ipv6/conf/v0/disable_ipv6");
    must("echo 1 > /proc/sys/net/ipv6/conf/v1/disable_ipv6");
    must("ip addr add 192.0.2.1/24 dev v0");
  } else {
    must("ip -6 addr add fd00:aa::1/64 dev v0 nodad");
  }
  must("ip link set v0 up && ip link set v1 up");
}

}  // namespace

TEST_CASE("loopback is reachable with any families of the interfaces (A9)") {
  start_library_once();
  struct Case {
    Family node;
    const char* listen;
    const char* host;
  };
  for (const Case& c : {Case{Family::kIpv4, "::1", "[::1]"},
                        {Family::kIpv4, "::1", "localhost"},
                        {Family::kIpv6, "127.0.0.1", "127.0.0.1"},
                        {Family::kIpv6, "127.0.0.1", "localhost"}}) {
    CAPTURE(std::string(c.host));
    std::thread([&] {
      const NetNamespace apart;
      if (!apart.usable()) return;
      one_family(c.node);
      ApiServer server({.host = c.listen});
      server.services().put(service_json("a", "192.0.2.1"));
      ApiAccess access;
      access.server = "http://" + std::string(c.host) + ":" + std::to_string(server.port());
      // The HTTP library's own threads, which connect, are in the namespace of the process.
      const auto lookup = Lookup::start(c.host[0] == '[' ? "::1" : c.host);
      const auto found = lookup->wait(Clock::now() + seconds(10));
      REQUIRE(found);
      REQUIRE(found->ok());
      CHECK(std::ranges::find(**found, *Address::parse(c.listen)) != (*found)->end());
      addrinfo hints{};
      hints.ai_flags = AI_ADDRCONFIG;  // as the library does
      addrinfo* first = nullptr;
      CHECK(::getaddrinfo(c.listen, "443", &hints, &first) == 0);
      if (first != nullptr) ::freeaddrinfo(first);
    }).join();
  }
}

TEST_CASE("a name whose DNS hangs delays neither the end nor the next client (A18)") {
  start_library_once();
  std::thread([] {
    const NetNamespace apart;
    if (!apart.usable()) return;
    // The name server of resolv.conf is this socket, which never answers.
    must(
        "ip link set lo up; for ns in $(awk '/^nameserver/ {print $2}' /etc/resolv.conf); do "
        "ip addr add $ns dev lo; done");
    const int silent = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(53);
    REQUIRE(::bind(silent, reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0);
    ApiServer server;
    ApiAccess access;
    access.server = "http://api.hanging.example:" + std::to_string(server.port());
    auto hanging = client_of(access);
    std::atomic<int> late{0};
    std::atomic<bool> stopped{false};
    hanging->start([&](const ApiEvent&) { late += stopped ? 1 : 0; });
    std::array<char, 512> question{};
    REQUIRE(::recv(silent, question.data(), question.size(), 0) > 0);  // it got a query
    const auto start = Clock::now();
    hanging.reset();
    stopped = true;
    CHECK(Clock::now() - start < seconds(5));  // the resolver's first retry
    const auto lookup = Lookup::start("127.0.0.1");
    const auto found = lookup->wait(Clock::now());  // at once
    REQUIRE(found);
    CHECK(found->ok());
    CHECK(late == 0);
    ::close(silent);
  }).join();
}

TEST_CASE("addresses of one name are tried one after another") {
  start_library_once();
  ApiServer server({.host = "127.0.0.1"});  // no listener on ::1
  server.services().put(service_json("a", "192.0.2.1"));
  ApiAccess access;
  access.server = "http://localhost:" + std::to_string(server.port());
  Follower follower;
  const auto client = client_of(access);
  client->start(follower.sink());
  CHECK(follower.wait_for([](const Known& known) { return known.services.size() == 1; }));
  CHECK(follower.known().errors.empty());
  CHECK(server.requests().front().host == access.server.substr(7));
}

TEST_CASE("unbounded answers are refused with a reason and release their memory (A17)") {
  start_library_once();
  const PemPair authority = make_authority("authority");
  for (const EndlessAnswer& answer : endless_answers()) {
    CAPTURE(std::string(answer.name));
    ApiServer server(
        {.tls = true,
         .certificate = make_certificate(authority, "x", {"127.0.0.1"}),
         .streaming = answer.fault.on == On::kPlain ? Streaming::kUnprocessable : Streaming::kYes});
    server.fail_next(answer.fault);
    ApiAccess access = access_to(server);
    access.ca.data = authority.certificate;
    Follower follower;
    const auto client = client_of(access);
    client->start(follower.sink());
    REQUIRE(follower.wait_for([](const Known& known) { return !known.errors.empty(); }));
    CHECK_MESSAGE(follower.known().errors.front().find(answer.told) != std::string::npos,
                  follower.known().errors.front());
    CHECK(follower.known().undecodable.size() <= 1'001);
    CHECK(follower.wait_for([](const Known& known) { return known.lists == 1; }));
  }
}

}  // namespace nmanager::test

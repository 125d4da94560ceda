// List and watch: the client's Services equal the server's, whatever faults occur.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iterator>
#include <mutex>
#include <thread>

#include "test/api_server/api_server.h"
#include "test/unit/api/follower.h"

namespace nmanager::test {
using namespace nmanager::api;
namespace {

using Known = Follower::Known;
using On = Fault::On;
using Kind = Fault::Kind;
using Then = Fault::Then;

std::vector<std::string> keys_of(const ServiceLog& log) {
  std::vector<std::string> keys;
  std::string after;
  do {
    const LogPage page = log.page(after, 1, true);
    after = page.next;
    for (const auto& item : page.items) {
      const auto name = item.find("\"name\":\"") + 8;
      keys.push_back("default/" + item.substr(name, item.find('"', name) - name));
    }
  } while (!after.empty());
  return keys;
}

bool same_services(const Known& known, const ServiceLog& log) {
  const auto keys = keys_of(log);
  return std::ranges::equal(known.services, keys, {},
                            [](const auto& entry) { return entry.first; });
}

std::string address_of(const Known& known, const std::string& key) {
  const auto found = known.services.find(key);
  if (found == known.services.end() || found->second.ingress.empty()) return "";
  return to_string(found->second.ingress.front().ip);
}

void fill(ServiceLog& log, int count) {
  for (int i = 0; i < count; ++i) {
    log.put(service_json("s" + std::to_string(100 + i), "192.0.2." + std::to_string(i + 1)));
  }
}

}  // namespace

TEST_CASE("pages, then a watch from where the list ended") {
  start_library_once();
  ApiServer server({.page_limit = 3, .streaming = Streaming::kUnprocessable, .watch_cache = false});
  fill(server.services(), 8);
  server.services().put(service_json("hidden", "192.0.2.99",
                                     R"({"service.kubernetes.io/service-proxy-name":"other"})"));
  Follower follower;
  const auto client = client_of(access_to(server));
  client->start(follower.sink());
  REQUIRE(follower.wait_for([&](const Known& known) { return known.services.size() == 8; }));
  CHECK_FALSE(follower.known().services.contains("default/hidden"));
  REQUIRE(follower.wait_for(
      [](const Known& known) { return known.api.phase == ApiState::Phase::kWatching; }));

  const auto requests = server.requests();
  REQUIRE(requests.size() == 5);  // a streaming list, refused; three pages and the watch
  CHECK(requests[0].is_stream_list());
  CHECK(requests[1].has("resourceVersion=0"));
  CHECK(requests[2].has("continue=default%2Fs102"));
  CHECK(requests[4].is_watch());
  CHECK(requests[4].has("allowWatchBookmarks=true"));
  CHECK(requests[4].has("resourceVersion=10"));

  server.services().put(service_json("s100", "198.51.100.7"));
  server.services().remove("default/s101");
  server.services().put(service_json("hidden", "192.0.2.99"));
  server.services().put(
      service_json("s102", "192.0.2.3", R"({"service.kubernetes.io/headless":""})"));
  REQUIRE(follower.wait_for([&](const Known& known) {
    return address_of(known, "default/s100") == "198.51.100.7" &&
           same_services(known, server.services());
  }));
  CHECK(follower.known().services.size() == 7);  // hidden was added; s101 and s102 are gone
  CHECK(follower.known().lists == 1);
}

TEST_CASE("an event may arrive in pieces of any size") {
  start_library_once();
  for (const std::size_t chunk : {1UL, 7UL, 100UL, 1000UL}) {
    CAPTURE(chunk);
    ApiServer server({.chunk = chunk});
    Follower follower;
    const auto client = client_of(access_to(server));
    client->start(follower.sink());
    REQUIRE(follower.wait_for([](const Known& known) { return known.lists == 1; }));
    fill(server.services(), 20);
    CHECK(follower.wait_for(
        [&](const Known& known) { return same_services(known, server.services()); }));
    CHECK(follower.known().errors.empty());
  }
}

TEST_CASE("every recorded object and event is reported") {
  start_library_once();
  const std::string folder = std::string(NMANAGER_SOURCE_DIR) + "/test/fixtures/api/";
  ApiServer server;
  std::ifstream created(folder + "watch.ndjson");
  REQUIRE(created.good());
  Follower follower;
  const auto client = client_of(access_to(server));
  client->start(follower.sink());
  REQUIRE(follower.wait_for([](const Known& known) { return known.lists == 1; }));
  int lines = 0;
  for (std::string line; std::getline(created, line); ++lines) server.services().replay(line);
  REQUIRE(lines > 5);
  CHECK(follower.wait_for(
      [&](const Known& known) { return same_services(known, server.services()); }));
  CHECK(follower.known().undecodable.empty());
  CHECK(follower.known().api.events > 3);
}

TEST_CASE("a watch that ended continues from its last version, including bookmarks") {
  start_library_once();
  ApiServer server({.bookmarks = std::chrono::milliseconds(30)});
  fill(server.services(), 2);
  Follower follower;
  const auto client = client_of(access_to(server));
  client->start(follower.sink());
  REQUIRE(follower.wait_for([](const Known& known) { return known.lists == 1; }));
  server.services().put(service_json("unseen", "192.0.2.9",
                                     R"({"service.kubernetes.io/service-proxy-name":"other"})"));
  const auto marks = follower.known().api.bookmarks;
  REQUIRE(follower.wait_for([&](const Known& known) { return known.api.bookmarks > marks + 1; }));
  server.end_watches();
  REQUIRE(follower.wait_for([](const Known& known) { return known.api.watches == 2; }));
  server.services().put(service_json("later", "192.0.2.50"));
  CHECK(follower.wait_for(
      [&](const Known& known) { return known.services.contains("default/later"); }));
  CHECK(follower.known().lists == 1);
  CHECK(follower.known().errors.empty());
  const auto requests = server.requests();
  CHECK(requests.back().target.find("resourceVersion=4") != std::string::npos);  // by the bookmark
}

TEST_CASE("a version that is too old: a list, which shows deletions") {
  start_library_once();
  ApiServer server;
  fill(server.services(), 3);
  Follower follower;
  const auto client = client_of(access_to(server));
  client->start(follower.sink());
  REQUIRE(follower.wait_for([](const Known& known) { return known.services.size() == 3; }));
  server.fail_next({.kind = Kind::kClose, .on = On::kWatch});
  server.drop_connections(true);
  server.services().remove("default/s101");
  server.services().compact();
  CHECK(follower.wait_for(
      [](const Known& known) { return known.lists == 2 && known.services.size() == 2; }));
  CHECK(follower.wait_for([](const Known& known) { return known.api.relists == 1; }));
}

TEST_CASE("each fault ends in the right state, without a busy loop") {
  start_library_once();
  const std::string event =
      R"({"type":"ADDED","object":)" + service_json("x", "192.0.2.77") + "}\n";
  struct Case {
    const char* name;
    Fault fault;
    const char* told;  // part of the message
    int lists;         // at the end
  };
  const std::vector<Case> cases{
      {"401 list", {Kind::kStatus, On::kList, 401}, "HTTP 401", 1},
      {"403 list", {Kind::kStatus, On::kList, 403}, "HTTP 403", 1},
      {"500 list", {Kind::kStatus, On::kList, 500}, "HTTP 500", 1},
      {"410 list", {Kind::kStatus, On::kList, 410}, "HTTP 410", 1},
      {"404 list", {Kind::kStatus, On::kList, 404}, "HTTP 404", 1},
      {"list closed", {Kind::kClose, On::kList}, "", 1},
      {"list reset", {Kind::kReset, On::kList}, "", 1},
      {"list silent", {Kind::kSilence, On::kList}, "no answer", 1},
      {"list garbage", {Kind::kStatus, On::kPlain, 200, "", "garbage"}, "", 1},
      {"list of something else", {Kind::kStatus, On::kPlain, 200, "", "[1,2]"}, "", 1},
      {"list empty", {Kind::kStatus, On::kPlain, 200, "", ""}, "", 1},
      {"list no HTTP", {Kind::kRaw, On::kList, 0, "", "SSH-2.0-x\r\n\r\n"}, "", 1},
      {"list cut", {Kind::kStream, On::kList, 0, "", R"({"kind":"ServiceL)", Then::kClose}, "", 1},
      {"list stalls", {Kind::kStream, On::kList, 0, "", "{", Then::kSilence}, "no answer", 1},
      {"401 watch", {Kind::kStatus, On::kWatch, 401}, "HTTP 401", 2},
      {"403 watch", {Kind::kStatus, On::kWatch, 403}, "HTTP 403", 2},
      {"429 watch", {Kind::kStatus, On::kWatch, 429}, "HTTP 429", 1},
      {"410 watch", {Kind::kStatus, On::kWatch, 410}, "HTTP 410", 2},
      {"500 watch", {Kind::kStatus, On::kWatch, 500}, "HTTP 500", 2},
      {"watch silent", {Kind::kSilence, On::kWatch}, "no answer", 2},
      {"watch goes silent",
       {Kind::kStream, On::kWatch, 0, "", event, Then::kSilence},
       "no answer",
       2},
      {"watch reset within", {Kind::kStream, On::kWatch, 0, "", event, Then::kReset}, "", 1},
      {"watch cut within an event",
       {Kind::kStream, On::kWatch, 0, "", event.substr(0, 50), Then::kEnd},
       "within an event",
       1},
      {"watch garbage", {Kind::kStream, On::kWatch, 0, "", "garbage\n", Then::kSilence}, "", 2},
      {"watch not an event", {Kind::kStream, On::kWatch, 0, "", "{}\n", Then::kSilence}, "", 2},
      {"watch error event",
       {Kind::kStream, On::kWatch, 0, "",
        R"({"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}})"
        "\n",
        Then::kEnd},
       "too old",
       2},
      {"watch overlong",
       {Kind::kStream, On::kWatch, 0, "", std::string(std::size_t{5} << 20, 'x'), Then::kSilence},
       "longer than",
       2},
  };
  for (const Case& c : cases) {
    CAPTURE(std::string(c.name));
    // A quiet watch of the real server has bookmarks; without them silence is a fault.
    // Without streaming lists the watch is a separate request.
    ApiServer server(
        {.bookmarks = std::chrono::milliseconds(50),
         .streaming = c.fault.on == On::kList ? Streaming::kYes : Streaming::kUnprocessable});
    fill(server.services(), 3);
    server.fail_next(c.fault);
    Follower follower;
    ApiClientOptions options = impatient();
    if (std::string_view(c.told) != "no answer") {  // even on a slow machine
      options.watch_silence = options.list_silence = std::chrono::seconds(60);
    }
    const auto client = client_of(access_to(server), options);
    client->start(follower.sink());
    CHECK(follower.wait_for([&](const Known& known) {
      return !known.errors.empty() && known.lists == c.lists &&
             known.api.phase == ApiState::Phase::kWatching;
    }));
    server.services().put(service_json("x", "198.51.100.1"));
    server.services().remove("default/s100");
    CHECK(follower.wait_for([&](const Known& known) {
      return address_of(known, "default/x") == "198.51.100.1" &&
             same_services(known, server.services());
    }));
    const Known known = follower.known();
    CHECK(known.errors.size() == 1);
    if (known.errors.empty()) continue;
    CHECK_MESSAGE(known.errors.front().find(c.told) != std::string::npos, known.errors.front());
    CHECK_FALSE(known.errors.front().empty());
    CHECK(known.delays.front() >= std::chrono::milliseconds(100));
    CHECK(server.requests().size() <= 5);
  }
}

TEST_CASE("a kept connection that was closed in the meantime is not an error") {
  start_library_once();
  for (const Kind kind : {Kind::kClose, Kind::kReset}) {
    ApiServer server({.streaming = Streaming::kUnprocessable});
    fill(server.services(), 3);
    server.fail_next({.kind = kind, .on = On::kWatch});  // it uses the list's connection
    Follower follower;
    const auto client = client_of(access_to(server));
    client->start(follower.sink());
    REQUIRE(follower.wait_for([](const Known& known) { return known.lists == 1; }));
    server.services().put(service_json("x", "198.51.100.1"));
    CHECK(
        follower.wait_for([](const Known& known) { return known.services.contains("default/x"); }));
    CHECK(follower.known().lists == 1);
  }
}

TEST_CASE("delays grow while the server is unreachable, and Retry-After is honoured") {
  start_library_once();
  ApiServer server;
  for (int i = 0; i < 3; ++i) server.fail_next({.kind = Kind::kStatus, .status = 500});
  server.fail_next({.kind = Kind::kStatus, .status = 429, .headers = "Retry-After: 1\r\n"});
  Follower follower;
  const auto client = client_of(access_to(server));
  client->start(follower.sink());
  REQUIRE(follower.wait_for([](const Known& known) { return known.lists == 1; }));
  const auto delays = follower.known().delays;
  REQUIRE(delays.size() == 4);
  CHECK(delays[1] >= std::chrono::milliseconds(400));
  CHECK(delays[2] >= std::chrono::milliseconds(200));  // another form's
  CHECK(delays[3] >= std::chrono::milliseconds(1000));
}

TEST_CASE("no listener at first, then a listener") {
  start_library_once();
  ApiAccess access;
  std::uint16_t port = 0;
  {
    const ApiServer gone;
    access = access_to(gone);
    port = gone.port();
  }
  Follower follower;
  const auto client = client_of(access);
  client->start(follower.sink());
  REQUIRE(follower.wait_for([](const Known& known) { return known.errors.size() >= 2; }));
  const std::string told = follower.known().errors.front();
  CHECK_MESSAGE(told.find("connect") != std::string::npos, told);
  ApiServer server({.port = port});
  fill(server.services(), 1);
  CHECK(follower.wait_for([](const Known& known) { return known.services.size() == 1; }));
}

TEST_CASE("stops without waiting for its server, and nothing is posted afterwards") {
  start_library_once();
  for (const On on : {On::kList, On::kWatch}) {
    for (int i = 0; i < 20; ++i) {
      ApiServer server({.streaming = Streaming::kUnprocessable});
      server.fail_next({.kind = Kind::kSilence, .on = on});
      const std::size_t requests = on == On::kList ? 1 : 3;
      std::atomic<bool> stopped{false};
      std::atomic<int> late{0};
      auto client = client_of(access_to(server));
      client->start([&](const ApiEvent&) { late += stopped ? 1 : 0; });
      REQUIRE(server.wait_for_requests(requests));
      const auto start = std::chrono::steady_clock::now();
      client.reset();
      // The server is silent for 90 s.
      CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(30));
      stopped = true;
      server.drop_connections();
      server.services().put(service_json("late", "192.0.2.1"));
      CHECK(late == 0);
    }
  }
}

TEST_CASE("an object that cannot be decoded does not affect others") {
  start_library_once();
  ApiServer server;
  fill(server.services(), 2);
  server.services().put(R"({"metadata":{"namespace":"default","name":"bad"},"spec":7})");
  Follower follower;
  const auto client = client_of(access_to(server));
  client->start(follower.sink());
  REQUIRE(follower.wait_for([](const Known& known) { return known.lists == 1; }));
  CHECK(follower.known().services.size() == 2);
  server.services().put(R"({"metadata":{"namespace":"default","name":"worse"},"spec":[]})");
  fill(server.services(), 3);
  CHECK(follower.wait_for([](const Known& known) { return known.services.size() == 3; }));
  const auto undecodable = follower.known().undecodable;
  REQUIRE(undecodable.size() == 2);
  CHECK(undecodable[0].key == "default/bad");
  CHECK(undecodable[1].key == "default/worse");
}

TEST_CASE("this node's podCIDRs are requested after the list, and are optional") {
  start_library_once();
  ApiServer server;
  fill(server.services(), 1);
  ApiClientOptions options = impatient();
  options.node_name = "node-a.example";
  const auto asked = [&] {
    return std::ranges::any_of(server.requests(), [](const SeenRequest& request) {
      return request.target == "/api/v1/nodes?fieldSelector=metadata.name%3Dnode-a.example&limit=1";
    });
  };
  {
    Follower follower;
    const auto client = client_of(access_to(server), options);
    client->start(follower.sink());
    REQUIRE(follower.wait_for([](const Known& known) { return known.api.watches > 0; }));
    REQUIRE(follower.wait_for(
        [](const Known& known) { return known.api.phase == ApiState::Phase::kWatching; }));
    CHECK(asked());
    CHECK(follower.known().errors.empty());  // 404
    CHECK(follower.known().node.empty());
  }
  server.set_nodes(R"({"kind":"NodeList","items":[{"spec":{"podCIDRs":["10.244.3.0/24"]}}]})");
  Follower follower;
  const auto client = client_of(access_to(server), options);
  client->start(follower.sink());
  CHECK(follower.wait_for([](const Known& known) {
    return known.node == std::vector{*Prefix::parse("10.244.3.0/24")};
  }));
}

TEST_CASE("a client for the Node only: sends requests until it has arrived, and no others") {
  start_library_once();
  ApiServer server;
  ApiClientOptions options = impatient();
  options.pace = 0.01;
  options.stop_patience = std::chrono::seconds(60);
  std::mutex mutex;
  std::vector<std::vector<Prefix>> told;
  const auto tell = [&](ApiEvent event) {
    const std::lock_guard lock(mutex);
    told.push_back(std::get<NodePodCidrs>(std::move(event)).cidrs);
  };
  const auto wait_for = [&](std::size_t count) {
    while (true) {
      const std::lock_guard lock(mutex);
      if (told.size() >= count) return told;
      std::this_thread::yield();
    }
  };
  {
    const auto client = make_node_client(access_to(server), options);  // of an unknown name
    client->start(tell);
    CHECK(wait_for(1) == std::vector<std::vector<Prefix>>{{}});
    CHECK(server.requests().empty());
  }
  options.node_name = "node-a";
  const auto client = make_node_client(access_to(server), options);
  client->start(tell);
  CHECK(wait_for(2)[1].empty());  // 404, repeatedly
  server.set_nodes(R"({"kind":"NodeList","items":[{"spec":{"podCIDRs":["10.244.3.0/24"]}}]})");
  while (wait_for(2).back().empty()) std::this_thread::yield();
  CHECK(wait_for(3).back() == std::vector{*Prefix::parse("10.244.3.0/24")});
  CHECK(std::ranges::none_of(server.requests(), &SeenRequest::is_services));
  const auto once = node_once(access_to(server), options);
  REQUIRE(once.has_value());
  CHECK(once->cidrs == wait_for(3).back());
}

}  // namespace nmanager::test

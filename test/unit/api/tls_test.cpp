// Verification of the server, and the client's own credentials.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>

#include "test/api_server/api_server.h"
#include "test/unit/api/follower.h"

namespace nmanager::test {
using namespace nmanager::api;
namespace {

struct Authorities {
  PemPair ours = make_authority("ours");
  PemPair other = make_authority("other");
};

}  // namespace

TEST_CASE("only the right authority and the right name are trusted") {
  start_library_once();
  const Authorities ca;
  struct Case {
    const char* name;
    const char* host;
    std::vector<std::string> names;  // in the server's certificate
    const char* common_name;
    bool other_ca;  // the client trusts another authority
    bool insecure;
    const char* tls_server_name;
    bool works;
  };
  const std::vector<Case> cases{
      {"address", "127.0.0.1", {"127.0.0.1"}, "x", false, false, "", true},
      {"IPv6 address", "::1", {"::1"}, "x", false, false, "", true},
      {"another address", "127.0.0.1", {"127.0.0.2"}, "x", false, false, "", false},
      {"another IPv6 address", "::1", {"::2"}, "x", false, false, "", false},
      {"a name instead", "127.0.0.1", {"kubernetes"}, "x", false, false, "", false},
      {"common name only", "127.0.0.1", {"127.0.0.2"}, "127.0.0.1", false, false, "", false},
      {"tls-server-name", "127.0.0.1", {"kubernetes"}, "x", false, false, "kubernetes", true},
      {"wrong tls-server-name", "127.0.0.1", {"127.0.0.1"}, "x", false, false, "kubernetes", false},
      {"another authority", "127.0.0.1", {"127.0.0.1"}, "x", true, false, "", false},
      {"another authority, insecure", "127.0.0.1", {"127.0.0.1"}, "x", true, true, "", true},
      {"wrong name, insecure", "127.0.0.1", {"x"}, "x", false, true, "", true},
  };
  for (const Case& c : cases) {
    CAPTURE(std::string(c.name));
    ApiServer server({.host = c.host,
                      .tls = true,
                      .certificate = make_certificate(ca.ours, c.common_name, c.names)});
    server.services().put(service_json("a", "192.0.2.1"));
    ApiAccess access;
    access.server = server.url();
    access.ca.data = (c.other_ca ? ca.other : ca.ours).certificate;
    access.insecure = c.insecure;
    access.tls_server_name = c.tls_server_name;
    const auto listed = list_once(access);
    CHECK(listed.ok() == c.works);
    if (listed.ok()) {
      CHECK(listed->services.size() == 1);
    } else {
      CHECK(listed.error().message.find(access.server) != std::string::npos);
      CHECK(server.requests().empty());  // no token may be sent to an unverified server
    }
  }
}

TEST_CASE("the system's authorities are not trusted if one is given, and vice versa") {
  start_library_once();
  const Authorities ca;
  ApiServer server({.tls = true, .certificate = make_certificate(ca.ours, "x", {"127.0.0.1"})});
  ApiAccess access;
  access.server = server.url();
  CHECK_FALSE(list_once(access).ok());
}

TEST_CASE("a client certificate is sent if there is one") {
  start_library_once();
  const Authorities ca;
  ApiServer server({.tls = true,
                    .certificate = make_certificate(ca.ours, "x", {"127.0.0.1"}),
                    .client_authority = ca.other.certificate});
  ApiAccess access;
  access.server = server.url();
  access.ca.data = ca.ours.certificate;
  CHECK_FALSE(list_once(access).ok());
  const PemPair stranger = make_certificate(ca.ours, "stranger", {});
  access.client_certificate.data = stranger.certificate;
  access.client_key.data = stranger.key;
  CHECK_FALSE(list_once(access).ok());
  const PemPair node = make_certificate(ca.other, "node", {});
  access.client_certificate.data = node.certificate;
  access.client_key.data = node.key;
  CHECK(list_once(access).ok());
}

TEST_CASE("invalid TLS material is reported by its name") {
  start_library_once();
  ApiAccess access;
  access.server = "https://127.0.0.1:1";
  access.ca.data = "no certificate";
  const auto bad_ca = list_once(access);
  REQUIRE(!bad_ca.ok());
  CHECK(bad_ca.error().message.find("certificate authority") != std::string::npos);
  access.ca = {"/nonexistent/ca.crt", ""};
  const auto no_file = list_once(access);
  REQUIRE(!no_file.ok());
  CHECK(no_file.error().message.find("/nonexistent/ca.crt") != std::string::npos);
}

TEST_CASE("a watch over TLS, and a token and an authority that change on disk") {
  start_library_once();
  const Authorities ca;
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("nmanager-tls-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const auto write = [&](const char* name, const std::string& text) {
    std::ofstream(folder / name) << text;
  };
  write("token", "first\n");
  write("ca.crt", ca.ours.certificate);
  ApiAccess access;
  access.ca.file = folder / "ca.crt";
  access.token_file = folder / "token";
  Follower follower;
  std::unique_ptr<ServiceSource> client;
  std::uint16_t port = 0;
  {
    ApiServer server({.tls = true,
                      .certificate = make_certificate(ca.ours, "x", {"127.0.0.1"}),
                      .token = "first",
                      .chunk = 100});
    port = server.port();
    access.server = server.url();
    client = client_of(access);
    client->start(follower.sink());
    REQUIRE_MESSAGE(follower.wait_for([](const auto& known) { return known.lists == 1; }),
                    follower.known().api.last_error);
    server.services().put(service_json("a", "192.0.2.1"));
    CHECK(follower.wait_for([](const auto& known) { return known.services.size() == 1; }));
    CHECK(server.requests().back().authorization == "Bearer first");

    server.set_token("second");
    server.end_watches();
    REQUIRE(follower.wait_for([](const auto& known) { return !known.errors.empty(); }));
    CHECK(follower.known().errors.front().find("401") != std::string::npos);
    CHECK(follower.known().errors.front().find("first") == std::string::npos);
    write("token", "second");
    CHECK(follower.wait_for(
        [](const auto& known) { return known.api.phase == ApiState::Phase::kWatching; }));
    CHECK(server.requests().back().authorization == "Bearer second");
  }
  write("ca.crt", ca.other.certificate);
  ApiServer server({.port = port,
                    .tls = true,
                    .certificate = make_certificate(ca.other, "x", {"127.0.0.1"}),
                    .token = "second"});
  server.services().compact();
  server.services().put(service_json("b", "192.0.2.2"));
  CHECK(follower.wait_for([](const auto& known) { return known.services.contains("default/b"); }));
  client.reset();
  std::filesystem::remove_all(folder);
}

TEST_CASE("an intermediate authority alone is enough (A5)") {
  start_library_once();
  const PemPair root = make_authority("root");
  const PemPair middle = make_intermediate(root, "middle");
  ApiServer server({.tls = true, .certificate = make_certificate(middle, "x", {"127.0.0.1"})});
  ApiAccess access;
  access.server = server.url();
  access.ca.data = middle.certificate;
  CHECK(list_once(access).ok());
  access.ca.data = root.certificate;  // the server does not send the intermediate one
  CHECK_FALSE(list_once(access).ok());
}

TEST_CASE("a broken block of a bundle is skipped (A6)") {
  start_library_once();
  const Authorities ca;
  ApiServer server({.tls = true, .certificate = make_certificate(ca.ours, "x", {"127.0.0.1"})});
  ApiAccess access;
  access.server = server.url();
  const std::string begin = "-----BEGIN CERTIFICATE-----\n";
  const std::string end = "-----END CERTIFICATE-----\n";
  for (const std::string& broken :
       {begin + "bm9uZQ==\n" + end, begin + "?!?\n" + end, begin + "AAAA\n", std::string("text\n"),
        ca.other.key, begin + end}) {
    CAPTURE(broken);
    access.ca.data = ca.other.certificate + broken + ca.ours.certificate;
    CHECK(list_once(access).ok());
  }
}

TEST_CASE("certificate and key in one file, in any order") {
  start_library_once();
  const Authorities ca;
  ApiServer server({.tls = true,
                    .certificate = make_certificate(ca.ours, "x", {"127.0.0.1"}),
                    .client_authority = ca.other.certificate});
  const PemPair node = make_certificate(ca.other, "node", {});
  ApiAccess access;
  access.server = server.url();
  access.ca.data = ca.ours.certificate;
  for (const std::string& both : {node.certificate + node.key, node.key + node.certificate}) {
    access.client_certificate.data = both;
    access.client_key.data = both;
    const auto listed = list_once(access);
    CHECK_MESSAGE(listed.ok(), (listed ? "" : listed.error().message));
  }
}

TEST_CASE("the reason for a failed TLS handshake, as text (A7, A19)") {
  start_library_once();
  const Authorities ca;
  const auto certificate = [&](const PemPair& authority, const char* name, Validity validity = {}) {
    return make_certificate(authority, "the server", {name}, validity);
  };
  struct Case {
    const char* name;
    ApiServerOptions options;
    bool show_certificate;
    std::vector<const char*> told;
  };
  const std::vector<Case> cases{
      {"wrong authority",
       {.tls = true, .certificate = certificate(ca.other, "127.0.0.1")},
       false,
       {"unable to get local issuer", "CN=the server", "issuer"}},
      {"expired",
       {.tls = true, .certificate = certificate(ca.ours, "127.0.0.1", {-7'200, -3'600})},
       false,
       {"has expired", "CN=the server", "GMT"}},
      {"not yet valid",
       {.tls = true, .certificate = certificate(ca.ours, "127.0.0.1", {3'600, 7'200})},
       false,
       {"not yet valid", "CN=the server", "GMT"}},
      {"another name",
       {.tls = true, .certificate = certificate(ca.ours, "127.0.0.2")},
       false,
       {"IP address mismatch", "'127.0.0.1'", "CN=the server"}},
      {"no TLS", {}, false, {"the server speaks no TLS"}},
      {"client certificate wanted",
       {.tls = true,
        .certificate = certificate(ca.ours, "127.0.0.1"),
        .client_authority = ca.other.certificate},
       false,
       {"wants a client certificate"}},
      {"client certificate wanted, TLS 1.2",
       {.tls = true,
        .certificate = certificate(ca.ours, "127.0.0.1"),
        .client_authority = ca.other.certificate,
        .tls_1_2 = true},
       false,
       {"wants a client certificate"}},
      {"another client certificate wanted",
       {.tls = true,
        .certificate = certificate(ca.ours, "127.0.0.1"),
        .client_authority = ca.other.certificate},
       true,
       {"refuses the client certificate"}},
      {"a cipher without forward secrecy or authentication",
       {.tls = true,
        .certificate = certificate(ca.ours, "127.0.0.1"),
        .tls_1_2 = true,
        .ciphers = "NULL:aNULL"},
       false,
       {"alert"}},
  };
  const PemPair stranger = make_certificate(ca.ours, "stranger", {});
  for (const Case& c : cases) {
    CAPTURE(std::string(c.name));
    ApiServer server(c.options);
    ApiAccess access;
    access.server = "https://127.0.0.1:" + std::to_string(server.port());
    access.ca.data = ca.ours.certificate;
    if (c.show_certificate) {
      access.client_certificate.data = stranger.certificate;
      access.client_key.data = stranger.key;
    }
    const auto listed = list_once(access);
    REQUIRE_FALSE(listed.ok());
    for (const char* part : c.told) {
      CHECK_MESSAGE(listed.error().message.find(part) != std::string::npos, listed.error().message);
    }
  }
}

}  // namespace nmanager::test

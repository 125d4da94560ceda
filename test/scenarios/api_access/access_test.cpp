// Addresses, families, proxies and the name that the program gives itself, over real TLS.
#include <doctest/doctest.h>

#include <algorithm>

#include "test/api_server/connect_proxy.h"
#include "test/scenarios/api_access/server_node.h"

namespace nmanager::test {
namespace {

std::string service() {
  return to_json({"web", {"10.96.0.10"}, {"192.0.2.10"}, {"TCP:80"}});
}

/// One interface with addresses of one family only; loopback keeps both.
void one_family(const Node& node, bool ipv6) {
  node.sh("ip link add v0 type veth peer name v1");
  if (ipv6) {
    node.sh("ip -6 addr add fd00:aa::1/64 dev v0 nodad");
  } else {
    node.sh(
        "for v in v0 v1; do echo 1 > /proc/sys/net/ipv6/conf/$v/disable_ipv6; done; "
        "ip addr add 192.0.2.1/24 dev v0");
  }
  node.sh("ip link set v0 up && ip link set v1 up");
}

}  // namespace

TEST_CASE("a server on loopback is reachable with any family of the node's interfaces (A9)") {
  struct Case {
    bool ipv6_node;
    const char* listen;
    const char* host;
  };
  for (const Case& c : {Case{false, "::1", "[::1]"},
                        {false, "::1", "localhost"},
                        {true, "127.0.0.1", "127.0.0.1"},
                        {true, "127.0.0.1", "localhost"}}) {
    CAPTURE(std::string(c.host));
    CAPTURE(c.ipv6_node);
    Node node;
    if (!node.usable()) return;
    one_family(node, c.ipv6_node);
    const PemPair authority = make_authority("authority");
    ApiServer server(tls_server(c.listen, authority, {"127.0.0.1", "::1", "localhost"}));
    server.services().put(service());
    const std::string url = "https://" + std::string(c.host) + ":" + std::to_string(server.port());
    const Sidecar sidecar(node, {"--kubeconfig", write_kubeconfig(node, url, authority)});
    CHECK_MESSAGE(eventually([&] { return knows(sidecar, 1); }), sidecar.log());
    CHECK(sidecar.metric("nmanager_api_errors_total").value_or(0) == 0);
  }
}

TEST_CASE("HTTPS_PROXY and NO_PROXY are obeyed; the proxy resolves names") {
  struct Case {
    const char* host;
    bool port;                // else 443, which only the proxy redirects
    const char* environment;  // behind HTTPS_PROXY
    bool asked;               // the proxy
  };
  for (const Case& c : {Case{"198.51.100.7", true, "NODE_NAME=x", true},
                        {"198.51.100.7", true, "NO_PROXY=10.0.0.0/8,198.51.100.0/24", false},
                        {"kubernetes.example", false, "no_proxy=.other", true},
                        {"kubernetes.example", true, "NO_PROXY=example.org", true}}) {
    CAPTURE(std::string(c.host));
    CAPTURE(std::string(c.environment));
    Node node;
    if (!node.usable()) return;
    node.sh("ip addr add 198.51.100.7/32 dev lo");  // 127.0.0.1 is never asked of a proxy
    const PemPair authority = make_authority("authority");
    ApiServer server(tls_server("0.0.0.0", authority, {c.host}));
    server.services().put(service());
    const ConnectProxy proxy(server.port());
    const std::string port = std::to_string(server.port());
    const std::string url = "https://" + std::string(c.host) + (c.port ? ":" + port : "");
    const Sidecar sidecar(node, {"--kubeconfig", write_kubeconfig(node, url, authority)}, 10261,
                          {"HTTPS_PROXY=" + proxy.url(), c.environment});
    CHECK_MESSAGE(eventually([&] { return knows(sidecar, 1); }), sidecar.log());
    const auto asked = proxy.asked();
    CHECK(asked.empty() != c.asked);
    for (const std::string& line : asked) {
      CHECK(line == "CONNECT " + std::string(c.host) + ":" + (c.port ? port : "443") + " HTTP/1.1");
    }
    const bool told =
        sidecar.log().find("of " + url + " through the proxy " + proxy.url()) != std::string::npos;
    CHECK(told == c.asked);
  }
}

TEST_CASE("proxy-url in the kubeconfig overrides the environment; a proxy's refusal is reported") {
  Node node;
  if (!node.usable()) return;
  const PemPair authority = make_authority("authority");
  ApiServer server(tls_server("127.0.0.1", authority, {"kubernetes.example"}));
  server.services().put(service());
  const ConnectProxy refuses(server.port(), 403);
  const ConnectProxy connects(server.port());
  const auto with = [&](const ConnectProxy& proxy) {
    return write_kubeconfig(node, "https://kubernetes.example", authority,
                            "proxy-url: '" + proxy.url() + "'");
  };
  const std::vector<std::string> environment{"HTTPS_PROXY=" + refuses.url()};
  {
    const Sidecar sidecar(node, {"--kubeconfig", with(connects)}, 10261, environment);
    CHECK_MESSAGE(eventually([&] { return knows(sidecar, 1); }), sidecar.log());
    CHECK(refuses.asked().empty());
  }
  const Sidecar sidecar(node, {"--kubeconfig", with(refuses)});
  CHECK(eventually([&] {
    const std::string said = sidecar.get("/readyz?verbose");
    return said.find("through the proxy " + refuses.url()) != std::string::npos &&
           said.find("response from proxy, received: 403") != std::string::npos;
  }));
  CHECK(server.requests().size() == 1);  // of the first sidecar
}

TEST_CASE("every request names program, version, platform and revision (A15)") {
  Node node;
  if (!node.usable()) return;
  node.api().services().put(service());
  const Sidecar sidecar(node, {}, 10261, {"NODE_NAME=node-a"});
  REQUIRE_MESSAGE(eventually([&] { return knows(sidecar, 1); }), sidecar.log());
  // Each weakness of the connection is reported: this server has no TLS (A19).
  CHECK(sidecar.get("/readyz?verbose").find("the API server is not authenticated") !=
        std::string::npos);
  // "nmanager 1.2.3 (revision 0123456789ab)"
  const std::string version = nmanager(node, "version").output;
  const std::string number = version.substr(9, version.find(' ', 9) - 9);
  const auto revision = version.find("(revision ");
  REQUIRE(revision != std::string::npos);
  const std::string commit = version.substr(revision + 10, version.rfind(')') - revision - 10);
  CHECK_FALSE(commit.empty());
  const auto requests = node.api().requests();
  REQUIRE_FALSE(requests.empty());
  for (const SeenRequest& seen : requests) {
    CAPTURE(seen.user_agent);
    CHECK(seen.user_agent.starts_with("nmanager/" + number + " (linux/"));
    CHECK(seen.user_agent.ends_with(") " + commit));
  }
  // One list that became the watch; the Node is requested after a list that does not.
  CHECK(std::ranges::count_if(requests, &SeenRequest::is_services) == 1);
}

}  // namespace nmanager::test

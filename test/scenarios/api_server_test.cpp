// Where no Services are needed the API server is not needed either.
#include <doctest/doctest.h>

#include <string>

#include "test/scenarios/node.h"

namespace nmanager::test {
namespace {

/// What a sync of kube-proxy leaves in its iptables modes, as far as readiness checks it.
void change_services(Node& node, int changes) {
  for (int i = 0; i < changes; ++i) {
    const std::string n = std::to_string(i % 100);
    node.api().services().put(to_json(
        {"service-" + n, {"10.96.0." + n}, {"192.0.2." + std::to_string(i % 250)}, {"TCP:80"}}));
  }
}

}  // namespace

TEST_CASE("outside IPVS mode the API server gets no requests, whatever its Services do") {
  for (const std::string mode : {"iptables", "nftables"}) {
    CAPTURE(mode);
    Node node;
    if (!node.usable()) return;
    change_services(node, 100);
    const Sidecar sidecar(node, {"--proxy-mode", mode}, 10261, {"NODE_NAME=node-a"});
    REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
    change_services(node, 2'000);
    // If Services were watched, their events would arrive before this repair.
    node.flush("filter", "NMANAGER_INPUT");
    REQUIRE(eventually([&] { return drop_invalid(node.our_rules()); }));
    CHECK(node.api().requests().empty());
    CHECK(sidecar.metric("nmanager_services_wanted") == 0);
    const std::string status = nmanager(node, "status").output;
    CHECK_MESSAGE(
        status.find("not needed (kube-proxy runs in " + mode + " mode)") != std::string::npos,
        status);
  }
}

TEST_CASE(
    "the API server denies everything: ready if nothing needs it, else not ready and reported") {
  Node node;
  if (!node.usable()) return;
  node.kube_proxy_syncs();
  node.api().fail_next({.kind = Fault::Kind::kStatus, .status = 403, .times = 0});
  {
    const Sidecar sidecar(node, {"--proxy-mode", "iptables"});  // A14
    CHECK_MESSAGE(eventually([&] { return sidecar.ready(); }), sidecar.get("/readyz?verbose"));
    CHECK(node.api().requests().empty());
  }
  const Sidecar sidecar(node);
  CHECK(eventually([&] {
    return sidecar.get("/readyz?verbose").find("[i]api-server failed") != std::string::npos &&
           sidecar.get("/readyz?verbose").find("HTTP 403") != std::string::npos;
  }));
  CHECK_FALSE(sidecar.ready());
  CHECK(drop_invalid(node.our_rules()));
}

}  // namespace nmanager::test

// `--backend auto`: the variant that kubelet and kube-proxy use is found, followed and reported.
#include <doctest/doctest.h>

#include <algorithm>

#include <atomic>
#include <fstream>
#include <thread>

#include "test/scenarios/node.h"

namespace nmanager::test {
namespace {

const std::vector<std::string> kFollow{"--backend", "auto"};

std::string other_variant() {
  return variant() == "nft" ? "legacy" : "nft";
}

/// The hint chain of kubelet and what kube-proxy puts into nat and filter, in that variant.
void add_kube_chains(const Node& node, const std::string& in) {
  for (const std::string tables : {"iptables-", "ip6tables-"}) {
    node.sh(tables + in + "-restore --noflush",
            "*mangle\n:KUBE-KUBELET-CANARY - [0:0]\nCOMMIT\n"
            "*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n"
            "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\n"
            "-I PREROUTING -j KUBE-SERVICES\n"
            "-I OUTPUT -j KUBE-SERVICES\nCOMMIT\n"
            "*filter\n:KUBE-FIREWALL - [0:0]\n-I INPUT -j KUBE-FIREWALL\nCOMMIT\n");
  }
}

void remove_kube_chains(const Node& node, const std::string& from) {
  for (const std::string name : {"iptables-", "ip6tables-"}) {
    const std::string tables = name + from;
    node.sh(tables + " -t nat -D PREROUTING -j KUBE-SERVICES; " + tables +
            " -t nat -D OUTPUT -j KUBE-SERVICES; " + tables + " -t nat -X KUBE-SERVICES; " +
            tables + " -t nat -F KUBE-MARK-MASQ; " + tables + " -t nat -X KUBE-MARK-MASQ; " +
            tables + " -D INPUT -j KUBE-FIREWALL; " + tables + " -X KUBE-FIREWALL; " + tables +
            " -t mangle -X KUBE-KUBELET-CANARY");
  }
}

/// Our lines in every table of both families.
std::string ours_in(const Node& node, const std::string& which) {
  std::string command;
  for (const std::string tables : {"iptables-", "ip6tables-"}) {
    for (const std::string table : {"nat", "filter"}) {
      command += tables + which + "-save -t " + table + " 2>/dev/null | grep NMANAGER;";
    }
  }
  return node.sh(command + "true");
}

bool drops_invalid(const Node& node, const std::string& which) {
  const std::string rules = node.sh("iptables-" + which + "-save -t filter");
  return rules.find("-A INPUT -j NMANAGER_INPUT\n") != std::string::npos &&
         rules.find("-A NMANAGER_INPUT -j NMANAGER_DROP_INVALID_INPUT\n") != std::string::npos &&
         rules.find("-A NMANAGER_DROP_INVALID_INPUT -m conntrack --ctstate INVALID -j DROP\n") !=
             std::string::npos;
}

std::string legacy_tables() {
  std::string result;
  for (const std::string names : {"ip_tables_names", "ip6_tables_names"}) {
    std::ifstream file("/proc/thread-self/net/" + names);
    for (std::string line; std::getline(file, line);) result += line + ' ';
  }
  return result;
}

void put_service(Node& node) {
  node.api().services().put(
      to_json({"web", {"10.96.0.10", "fd96::10"}, {"192.0.2.10", "2001:db8::10"}, {"TCP:80"}}));
}

bool keeps_through(const Sidecar& sidecar, const std::string& which) {
  return eventually([&] {
    return sidecar.get("/readyz?verbose").find("[+]backend ok: iptables-" + which) !=
               std::string::npos &&
           sidecar.settled();
  });
}

}  // namespace

TEST_CASE("the variant in use is detected, and left when kubelet and kube-proxy leave it") {
  Node node;
  if (!node.usable()) return;
  put_service(node);
  add_kube_chains(node, variant());
  const Sidecar sidecar(node, kFollow);
  REQUIRE_MESSAGE(keeps_through(sidecar, variant()), sidecar.get("/readyz?verbose"));
  REQUIRE(drops_invalid(node, variant()));
  const std::string ours = ours_in(node, variant());

  // The old variant is read first: if our rules are gone from there, the new one had them before.
  std::atomic<bool> moving = true;
  int looks = 0;
  int gaps = 0;
  std::thread watcher([&] {
    while (moving) {
      ++looks;
      if (!drops_invalid(node, variant()) && !drops_invalid(node, other_variant())) ++gaps;
    }
  });
  add_kube_chains(node, other_variant());
  remove_kube_chains(node, variant());
  const bool moved = keeps_through(sidecar, other_variant()) &&
                     eventually([&] { return ours_in(node, variant()).empty(); });
  moving = false;
  watcher.join();
  CHECK_MESSAGE(moved, sidecar.log());
  CHECK(gaps == 0);
  CHECK(looks > 10);
  CHECK(ours_in(node, variant()) == "");
  CHECK(ours_in(node, other_variant()).find("192.0.2.10/32") != std::string::npos);
  CHECK(ours_in(node, other_variant()).size() == ours.size());
  CHECK_MESSAGE(eventually([&] { return sidecar.ready(); }), sidecar.get("/readyz?verbose"));
  CHECK(sidecar.log().find("our chains were removed from iptables-" + variant()) !=
        std::string::npos);
}

TEST_CASE("rules that a previous process left in the other variant are removed") {
  Node node;
  if (!node.usable()) return;
  put_service(node);
  add_kube_chains(node, other_variant());
  {
    const Sidecar before(node, {"--backend", "iptables-" + other_variant()});
    REQUIRE_MESSAGE(eventually([&] { return before.settled(); }), before.log());
  }
  REQUIRE(ours_in(node, other_variant()) != "");
  remove_kube_chains(node, other_variant());
  add_kube_chains(node, variant());
  const Sidecar sidecar(node, kFollow);
  CHECK_MESSAGE(keeps_through(sidecar, variant()), sidecar.get("/readyz?verbose"));
  CHECK(eventually([&] { return ours_in(node, other_variant()).empty(); }));
  CHECK(drops_invalid(node, variant()));
}

TEST_CASE("both variants populated: the one with KUBE-SERVICES is followed, and it is reported") {
  Node node;
  if (!node.usable()) return;
  put_service(node);
  add_kube_chains(node, variant());
  node.sh("iptables-" + other_variant() + " -t mangle -N KUBE-IPTABLES-HINT");
  const Sidecar sidecar(node, kFollow);
  REQUIRE_MESSAGE(keeps_through(sidecar, variant()), sidecar.get("/readyz?verbose"));
  CHECK(ours_in(node, other_variant()) == "");
  const std::string told = "both variants of iptables are populated";
  CHECK(eventually([&] { return sidecar.log().find("warning " + told) != std::string::npos; }));
  CHECK(sidecar.get("/readyz?verbose").find(told) != std::string::npos);
  CHECK(sidecar.metric("nmanager_warnings").value_or(0) >= 1);
  const auto plan = nmanager(node, "plan --backend auto --kubeconfig kubeconfig");
  CHECK_MESSAGE(plan.output.find(told) != std::string::npos, plan.output);
  // Cleaned up: nothing is wrong any more.
  node.sh("iptables-" + other_variant() + " -t mangle -X KUBE-IPTABLES-HINT");
  CHECK(eventually([&] { return sidecar.get("/readyz?verbose").find(told) == std::string::npos; }));
}

TEST_CASE("kube-proxy's chains in both variants: advice only after it was seen to write in one") {
  Node node;
  if (!node.usable()) return;
  put_service(node);
  add_kube_chains(node, variant());
  add_kube_chains(node, other_variant());
  const Sidecar sidecar(node, kFollow);
  const auto shows = [&](const std::string& words) {
    return eventually(
        [&] { return sidecar.get("/readyz?verbose").find(words) != std::string::npos; },
        std::chrono::seconds(30));
  };
  CHECK_MESSAGE(shows("remove nothing yet"), sidecar.get("/readyz?verbose"));
  node.sh("iptables-" + variant() + "-restore --noflush",  // a sync with one more Service
          "*nat\n:KUBE-MARK-MASQ - [0:0]\n-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000\n"
          "-A KUBE-SERVICES -d 192.0.2.77 -j RETURN\nCOMMIT\n");
  CHECK_MESSAGE(shows("kube-proxy writes in iptables-" + variant() +
                      ", which is followed; remove what is left in iptables-" + other_variant()),
                sidecar.get("/readyz?verbose"));
  CHECK_MESSAGE(keeps_through(sidecar, variant()), sidecar.get("/readyz?verbose"));
}

TEST_CASE("a kubelet that starts later than nmanager is followed") {
  Node node;
  if (!node.usable()) return;
  put_service(node);
  const Sidecar sidecar(node, kFollow);
  REQUIRE_MESSAGE(keeps_through(sidecar, "nft"), sidecar.get("/readyz?verbose"));
  CHECK(legacy_tables() == "");
  // Only kubelet: the other tables of this variant do not exist yet.
  node.sh("iptables -t mangle -N KUBE-IPTABLES-HINT");
  CHECK_MESSAGE(keeps_through(sidecar, variant()), sidecar.get("/readyz?verbose"));
  CHECK(eventually([&] { return drops_invalid(node, variant()); }));
}

TEST_CASE("if no program uses iptables-legacy, none of its tables is created") {
  Node node;
  if (!node.usable()) return;
  put_service(node);
  {
    const Sidecar sidecar(node, kFollow);
    REQUIRE_MESSAGE(keeps_through(sidecar, "nft"), sidecar.get("/readyz?verbose"));
    add_kube_chains(node, "nft");
    CHECK_MESSAGE(eventually([&] { return sidecar.ready(); }), sidecar.get("/readyz?verbose"));
    CHECK(legacy_tables() == "");
  }
  CHECK(nmanager(node, "plan --backend auto --kubeconfig kubeconfig").exit_code == 0);
  CHECK(legacy_tables() == "");
  CHECK(nmanager(node, "cleanup").exit_code == 0);
  CHECK(legacy_tables() == "");
  CHECK(ours_in(node, "nft") == "");
}

TEST_CASE("cleanup removes our chains from every variant") {
  Node node;
  if (!node.usable()) return;
  put_service(node);
  {
    const Sidecar sidecar(node, {"--backend", "iptables-nft"});
    REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  }
  // Restored from an old backup: a process would have cleared one of them.
  node.sh("iptables-legacy-restore --noflush",
          "*filter\n:NMANAGER_INPUT - [0:0]\n-I INPUT -j NMANAGER_INPUT\nCOMMIT\n");
  REQUIRE(ours_in(node, "nft") != "");
  REQUIRE(ours_in(node, "legacy") != "");
  const auto cleaned = nmanager(node, "cleanup");
  CHECK_MESSAGE(cleaned.exit_code == 0, cleaned.output);
  CHECK(ours_in(node, "nft") == "");
  CHECK(ours_in(node, "legacy") == "");
}

TEST_CASE("thousands of rules are removed in parts, by cleanup and after a move") {
  Node node;
  if (!node.usable()) return;
  for (int i = 0; i < 1200; ++i) {
    const std::string tail = std::to_string(i / 250) + "." + std::to_string(i % 250 + 1);
    node.api().services().put(
        to_json({"many-" + std::to_string(i), {"10.98." + tail}, {"198.18." + tail}, {"TCP:80"}}));
  }
  {
    const Sidecar sidecar(node, {"--backend", "iptables-nft"});
    REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }, std::chrono::seconds(60)),
                    sidecar.log());
  }
  const std::string rules = ours_in(node, "nft");
  CHECK(std::ranges::count(rules, '\n') > 4 * 1200);
  SUBCASE("by cleanup") {
    const auto cleaned = nmanager(node, "cleanup");
    CHECK_MESSAGE(cleaned.exit_code == 0, cleaned.output);
    CHECK(cleaned.output.find("iptables-nft, IPv4 nat: our chains were removed") !=
          std::string::npos);
  }
  SUBCASE("after a move") {
    const Sidecar sidecar(node, {"--backend", "nftables"});
    CHECK_MESSAGE(eventually(
                      [&] {
                        return sidecar.log().find(
                                   "IPv4 nat: our chains were removed from "
                                   "iptables-nft") != std::string::npos;
                      },
                      std::chrono::seconds(60)),
                  sidecar.log());
  }
  CHECK(ours_in(node, "nft") == "");
}

}  // namespace nmanager::test

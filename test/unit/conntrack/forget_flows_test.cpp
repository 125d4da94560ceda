// Which entries of the kernel's table are deleted, and which are kept.
#include "hooks/conntrack/forget_flows.h"

#include <doctest/doctest.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <netinet/in.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "test/support/command.h"
#include "test/support/net_namespace.h"

namespace nmanager::test {
using namespace nmanager::conntrack;
namespace {

/// One family's addresses in the shape of a cluster.
struct World {
  Family family;
  const char* name;      // for `conntrack -f`
  const char* device;    // an address of the node, with prefix length
  const char* node;      // the same without prefix length
  const char* pod;       // in pods
  const char* pods;      // the pod CIDR
  const char* outside;   // neither node nor pod
  const char* external;  // of the Service
  const char* other;     // of another Service
  const char* cluster;   // the Service's ClusterIP
  const char* moved;     // another ClusterIP
  const char* endpoint;  // chosen by IPVS for either
};
const std::array kWorlds{
    World{Family::kIpv4, "ipv4", "10.0.0.1/24", "10.0.0.1", "10.244.0.2", "10.244.0.0/16",
          "203.0.113.9", "192.0.2.10", "192.0.2.11", "10.96.0.10", "10.96.0.11", "10.244.9.9"},
    World{Family::kIpv6, "ipv6", "fd00::1/64", "fd00::1", "fd44::2", "fd44::/48", "fd13::9",
          "2001:db8::10", "2001:db8::11", "fd96::10", "fd96::11", "fd44:0:0:9::9"}};

/// Entries in the kernel, identified by `sport`.
class Table {
 public:
  explicit Table(const World& world) : world_(world) {
    must("ip link set lo up; ip addr add " + std::string(world.device) + " dev lo");
  }

  /// `answers` is the source of replies: `to` itself if the flow is not translated. `dnat`: a rule
  /// translated it.
  void add(int sport, const std::string& from, const std::string& to, const std::string& answers,
           bool dnat, const std::string& protocol = "udp", int dport = 53) {
    const std::string ports =
        " --sport " + std::to_string(sport) + " --dport " + std::to_string(dport);
    const std::string reply = dnat ? " --dst-nat " + answers
                                   : " -r " + answers + " -q " + from + " --reply-port-src " +
                                         std::to_string(dport) + " --reply-port-dst " +
                                         std::to_string(sport);
    must("conntrack -I -p " + protocol + " -s " + from + " -d " + to + ports + reply + " -t 300" +
         (protocol == "tcp" ? " --state ESTABLISHED" : ""));
  }

  /// IPVS made it from an answer of `endpoint`; `sport` is the client's.
  void add_from_answer(int sport, const std::string& endpoint, const std::string& client,
                       const std::string& external, const std::string& nat = "") {
    const std::string port = std::to_string(sport);
    must("conntrack -I -p udp -t 300 -s " + endpoint + " -d " + client + " --sport 53 --dport " +
         port +
         (nat.empty() ? " -r " + client + " -q " + external + " --reply-port-src " + port +
                            " --reply-port-dst 53"
                      : nat));
  }

  [[nodiscard]] std::string sports() const {
    const std::string list = must("conntrack -L -f " + std::string(world_.name) + " 2>/dev/null");
    std::string found;
    for (int sport = 10; sport < 30; ++sport) {
      if (list.find(" sport=" + std::to_string(sport) + " dport") != std::string::npos) {
        found += std::to_string(sport) + " ";
      }
    }
    return found;
  }

 private:
  const World& world_;
};

UdpRules rules_of(const World& world, const char* external, const char* to) {
  const auto at = [](const char* text) { return *Address::parse(text); };
  return {{at(external), {53, 53}, *Prefix::parse(world.pods), false, at(to)},
          {at(external), {53, 53}, std::nullopt, true, at(to)}};
}

/// Every kind of entry that can exist together with the Service's rules.
void fill(Table& table, const World& w) {
  table.add(10, w.pod, w.external, w.external, false);  // before any rule
  table.add(11, w.node, w.external, w.external, false);
  table.add(12, w.pod, w.external, w.endpoint, false);  // the same, with an endpoint of IPVS
  table.add(13, w.pod, w.external, w.cluster, true);    // by the rule
  table.add(14, w.node, w.external, w.cluster, true);
  table.add(15, w.pod, w.external, w.endpoint, true);        // by the rule and then by IPVS
  table.add(16, w.pod, w.external, w.moved, true);           // by another rule
  table.add_from_answer(17, w.endpoint, w.pod, w.external);  // before any rule, begun by an answer
  table.add_from_answer(18, w.endpoint, w.node, w.external);
  table.add(20, w.outside, w.external, w.external, false);  // not ours: from outside,
  table.add(21, w.outside, w.external, w.endpoint, true);
  table.add(22, w.pod, w.external, w.external, false, "tcp");      // another protocol,
  table.add(23, w.pod, w.external, w.external, false, "udp", 54);  // another port,
  table.add(24, w.pod, w.other, w.other, false);                   // another Service,
  table.add(25, w.pod, w.other, w.endpoint, true);
  table.add(26, w.pod, w.outside, w.outside, false);  // anything else,
  table.add_from_answer(27, w.endpoint, w.outside, w.external);
  table.add_from_answer(28, w.external, w.pod, w.external);  // sent by the external address,
  table.add_from_answer(29, w.other, w.pod, w.external,
                        " --src-nat " + std::string(w.external));  // by a rule
}

constexpr const char* kAll = "10 11 12 13 14 15 16 17 18 20 21 22 23 24 25 26 27 28 29 ";

}  // namespace

TEST_CASE("exactly the entries that a change makes stale are deleted") {
  for (const World& world : kWorlds) {
    CAPTURE(std::string(world.name));
    const UdpRules here = rules_of(world, world.external, world.cluster);
    const UdpRules there = rules_of(world, world.external, world.moved);
    struct Case {
      const char* what;
      UdpChange change;
      std::string left;
    };
    for (const Case& c : {Case{"a new rule: untranslated flows",
                               {{}, {here}},
                               "13 14 15 16 20 21 22 23 24 25 26 27 28 29 "},
                          Case{"an unchanged rule: untranslated flows",
                               {{here}, {here}},
                               "13 14 15 16 20 21 22 23 24 25 26 27 28 29 "},
                          Case{"a removed rule: translated flows",
                               {{here}, {}},
                               "10 11 12 17 18 20 21 22 23 24 25 26 27 28 29 "},
                          Case{"another target: flows that do not go there",
                               {{here}, {there}},
                               "16 20 21 22 23 24 25 26 27 28 29 "},
                          Case{"nothing", {}, kAll}}) {
      CAPTURE(std::string(c.what));
      const NetNamespace node;
      if (!node.usable()) return;
      Table table(world);
      fill(table, world);
      REQUIRE(table.sports() == kAll);
      const auto deleted = forget_udp_flows(world.family, c.change);
      REQUIRE_MESSAGE(deleted.ok(), deleted.error().message);
      CHECK(table.sports() == c.left);
    }
  }
}

TEST_CASE("several addresses at once, among other entries") {
  const World& world = kWorlds.front();
  const NetNamespace node;
  if (!node.usable()) return;
  Table table(world);
  fill(table, world);
  UdpChange change{{}, {rules_of(world, world.external, world.cluster)}};
  change.after.rules.merge(rules_of(world, world.other, world.moved));
  CHECK(forget_udp_flows(world.family, change).value().size() == 6);
  CHECK(table.sports() == "13 14 15 16 20 21 22 23 25 26 27 28 29 ");
  CHECK(forget_udp_flows(Family::kIpv6, change).value().size() == 0);
}

TEST_CASE("one flow among 100,000 others is found") {
  const NetNamespace node;
  if (!node.usable()) return;
  const World& world = kWorlds.front();
  Table table(world);
  std::unique_ptr<nfct_handle, int (*)(nfct_handle*)> handle(nfct_open(CONNTRACK, 0), nfct_close);
  REQUIRE(handle);
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    std::unique_ptr<nf_conntrack, void (*)(nf_conntrack*)> entry(nfct_new(), nfct_destroy);
    nfct_set_attr_u8(entry.get(), ATTR_L3PROTO, AF_INET);
    nfct_set_attr_u8(entry.get(), ATTR_L4PROTO, IPPROTO_UDP);
    nfct_set_attr_u32(entry.get(), ATTR_IPV4_SRC, htonl(0x0af40000 + i));
    nfct_set_attr_u32(entry.get(), ATTR_IPV4_DST, htonl(0x0b000000 + i % 5000));
    nfct_set_attr_u16(entry.get(), ATTR_PORT_SRC, htons(1000));
    nfct_set_attr_u16(entry.get(), ATTR_PORT_DST, htons(53));
    nfct_setobjopt(entry.get(), NFCT_SOPT_SETUP_REPLY);
    nfct_set_attr_u32(entry.get(), ATTR_TIMEOUT, 600);
    REQUIRE(nfct_query(handle.get(), NFCT_Q_CREATE, entry.get()) == 0);
  }
  table.add(10, world.pod, world.external, world.external, false);
  UdpChange change{{}, {rules_of(world, world.external, world.cluster)}};
  auto start = std::chrono::steady_clock::now();
  CHECK(forget_udp_flows(world.family, change).value().size() == 1);
  const auto one = std::chrono::steady_clock::now() - start;
  change.after.rules.merge(rules_of(world, world.other, world.cluster));
  start = std::chrono::steady_clock::now();
  CHECK(forget_udp_flows(world.family, change).value().size() == 0);
  const auto several = std::chrono::steady_clock::now() - start;
  const auto ms = [](auto time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  };
  MESSAGE("100,000 entries: " << ms(one) << " ms for one address, " << ms(several)
                              << " ms for several");
  CHECK(must("conntrack -C") == "100000\n");
}

}  // namespace nmanager::test

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <set>

#include "hooks/chains/chain_table.h"
#include "hooks/chains/ports.h"
#include "hooks/chains/prefix_tree.h"
#include "hooks/chains/rule_text.h"

using namespace nmanager;
using namespace nmanager::chains;

namespace {

std::string text_of(const DesiredTable& table) {
  std::string text;
  for (const auto& [name, rules] : table.chains) {
    for (const Rule& rule : rules) text += name.str() + ": " + to_string(rule) + '\n';
  }
  return text;
}

ExternalAddress external(const char* address, const char* cluster, const char* owner,
                         std::vector<ServicePort> ports) {
  return {*Address::parse(address), *Address::parse(cluster), owner, std::move(ports), {}};
}

ExternalAddress numbered(std::uint32_t number, const char* owner = "ns/svc") {
  const std::array<std::uint8_t, 4> bytes{10, static_cast<std::uint8_t>(number >> 16),
                                          static_cast<std::uint8_t>(number >> 8),
                                          static_cast<std::uint8_t>(number)};
  return {Address(Family::kIpv4, bytes),
          *Address::parse("10.96.0.1"),
          owner,
          {{Protocol::kTcp, 80}, {Protocol::kTcp, 443}},
          {}};
}

ExternalClusterSettings with_pods() {
  ExternalClusterSettings settings;
  settings.pod_cidr = Prefix::parse("10.244.0.0/16");
  return settings;
}

/// The DNAT target of a packet to `destination`, by walking the chains as the kernel does.
std::optional<Address> walk(const DesiredTable& table, const ChainName& chain,
                            const Address& destination, Protocol protocol, std::uint16_t port,
                            std::size_t& looked) {
  for (const Rule& rule : table.chains.at(chain)) {
    ++looked;
    if (rule.destination && !rule.destination->contains(destination)) continue;
    if (rule.protocol != Protocol::kAny && rule.protocol != protocol) continue;
    const bool port_matches =
        rule.destination_ports.empty() ||
        std::ranges::any_of(rule.destination_ports, [&](const PortRange& range) {
          return range.first <= port && port <= range.last;
        });
    if (!port_matches) continue;
    if (const auto* dnat = std::get_if<Dnat>(&rule.target)) return dnat->to;
    const auto* jump = std::get_if<Jump>(&rule.target);
    if (jump == nullptr || jump->chain.str() == "NMANAGER_MARK_MASQ") continue;
    const auto inner = walk(table, jump->chain, destination, protocol, port, looked);
    if (inner || jump->go_to) return inner;
  }
  return std::nullopt;
}

const ChainName kRoot("NMANAGER_EX_CLUS_PREROUTING");

}  // namespace

namespace {

const Exemptions kExempt{{"eth1"},
                         {*Prefix::parse("10.0.0.0/8"), *Prefix::parse("fd00::/8")},
                         {*Prefix::parse("192.0.2.1/32")}};

}  // namespace

TEST_CASE("INVALID is dropped after INPUT, exemptions first") {
  const DropInvalid plain = drop_invalid_input(InvalidAction::kDrop, {});
  CHECK(text_of(drop_invalid_chains(Family::kIpv4, plain)) ==
        "NMANAGER_DROP_INVALID_INPUT: -m conntrack --ctstate INVALID -j DROP\n"
        "NMANAGER_INPUT: -j NMANAGER_DROP_INVALID_INPUT\n");
  CHECK(drop_invalid_chains(Family::kIpv6, plain).jumps == std::vector{Hook::kInput});
  const DropInvalid exempt = drop_invalid_input(InvalidAction::kDrop, kExempt);
  CHECK(text_of(drop_invalid_chains(Family::kIpv4, exempt)) ==
        "NMANAGER_DROP_INVALID_INPUT: -i eth1 -j RETURN\n"
        "NMANAGER_DROP_INVALID_INPUT: -s 10.0.0.0/8 -j RETURN\n"
        "NMANAGER_DROP_INVALID_INPUT: -d 192.0.2.1/32 -j RETURN\n"
        "NMANAGER_DROP_INVALID_INPUT: -m conntrack --ctstate INVALID -j DROP\n"
        "NMANAGER_INPUT: -j NMANAGER_DROP_INVALID_INPUT\n");
  CHECK(text_of(drop_invalid_chains(Family::kIpv6, exempt)).find("-s fd00::/8 -j RETURN") !=
        std::string::npos);
}

TEST_CASE("INVALID from pods is dropped after FORWARD: source match first, a SYN-ACK passes") {
  const Prefix pods = *Prefix::parse("10.244.0.0/16");
  const auto chains = [&](InvalidAction action) {
    return drop_invalid_chains(Family::kIpv4, drop_invalid_forward(action, pods, kExempt));
  };
  const DesiredTable dropping = chains(InvalidAction::kDrop);
  CHECK(dropping.jumps == std::vector{Hook::kForward});
  CHECK(text_of(dropping) ==
        "NMANAGER_DROP_INVALID_FWD: -i eth1 -j RETURN\n"
        "NMANAGER_DROP_INVALID_FWD: -s 10.0.0.0/8 -j RETURN\n"
        "NMANAGER_DROP_INVALID_FWD: -d 192.0.2.1/32 -j RETURN\n"
        "NMANAGER_DROP_INVALID_FWD: -p tcp -m tcp --tcp-flags SYN,ACK SYN,ACK -j RETURN\n"
        "NMANAGER_DROP_INVALID_FWD: -s 10.244.0.0/16 -p tcp -m conntrack --ctstate INVALID -m tcp "
        "--tcp-flags RST NONE -j DROP\n"
        "NMANAGER_DROP_INVALID_FWD: -s 10.244.0.0/16 -m conntrack --ctstate INVALID -j DROP\n"
        "NMANAGER_FORWARD: -s 10.244.0.0/16 -m conntrack --ctstate INVALID -j "
        "NMANAGER_DROP_INVALID_FWD\n");
  const DesiredTable counting = chains(InvalidAction::kCount);
  std::string expected = text_of(dropping);
  for (std::size_t at = 0; (at = expected.find("-j DROP", at)) != std::string::npos;) {
    expected.replace(at, 7, "-j RETURN");
  }
  CHECK(text_of(counting) == expected);
  CHECK(counting.jumps == dropping.jumps);
}

TEST_CASE("both drops in one table, and the counters of their rules") {
  const Prefix pods = *Prefix::parse("10.244.0.0/16");
  const TableSpec spec({drop_invalid_input(InvalidAction::kCount, {}),
                        drop_invalid_forward(InvalidAction::kDrop, pods, {})});
  const DesiredTable table = chain_table(Family::kIpv4, spec);
  CHECK(table.jumps == hooks_of(spec));
  CHECK(table.chains.size() == 4);
  std::map<InvalidCounter, int> counters;
  for (const auto& [chain, rules] : table.chains) {
    for (const Rule& rule : rules) {
      if (const auto counter = counter_of(chain, rule)) ++counters[*counter];
    }
  }
  const std::map<InvalidCounter, int> expected{{{Hook::kInput, false, true}, 1},
                                               {{Hook::kForward, true, true}, 1},
                                               {{Hook::kForward, true, false}, 1}};
  CHECK(counters == expected);
}

TEST_CASE("a table's hooks are those that lead to its chains") {
  ExternalClusterSettings settings;
  for (const bool pods : {false, true}) {
    settings.pod_cidr = pods ? Prefix::parse("10.244.0.0/16") : std::nullopt;
    const TableSpec spec(external_cluster(Family::kIpv4, {}, settings));
    CHECK(hooks_of(spec) == chain_table(Family::kIpv4, spec).jumps);
  }
  CHECK(hooks_of(TableSpec()).empty());
  const TableSpec left(
      drop_invalid_forward(InvalidAction::kLeave, *Prefix::parse("10.244.0.0/16"), {}));
  CHECK(hooks_of(left).empty());
  CHECK(chain_table(Family::kIpv4, left).jumps.empty());
}

TEST_CASE("one Service, for pods and for the node") {
  const auto table = external_cluster_chains(
      external_cluster(Family::kIpv4,
                       {external("10.19.20.201", "10.99.176.26", "default/lb",
                                 {{Protocol::kTcp, 80}, {Protocol::kTcp, 443}})},
                       with_pods()));
  CHECK(table.jumps == std::vector{Hook::kPrerouting, Hook::kOutput});
  CHECK(
      text_of(table) ==
      "NMANAGER_EX_CLUS_OUTPUT: -d 10.19.20.201/32 -p tcp -m addrtype --src-type LOCAL -m "
      "multiport "
      "--dports 80,443 -m comment --comment \"default/lb\" -j NMANAGER_MARK_MASQ\n"
      "NMANAGER_EX_CLUS_OUTPUT: -d 10.19.20.201/32 -p tcp -m addrtype --src-type LOCAL -m "
      "multiport "
      "--dports 80,443 -m comment --comment \"default/lb\" -j DNAT --to-destination 10.99.176.26\n"
      "NMANAGER_EX_CLUS_PREROUTING: -s 10.244.0.0/16 -d 10.19.20.201/32 -p tcp -m multiport "
      "--dports "
      "80,443 -m comment --comment \"default/lb\" -j NMANAGER_MARK_MASQ\n"
      "NMANAGER_EX_CLUS_PREROUTING: -s 10.244.0.0/16 -d 10.19.20.201/32 -p tcp -m multiport "
      "--dports "
      "80,443 -m comment --comment \"default/lb\" -j DNAT --to-destination 10.99.176.26\n"
      "NMANAGER_MARK_MASQ: -j MARK --set-xmark 0x4000/0x4000\n"
      "NMANAGER_OUTPUT: -j NMANAGER_EX_CLUS_OUTPUT\n"
      "NMANAGER_PREROUTING: -j NMANAGER_EX_CLUS_PREROUTING\n");
}

TEST_CASE("settings shape the rules") {
  const std::vector entries{external("10.0.0.1", "10.96.0.1", "a/b", {{Protocol::kUdp, 53}})};
  auto settings = with_pods();
  SUBCASE("no pod CIDR: the part for pods is off") {
    settings.pod_cidr.reset();
    const auto table = external_cluster_chains(external_cluster(Family::kIpv4, entries, settings));
    CHECK(table.jumps == std::vector{Hook::kOutput});
    CHECK_FALSE(table.chains.contains(kRoot));
  }
  SUBCASE("every source is a pod: no -s") {
    settings.pod_cidr = Prefix::parse("0.0.0.0/0");
    const auto table = external_cluster_chains(external_cluster(Family::kIpv4, entries, settings));
    CHECK_FALSE(table.chains.at(kRoot).front().source.has_value());
  }
  SUBCASE("by address: no protocol, no ports") {
    settings.match = MatchBy::kAddress;
    const auto table = external_cluster_chains(external_cluster(Family::kIpv4, entries, settings));
    CHECK(to_string(table.chains.at(kRoot).back()) ==
          "-s 10.244.0.0/16 -d 10.0.0.1/32 -m comment --comment \"a/b\" -j DNAT --to-destination "
          "10.96.0.1");
  }
  SUBCASE("another mark bit") {
    settings.masquerade_bit = 31;
    const auto table = external_cluster_chains(external_cluster(Family::kIpv4, entries, settings));
    CHECK(to_string(table.chains.at(ChainName("NMANAGER_MARK_MASQ")).front()) ==
          "-j MARK --set-xmark 0x80000000/0x80000000");
  }
  SUBCASE("the other family is omitted, the chains exist") {
    const auto table = external_cluster_chains(
        external_cluster(Family::kIpv6, entries, ExternalClusterSettings{}));
    CHECK(table.chains.at(ChainName("NMANAGER_EX_CLUS_OUTPUT")).empty());
  }
}

TEST_CASE("source ranges restrict the rules, and without allowed sources there are none") {
  auto entry = external("10.0.0.1", "10.96.0.1", "a/b", {{Protocol::kTcp, 80}});
  const auto sources = [&](std::vector<const char*> ranges, const ChainName& chain) {
    entry.allowed_sources.clear();
    for (const char* range : ranges) entry.allowed_sources.push_back(*Prefix::parse(range));
    std::vector<std::string> result;
    const auto table =
        external_cluster_chains(external_cluster(Family::kIpv4, {entry}, with_pods()));
    for (const Rule& rule : table.chains.at(chain)) {
      if (!std::holds_alternative<Dnat>(rule.target)) continue;
      result.push_back(rule.source ? to_string(*rule.source) : "any");
    }
    return result;
  };
  using Sources = std::vector<std::string>;
  const ChainName output("NMANAGER_EX_CLUS_OUTPUT");
  CHECK(sources({"10.0.0.0/8"}, kRoot) == Sources{"10.244.0.0/16"});
  CHECK(sources({"10.244.1.0/24", "10.244.2.0/24"}, kRoot) ==
        Sources{"10.244.1.0/24", "10.244.2.0/24"});
  CHECK(sources({"10.244.1.0/24", "10.0.0.0/8"}, kRoot) == Sources{"10.244.0.0/16"});
  CHECK(sources({"203.0.113.0/24"}, kRoot) == Sources{});
  CHECK(sources({"203.0.113.0/24"}, output) == Sources{"203.0.113.0/24"});
  CHECK(sources({"0.0.0.0/0"}, output) == Sources{"any"});
  CHECK(sources({"fd00::/8"}, output) == Sources{});
}

TEST_CASE("the first owner gets the port, the order of input does not matter") {
  const auto a =
      external("10.0.0.1", "10.96.0.1", "ns/a", {{Protocol::kTcp, 80}, {Protocol::kTcp, 81}});
  const auto b =
      external("10.0.0.1", "10.96.0.2", "ns/b", {{Protocol::kTcp, 81}, {Protocol::kTcp, 82}});
  const auto c = external("10.0.0.2", "10.96.0.3", "ns/c", {{Protocol::kTcp, 81}});
  const auto table =
      external_cluster_chains(external_cluster(Family::kIpv4, {a, b, c}, with_pods()));
  CHECK(table == external_cluster_chains(external_cluster(Family::kIpv4, {c, b, a}, with_pods())));
  std::size_t looked = 0;
  const auto to = [&](const char* address, std::uint16_t port) {
    const auto found = walk(table, kRoot, *Address::parse(address), Protocol::kTcp, port, looked);
    return found ? to_string(*found) : "nowhere";
  };
  CHECK(to("10.0.0.1", 80) == "10.96.0.1");
  CHECK(to("10.0.0.1", 81) == "10.96.0.1");
  CHECK(to("10.0.0.1", 82) == "10.96.0.2");
  CHECK(to("10.0.0.2", 81) == "10.96.0.3");
  CHECK(to("10.0.0.2", 80) == "nowhere");
  auto by_address = with_pods();
  by_address.match = MatchBy::kAddress;
  const auto whole = external_cluster_chains(external_cluster(Family::kIpv4, {b, a}, by_address));
  CHECK(whole.chains.at(kRoot).size() == 2);
  CHECK(whole.chains.at(kRoot).front().comment == "ns/a");
}

TEST_CASE("ports are grouped") {
  const auto group_all = [](const std::vector<ServicePort>& ports) {
    std::string text;
    for (const auto& [protocol, set] : group_ports(ports)) {
      text += text.empty() ? "" : " | ";
      if (protocol != Protocol::kTcp) text += std::string(to_string(protocol)) + ' ';
      std::string one;
      for (const PortRange& range : set) {
        one += (one.empty() ? "" : ",") + std::to_string(range.first) +
               (range.first == range.last ? "" : ":" + std::to_string(range.last));
      }
      text += one;
    }
    return text;
  };
  const auto group = [&](const std::vector<std::uint16_t>& ports) {
    std::vector<ServicePort> all;
    for (const std::uint16_t port : ports) all.push_back({Protocol::kTcp, port});
    return group_all(all);
  };
  CHECK(group({80}) == "80");
  CHECK(group({80, 81}) == "80:81");
  CHECK(group({80, 443}) == "80,443");
  std::vector<std::uint16_t> run;
  std::vector<std::uint16_t> scattered;
  for (std::uint16_t i = 0; i < 20; ++i) {
    run.push_back(static_cast<std::uint16_t>(3000 + i));
    scattered.push_back(static_cast<std::uint16_t>(2 * i + 1));
  }
  CHECK(group(run) == "3000:3019");
  CHECK(group(scattered) == "1,3,5,7,9,11,13,15,17,19,21,23,25,27,29 | 31,33,35,37,39");
  // A range takes two of the fifteen slots: seven of them leave one free.
  CHECK(group({1, 2, 4, 5, 7, 8, 10, 11, 13, 14, 16, 17, 19, 20, 22, 23}) ==
        "1:2,4:5,7:8,10:11,13:14,16:17,19:20 | 22:23");
  CHECK(group({65535}) == "65535");
  CHECK(group({}).empty());
  CHECK(group_all({{Protocol::kTcp, 80}, {Protocol::kUdp, 81}, {Protocol::kUdp, 82}}) ==
        "80 | udp 81:82");
}

TEST_CASE("sixteen addresses are flat, seventeen are a tree, with the same results") {
  for (const std::uint32_t count : {16U, 17U, 300U}) {
    std::vector<ExternalAddress> entries;
    for (std::uint32_t i = 0; i < count; ++i) entries.push_back(numbered(i * 7));
    const auto table =
        external_cluster_chains(external_cluster(Family::kIpv4, entries, with_pods()));
    CAPTURE(count);
    CHECK((table.chains.size() > 6) == (count > kFlatAddresses));
    std::size_t looked = 0;
    for (const ExternalAddress& entry : entries) {
      CHECK(walk(table, kRoot, entry.external, Protocol::kTcp, 443, looked) == entry.cluster);
      CHECK_FALSE(walk(table, kRoot, entry.external, Protocol::kUdp, 443, looked));
      CHECK_FALSE(walk(table, kRoot, entry.external, Protocol::kTcp, 444, looked));
    }
    CHECK_FALSE(walk(table, kRoot, *Address::parse("10.0.0.1"), Protocol::kTcp, 443, looked));
  }
}

TEST_CASE("the tree: a miss is cheap, a leaf is small, names fit, IPv6 too") {
  std::mt19937 random(7);
  for (const Family family : kFamilies) {
    std::vector<ExternalAddress> entries;
    for (int i = 0; i < 3000; ++i) {
      std::array<std::uint8_t, 16> bytes{};
      bytes[0] = family == Family::kIpv4 ? 10 : 0xfd;
      const std::size_t last = family == Family::kIpv4 ? 3 : 15;
      for (std::size_t b = last - 2; b <= last; ++b) bytes[b] = static_cast<std::uint8_t>(random());
      const char* cluster = family == Family::kIpv4 ? "10.96.0.1" : "fd96::1";
      entries.push_back(
          {Address(family, bytes), *Address::parse(cluster), "n/s", {{Protocol::kTcp, 80}}, {}});
    }
    ExternalClusterSettings settings;
    settings.pod_cidr = Prefix::parse(family == Family::kIpv4 ? "10.244.0.0/16" : "fd44::/16");
    const auto table = external_cluster_chains(external_cluster(family, entries, settings));
    for (const auto& [name, rules] : table.chains) CHECK(rules.size() <= kLeafRules);
    for (const ExternalAddress& entry : entries) {
      std::size_t looked = 0;
      CHECK(walk(table, kRoot, entry.external, Protocol::kTcp, 80, looked).has_value());
      CHECK(looked <= 7 * 16);
    }
  }
}

TEST_CASE("adding or removing one address changes few chains") {
  std::mt19937 random(11);
  std::vector<ExternalAddress> entries;
  for (int i = 0; i < 2000; ++i) entries.push_back(numbered(random() & 0xffffff));
  const auto before =
      external_cluster_chains(external_cluster(Family::kIpv4, entries, with_pods()));
  for (int round = 0; round < 50; ++round) {
    auto more = entries;
    more.push_back(numbered(random() & 0xffffff));
    const auto after = external_cluster_chains(external_cluster(Family::kIpv4, more, with_pods()));
    std::size_t changed = 0;
    for (const auto& [name, rules] : after.chains) {
      const auto old = before.chains.find(name);
      if (old == before.chains.end() || old->second != rules) ++changed;
    }
    for (const auto& chain : before.chains) changed += after.chains.contains(chain.first) ? 0 : 1;
    CHECK(changed > 0);
    // Two parts; in each a leaf, or a leaf that splits: itself and at most its children.
    CHECK(changed <= 2 * 10);
  }
}

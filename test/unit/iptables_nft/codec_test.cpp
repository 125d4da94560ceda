// Compares every kind of rule that we write with the output of the installed iptables-nft.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <sstream>

#include "hooks/chains/rule_text.h"
#include "hooks/iptables_nft/codec.h"
#include "hooks/iptables_nft/observe.h"
#include "hooks/iptables_nft/write.h"
#include "test/unit/iptables_nft/sandbox.h"

namespace nmanager::test {
using namespace nmanager::chains;
using namespace nmanager::iptables_nft;
using namespace nmanager::netlink;
namespace {

Rule drop() {
  Rule rule;
  rule.target = Drop{};
  return rule;
}

/// Rules that mean the same in both families. They depend on the table, since DROP is refused in
/// nat and DNAT in filter.
std::vector<Rule> rules_of(TableId id) {
  const bool v4 = id.family == Family::kIpv4;
  const bool nat = id.table == Table::kNat;
  const Address to = address(v4 ? "10.96.0.10" : "fd00:10:96::a");
  const Prefix host = Prefix::host(address(v4 ? "192.0.2.7" : "2001:db8::7"));
  const Prefix pods = prefix(v4 ? "10.244.0.0/16" : "fd00:10:244::/56");
  std::vector<Rule> rules;
  const auto add = [&](auto&& set) {
    Rule rule;
    rule.target = Return{};
    set(rule);
    rules.push_back(std::move(rule));
  };
  add([](Rule&) {});
  add([](Rule& r) { r.target = Jump{ChainName("NMANAGER_OTHER")}; });
  add([](Rule& r) { r.target = Jump{ChainName("NMANAGER_OTHER"), true}; });
  add([](Rule& r) { r.target = Jump{ChainName("NMANAGER_28_CHARACTERS_LONG_")}; });
  add([](Rule& r) { r.target = SetMark{0x4000, 0x4000}; });
  add([](Rule& r) { r.target = SetMark{0x80000000, 0x80000000}; });
  add([](Rule& r) { r.target = SetMark{1, 0xffffffff}; });
  add([](Rule& r) { r.in_interface = "eth0"; });
  add([](Rule& r) { r.in_interface = "cali+"; });
  add([](Rule& r) { r.in_interface = "abcdefghijklmno"; });
  add([](Rule& r) { r.in_interface = "abcdefghijklmn+"; });
  add([](Rule& r) { r.source_is_local = true; });
  add([](Rule& r) { r.state_invalid = true; });
  for (const char* const comment :
       {"kube-system/kube-dns", "plain", "a b", "with \"quotes\" and \\ backslash", "it's"}) {
    add([&](Rule& r) { r.comment = comment; });
  }
  add([](Rule& r) { r.comment = std::string(255, 'x'); });
  for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp, Protocol::kSctp}) {
    add([&](Rule& r) { r.protocol = protocol; });
    for (const PortSet& ports :
         {PortSet{{80, 80}}, PortSet{{1, 65535}}, PortSet{{65535, 65535}}, PortSet{{8000, 8001}},
          PortSet{{1, 1}, {443, 443}}, PortSet{{1, 1}, {3, 4}, {65535, 65535}}}) {
      add([&](Rule& r) {
        r.protocol = protocol;
        r.destination_ports = ports;
      });
    }
  }
  add([](Rule& r) {
    r.protocol = Protocol::kTcp;
    for (std::uint16_t port = 1; port < 30; port += 2) r.destination_ports.push_back({port, port});
  });
  add([](Rule& r) {
    r.protocol = Protocol::kTcp;
    for (std::uint16_t port = 10; port <= 70; port = static_cast<std::uint16_t>(port + 10)) {
      r.destination_ports.push_back({port, static_cast<std::uint16_t>(port + 1)});
    }
    r.destination_ports.push_back({9, 9});
    std::rotate(r.destination_ports.begin(), r.destination_ports.end() - 1,
                r.destination_ports.end());
  });
  for (const TcpFlags& flags :
       {TcpFlags{kTcpRst, 0}, TcpFlags{kTcpSyn | kTcpAck, kTcpSyn | kTcpAck}, TcpFlags{0x3f, 0x3f},
        TcpFlags{0x01, 0x01}}) {
    for (const bool invalid : {false, true}) {
      add([&](Rule& r) {
        r.protocol = Protocol::kTcp;
        r.tcp_flags = flags;
        r.state_invalid = invalid;
      });
    }
  }
  const Address bits = address(v4 ? "255.255.255.255" : "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  for (int length = 1; length <= address_bits(id.family); ++length) {
    add([&](Rule& r) { r.source = Prefix(bits, length); });
    add([&](Rule& r) { r.destination = Prefix(bits, length); });
  }
  for (const char* const text :
       v4 ? std::vector<const char*>{"0.0.0.0/32", "10.0.0.0/7", "10.0.0.0/8", "128.0.0.0/1"}
          : std::vector<const char*>{"::/128", "fd00::/7", "fd00::/8", "8000::/1", "::1/127"}) {
    add([&](Rule& r) { r.destination = prefix(text); });
  }
  if (nat) {
    add([&](Rule& r) { r.target = Dnat{to}; });
    add([&](Rule& r) {
      r.source = pods;
      r.destination = host;
      r.protocol = Protocol::kTcp;
      r.destination_ports = {{443, 443}};
      r.comment = "ns/name";
      r.target = Dnat{to};
    });
    add([&](Rule& r) {
      r.destination = host;
      r.source_is_local = true;
      r.protocol = Protocol::kUdp;
      r.destination_ports = {{53, 53}, {5353, 5353}};
      r.comment = "ns/name";
      r.target = Jump{ChainName("NMANAGER_OTHER")};
    });
  } else {
    add([](Rule& r) { r = drop(); });
    add([](Rule& r) {
      r = drop();
      r.state_invalid = true;
    });
  }
  add([&](Rule& r) {  // everything at once
    r.source = pods;
    r.destination = host;
    r.in_interface = "eth+";
    r.protocol = Protocol::kSctp;
    r.source_is_local = true;
    r.state_invalid = true;
    r.destination_ports = {{1, 2}, {5, 5}};
    r.comment = "all of it";
    if (nat) r.target = Dnat{to};
  });
  return rules;
}

void write_rules(Netlink& netlink, TableId id, const std::vector<Rule>& rules) {
  const auto generation = netlink.generation();
  REQUIRE(generation.ok());
  Batch batch(*generation);
  ChainWriter writer(batch, id);
  for (const Rule& rule : rules) writer.insert_rule("NMANAGER_OURS", rule, std::nullopt);
  batch.finish();
  const auto errors = netlink.send(batch);
  REQUIRE(errors.ok());
  for (const BatchError& error : *errors) {
    FAIL(describe(batch.find(error.sequence)) << ' ' << error.code);
  }
}

std::string chains_text() {
  return ":NMANAGER_OURS - [0:0]\n:NMANAGER_THEIRS - [0:0]\n:NMANAGER_OTHER - [0:0]\n"
         ":NMANAGER_28_CHARACTERS_LONG_ - [0:0]\n";
}

std::vector<std::string> lines_with(const std::string& text, const std::string& start) {
  std::vector<std::string> result;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with(start)) result.push_back(line);
  }
  return result;
}

TEST_CASE("each kind of rule is byte for byte that of iptables-nft, and is decoded again") {
  for (const TableId id : kTables) {
    const Sandbox sandbox;
    if (!sandbox.usable()) return;
    const std::vector<Rule> rules = rules_of(id);
    std::string text = chains_text();
    for (const Rule& rule : rules) text += "-A NMANAGER_THEIRS " + to_string(rule) + '\n';
    restore(id, text);
    Netlink netlink;
    write_rules(netlink, id, rules);

    const auto ours = expressions(netlink, id, "NMANAGER_OURS");
    const auto theirs = expressions(netlink, id, "NMANAGER_THEIRS");
    REQUIRE(ours.size() == rules.size());
    REQUIRE(theirs.size() == rules.size());
    const auto observed = read_own_chain(netlink, id, ChainName("NMANAGER_THEIRS"));
    REQUIRE(observed.ok());
    for (std::size_t i = 0; i < rules.size(); ++i) {
      CAPTURE(to_string(id));
      CAPTURE(to_string(rules[i]));
      CHECK(ours[i] == theirs[i]);
      CHECK((*observed)[i].rule == rules[i]);
    }
  }
}

TEST_CASE("iptables-nft lists, checks and deletes our rules as its own") {
  for (const TableId id : kTables) {
    const Sandbox sandbox;
    if (!sandbox.usable()) return;
    const std::vector<Rule> rules = rules_of(id);
    restore(id, chains_text());
    Netlink netlink;
    write_rules(netlink, id, rules);
    const auto saved = lines_with(save(id, false), "-A NMANAGER_OURS ");
    const auto listed = lines_with(must(iptables(id) + " -S NMANAGER_OURS"), "-A ");
    REQUIRE(saved.size() == rules.size());
    REQUIRE(listed.size() == rules.size());
    std::string deletions;
    for (std::size_t i = 0; i < rules.size(); ++i) {
      const std::string expected = "-A NMANAGER_OURS " + to_string(rules[i]);
      CHECK(saved[i] == expected);
      CHECK(listed[i] == expected);
      deletions += "-D NMANAGER_OURS " + to_string(rules[i]) + '\n';
    }
    for (std::size_t i = 0; i < rules.size(); i += 7) {
      must(iptables(id) + " -C NMANAGER_OURS " + to_string(rules[i]));
    }
    restore(id, deletions);
    CHECK(lines_with(save(id, false), "-A NMANAGER_OURS ").empty());
  }
}

TEST_CASE("a rule that is nearly ours is not treated as ours") {
  struct NotOurs {
    Family family;
    Table table;
    const char* text;
  };
  const NotOurs cases[] = {
      {Family::kIpv4, Table::kFilter, "! -s 10.0.0.0/8 -j RETURN"},
      {Family::kIpv4, Table::kFilter, "! -d 10.0.0.1/32 -j RETURN"},
      {Family::kIpv4, Table::kFilter, "! -i eth0 -j RETURN"},
      {Family::kIpv4, Table::kFilter, "-o eth0 -j RETURN"},
      {Family::kIpv4, Table::kFilter, "! -p tcp -j RETURN"},
      {Family::kIpv4, Table::kFilter, "-p icmp -j RETURN"},
      {Family::kIpv4, Table::kFilter, "-s 255.0.0.1/255.0.0.255 -j RETURN"},
      {Family::kIpv4, Table::kFilter, "-j ACCEPT"},
      {Family::kIpv4, Table::kFilter, "-m addrtype --dst-type LOCAL -j RETURN"},
      {Family::kIpv4, Table::kFilter, "-m addrtype ! --src-type LOCAL -j RETURN"},
      {Family::kIpv4, Table::kFilter, "-m addrtype --src-type LOCAL --limit-iface-in -j RETURN"},
      {Family::kIpv4, Table::kFilter, "-m conntrack --ctstate INVALID,NEW -j DROP"},
      {Family::kIpv4, Table::kFilter, "-m conntrack ! --ctstate INVALID -j DROP"},
      {Family::kIpv4, Table::kFilter, "-m state --state INVALID -j DROP"},
      {Family::kIpv4, Table::kFilter, "-p tcp -m tcp --sport 80 -j RETURN"},
      {Family::kIpv4, Table::kFilter, "-p tcp -m tcp ! --dport 80 -j RETURN"},
      {Family::kIpv4, Table::kFilter, "-p tcp -m tcp ! --dport 80:90 -j RETURN"},
      {Family::kIpv4, Table::kFilter, "-p tcp -m tcp --dport 80 --sport 1 -j RETURN"},
      {Family::kIpv4, Table::kFilter, "-p tcp -m multiport --sports 1,2 -j RETURN"},
      {Family::kIpv4, Table::kFilter, "-p tcp -m multiport ! --dports 1,2 -j RETURN"},
      {Family::kIpv4, Table::kFilter, "-p tcp -m multiport --ports 1,2 -j RETURN"},
      {Family::kIpv4, Table::kFilter, "-p tcp -m multiport --dports 80 -j RETURN"},
      {Family::kIpv4, Table::kFilter, "-m comment --comment a -m comment --comment b -j RETURN"},
      {Family::kIpv4, Table::kFilter,
       "-m comment --comment a -m addrtype --src-type LOCAL -j DROP"},
      {Family::kIpv4, Table::kFilter, "-m mark --mark 1 -j RETURN"},
      {Family::kIpv4, Table::kFilter, "-m limit --limit 1/s -j RETURN"},
      {Family::kIpv4, Table::kFilter, "-f -j RETURN"},
      {Family::kIpv4, Table::kFilter, "-j LOG"},
      {Family::kIpv4, Table::kNat, "-p tcp -j DNAT --to-destination 10.0.0.1:80"},
      {Family::kIpv4, Table::kNat, "-j DNAT --to-destination 10.0.0.1-10.0.0.2"},
      {Family::kIpv4, Table::kNat, "-j DNAT --to-destination 10.0.0.1 --random"},
      {Family::kIpv4, Table::kNat, "-j DNAT --to-destination 10.0.0.1 --persistent"},
      {Family::kIpv4, Table::kNat, "-p tcp -j REDIRECT --to-ports 1"},
      {Family::kIpv4, Table::kNat, "-j MARK --and-mark 1 -m mark --mark 2"},
      {Family::kIpv6, Table::kNat, "-j DNAT --to-destination fd00::1-fd00::2"},
      {Family::kIpv6, Table::kFilter, "-s ff00::1/ff00::ff -j RETURN"},
  };
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  for (const NotOurs& test : cases) {
    const TableId id{test.family, test.table};
    CAPTURE(std::string(test.text));
    restore(id, std::string(":NMANAGER_X - [0:0]\n-A NMANAGER_X ") + test.text + '\n');
    Netlink netlink;
    const auto observed = read_own_chain(netlink, id, ChainName("NMANAGER_X"));
    REQUIRE(observed.ok());
    REQUIRE(observed->size() == 1);
    CHECK_FALSE(observed->front().rule.has_value());
  }
}

TEST_CASE("native expressions, a missing counter and user data are not ours either") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const TableId id{Family::kIpv4, Table::kNat};
  must("nft add table ip nat; nft add chain ip nat NMANAGER_X; nft add chain ip nat NMANAGER_Y");
  const char* const rules[] = {
      "jump NMANAGER_Y",
      "ct state invalid counter return",
      "counter jump NMANAGER_Y comment \"by hand\"",
      "counter counter jump NMANAGER_Y",
      "ip ttl 1 counter jump NMANAGER_Y",
      "tcp dport 80 counter dnat to 10.0.0.1",
      "ip daddr { 10.0.0.1, 10.0.0.2 } counter return",
      "iifname \"eth+\" counter return",
      "meta mark set 1 counter",
  };
  for (const char* const rule : rules) {
    must(std::string("nft 'add rule ip nat NMANAGER_X ") + rule + "'");
  }
  must("nft add rule ip nat NMANAGER_X counter jump NMANAGER_Y");
  Netlink netlink;
  const auto observed = read_own_chain(netlink, id, ChainName("NMANAGER_X"));
  REQUIRE(observed.ok());
  REQUIRE(observed->size() == std::size(rules) + 1);
  for (std::size_t i = 0; i < std::size(rules); ++i) {
    CAPTURE(std::string(rules[i]));
    CHECK_FALSE((*observed)[i].rule.has_value());
  }
  CHECK(observed->back().rule == jump_to("NMANAGER_Y"));
}

}  // namespace
}  // namespace nmanager::test

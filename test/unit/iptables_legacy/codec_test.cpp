// Our entries are byte for byte those that iptables-legacy writes for the same text.
#include "hooks/iptables_legacy/codec.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "hooks/chains/rule_text.h"
#include "hooks/iptables_legacy/blob.h"
#include "hooks/iptables_legacy/entry_hash.h"
#include "hooks/iptables_legacy/family.h"
#include "hooks/iptables_legacy/kernel.h"
#include "test/unit/iptables_legacy/sandbox.h"

namespace nmanager::test {
using namespace nmanager::chains;
using namespace nmanager::iptables_legacy;
namespace {

using iptables_legacy::BlobIndex;
using iptables_legacy::Span;
using iptables_legacy::TableSocket;
using Make = std::function<void(Rule&)>;

struct Case {
  Family family;
  const char* name;
  Make make;
};

constexpr Family k4 = Family::kIpv4;
constexpr Family k6 = Family::kIpv6;

Make drop(Make make = {}) {
  return [make](Rule& rule) {
    rule.target = Drop{};
    if (make) make(rule);
  };
}

Make ports(Protocol protocol, std::vector<PortRange> set) {
  return drop([=](Rule& rule) {
    rule.protocol = protocol;
    rule.destination_ports.assign(set.begin(), set.end());
  });
}

Make flags(TcpFlags flags, bool invalid) {
  return drop([=](Rule& rule) {
    rule.protocol = Protocol::kTcp;
    rule.tcp_flags = flags;
    rule.state_invalid = invalid;
  });
}

Make source(const char* text) {
  return drop([=](Rule& rule) { rule.source = prefix(text); });
}

Make destination(const char* text) {
  return drop([=](Rule& rule) { rule.destination = prefix(text); });
}

Make interface(const char* name) {
  return drop([=](Rule& rule) { rule.in_interface = name; });
}

Make comment(std::string text) {
  return drop([=](Rule& rule) { rule.comment = text; });
}

Make target(Target value) {
  return [=](Rule& rule) { rule.target = value; };
}

std::vector<PortRange> singles(std::uint16_t count) {
  std::vector<PortRange> set;
  for (std::uint16_t i = 0; i < count; ++i) {
    const auto port = static_cast<std::uint16_t>(100 + 2 * i);
    set.push_back({port, port});
  }
  return set;
}

/// All matches at once, more than the external-cluster rules use.
Make everything(const char* from, const char* to, Target last) {
  return [=](Rule& rule) {
    rule.source = prefix(from);
    rule.destination = prefix(to);
    rule.in_interface = "eth0";
    rule.protocol = Protocol::kTcp;
    rule.source_is_local = true;
    rule.state_invalid = true;
    rule.destination_ports = {{80, 80}, {8000, 8100}, {65535, 65535}};
    rule.comment = "kube-system/some \"name\"";
    rule.target = last;
  };
}

std::vector<Case> cases() {
  const std::string longest(255, 'x');
  std::vector<Case> result;
  for (const Family family : kFamilies) {
    const std::vector<std::pair<const char*, Make>> both = {
        {"drop", drop()},
        {"return", target(Return{})},
        {"jump", target(Jump{ChainName("NMANAGER_OTHER")})},
        {"goto", target(Jump{ChainName("NMANAGER_OTHER"), true})},
        {"jump, longest name", target(Jump{ChainName("NMANAGER_567890123456789012X")})},
        {"mark", target(SetMark{0x4000, 0x4000})},
        {"mark, all bits", target(SetMark{0xffffffff, 0xffffffff})},
        {"mark, value beyond the mask", target(SetMark{0x8000, 0x1})},
        {"mark, nothing", target(SetMark{0, 0})},
        {"interface", interface("eth0")},
        {"interface, wildcard", interface("cali+")},
        {"interface, any", interface("+")},
        {"interface, longest", interface("abcdefghijklmno")},
        {"interface, longest wildcard", interface("abcdefghijklmn+")},
        {"tcp", ports(Protocol::kTcp, {})},
        {"udp", ports(Protocol::kUdp, {})},
        {"sctp", ports(Protocol::kSctp, {})},
        {"tcp flags", flags({kTcpSyn | kTcpAck, kTcpSyn | kTcpAck}, false)},
        {"tcp flags, none of them", flags({kTcpRst, 0}, false)},
        {"tcp flags, all, INVALID", flags({0x3f, 0x3f}, true)},
        {"tcp port", ports(Protocol::kTcp, {{80, 80}})},
        {"tcp first port", ports(Protocol::kTcp, {{1, 1}})},
        {"tcp last port", ports(Protocol::kTcp, {{65535, 65535}})},
        {"tcp range", ports(Protocol::kTcp, {{30000, 32767}})},
        {"tcp widest range", ports(Protocol::kTcp, {{1, 65535}})},
        {"udp port", ports(Protocol::kUdp, {{53, 53}})},
        {"udp range", ports(Protocol::kUdp, {{1, 1023}})},
        {"sctp port", ports(Protocol::kSctp, {{38412, 38412}})},
        {"sctp range", ports(Protocol::kSctp, {{1, 2}})},
        {"two ports", ports(Protocol::kTcp, {{80, 80}, {443, 443}})},
        {"15 ports", ports(Protocol::kUdp, singles(15))},
        {"port and range", ports(Protocol::kTcp, {{1, 1}, {5, 9}})},
        {"seven ranges and a port",
         ports(Protocol::kSctp,
               {{1, 2}, {4, 5}, {7, 8}, {10, 11}, {13, 14}, {16, 17}, {19, 20}, {22, 22}})},
        {"local source", drop([](Rule& rule) { rule.source_is_local = true; })},
        {"invalid", drop([](Rule& rule) { rule.state_invalid = true; })},
        {"comment", comment("plain-comment_1")},
        {"comment, slash", comment("namespace/name")},
        {"comment, quotes", comment("a \"quoted\" 'one' back\\slash")},
        {"comment, 255 bytes", comment(longest)},
        {"comment, utf-8", comment("caf\u00e9 \u2192")},
        {"comment, one byte", comment("x")},
    };
    for (const auto& [name, make] : both) result.push_back({family, name, make});
  }
  const std::vector<Case> single = {
      {k4, "source host", source("10.1.2.3/32")},
      {k4, "source /1", source("128.0.0.0/1")},
      {k4, "source /17", source("10.244.128.0/17")},
      {k4, "destination", destination("192.0.2.7/32")},
      {k4, "destination /31", destination("192.0.2.6/31")},
      {k4, "dnat", target(Dnat{address("10.96.0.10")})},
      {k4, "all", everything("10.244.0.0/16", "192.0.2.7/32", Dnat{address("10.96.0.10")})},
      {k4, "all, jump",
       everything("10.244.0.0/16", "192.0.2.7/32", Jump{ChainName("NMANAGER_OTHER")})},
      {k6, "source host", source("2001:db8::1/128")},
      {k6, "source /1", source("8000::/1")},
      {k6, "source /63", source("2001:db8:0:2::/63")},
      {k6, "destination", destination("2001:db8::ffff:1:2/128")},
      {k6, "destination, IPv4-mapped", destination("::ffff:192.0.2.1/128")},
      {k6, "dnat", target(Dnat{address("fd00::a")})},
      {k6, "all", everything("fd00:10:244::/56", "2001:db8::7/128", Dnat{address("fd00::a")})},
      {k6, "all, goto",
       everything("fd00:10:244::/56", "2001:db8::7/128", Jump{ChainName("NMANAGER_OTHER"), true})},
  };
  result.insert(result.end(), single.begin(), single.end());
  return result;
}

Rule make_rule(const Case& c) {
  Rule rule;
  c.make(rule);
  return rule;
}

/// iptables refuses DROP in nat, the kernel refuses DNAT elsewhere.
TableId table_for(const Case& c, const Rule& rule) {
  return {c.family, std::holds_alternative<Dnat>(rule.target) ? Table::kNat : Table::kFilter};
}

/// iptables-save quotes an apostrophe differently from the shell.
std::string shell_text(std::string text) {
  for (std::size_t at; (at = text.find("\\'")) != std::string::npos;) text.erase(at, 1);
  return text;
}

/// The rules of a chain, with the counters zeroed.
std::vector<std::vector<std::uint8_t>> entries_of(TableId id, const std::string& chain) {
  auto socket = TableSocket::open(id.family);
  REQUIRE(socket.ok());
  const auto copy = socket->read(to_string(id.table));
  REQUIRE(copy.ok());
  std::vector<std::vector<std::uint8_t>> result;
  iptables_legacy::with_family(id.family, [&]<class F>(F) {
    const auto blob = BlobIndex<F>::build(copy->entries(), copy->shape());
    REQUIRE(blob.ok());
    for (const auto& candidate : blob->user_chains()) {
      if (candidate.name != chain) continue;
      blob->for_each_rule(candidate, [&](Span entry, std::string_view) {
        result.emplace_back(entry.begin(), entry.end());
        std::memset(result.back().data() + offsetof(typename F::Entry, counters), 0,
                    sizeof(xt_counters));
      });
    }
  });
  return result;
}

}  // namespace

TEST_CASE("each kind of rule is what iptables-legacy creates from its text") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto backend = make_legacy_backend(sandbox.options());
  const ChainName mine("NMANAGER_MINE");
  for (const Case& c : cases()) {
    const Rule rule = make_rule(c);
    const std::string text = to_string(rule);
    const TableId id = table_for(c, rule);
    CAPTURE(to_string(c.family));
    CAPTURE(std::string(c.name));
    CAPTURE(text);
    DesiredTable desired;
    desired.chains[mine] = {rule};
    desired.chains[ChainName("NMANAGER_OTHER")];
    desired.chains[ChainName("NMANAGER_567890123456789012X")];
    apply(*backend, id, desired);
    restore(id, ":THEIRS - [0:0]\n-A THEIRS " + text + "\n");

    const auto ours = entries_of(id, mine.str());
    REQUIRE(ours.size() == 1);
    CHECK(ours == entries_of(id, "THEIRS"));

    // iptables accepts and writes "-i +", but does not list it.
    if (rule.in_interface != "+") {
      CHECK(must(iptables(id) + " -S NMANAGER_MINE") ==
            "-N NMANAGER_MINE\n-A NMANAGER_MINE " + text + "\n");
    }
    must(iptables(id) + " -C NMANAGER_MINE " + shell_text(text));

    const ObservedTable seen = look(*backend, id);
    REQUIRE(seen.chains.at(mine).size() == 1);
    CHECK(seen.chains.at(mine)[0].rule == rule);
    must(iptables(id) + " -F THEIRS; " + iptables(id) + " -X THEIRS");
    apply(*backend, id, {});
  }
}

TEST_CASE("a rule that violates its contract is refused") {
  const std::vector<Case> broken = {
      {k4, "ports without protocol", ports(Protocol::kAny, {{1, 1}})},
      {k4, "port 0", ports(Protocol::kTcp, {{0, 1}})},
      {k4, "reversed range", ports(Protocol::kTcp, {{2, 1}})},
      {k4, "16 slots",
       ports(Protocol::kTcp,
             {{1, 2}, {4, 5}, {7, 8}, {10, 11}, {13, 14}, {16, 17}, {19, 20}, {22, 23}})},
      {k4, "other family", source("2001:db8::/32")},
      {k6, "other family", destination("10.0.0.0/8")},
      {k6, "dnat, other family", target(Dnat{address("10.0.0.1")})},
      {k4, "/0", source("0.0.0.0/0")},
      {k6, "/0", destination("::/0")},
      {k4, "interface name", interface("abcdefghijklmnop")},
      {k4, "comment, 256 bytes", comment(std::string(256, 'x'))},
      {k4, "comment with NUL", comment(std::string("a\0b", 3))},
  };
  for (const Case& c : broken) {
    CAPTURE(std::string(c.name));
    const auto encoded = iptables_legacy::encode_rule(c.family, make_rule(c));
    REQUIRE(!encoded.ok());
    CHECK(encoded.error().kind == ErrorKind::kBug);
  }
}

TEST_CASE("an entry with one different byte is not ours") {
  // Every byte of an encoded rule matters, except those that only the kernel writes.
  for (const Case& c : cases()) {
    const Rule rule = make_rule(c);
    const auto encoded = iptables_legacy::encode_rule(c.family, rule);
    REQUIRE(encoded.ok());
    const auto* jump = std::get_if<Jump>(&rule.target);
    const std::string jump_name = jump != nullptr ? jump->chain.str() : "";
    iptables_legacy::with_family(c.family, [&]<class F>(F) {
      // As the kernel stores it: no name, a verdict.
      auto bytes = encoded->data;
      const auto target_at = iptables_legacy::frame_of<F>(encoded->bytes())->target_offset;
      const bool standard = jump != nullptr || std::holds_alternative<Drop>(rule.target) ||
                            std::holds_alternative<Return>(rule.target);
      int verdict = 4711;
      if (std::holds_alternative<Drop>(rule.target)) verdict = -NF_DROP - 1;
      if (std::holds_alternative<Return>(rule.target)) verdict = XT_RETURN;
      if (standard) {
        std::memset(bytes.data() + target_at + 2, 0, XT_EXTENSION_MAXNAMELEN);
        std::memcpy(bytes.data() + target_at + sizeof(xt_entry_target), &verdict, sizeof verdict);
      }
      const Span entry(bytes.data(), encoded->size);
      CHECK(iptables_legacy::decode_rule(c.family, entry, jump_name) == rule);
      CHECK(iptables_legacy::decode_rule(c.family, entry.first(entry.size() - 8), jump_name) ==
            std::nullopt);

      const auto hash = iptables_legacy::hash_entry<F>(entry, jump_name, 1);
      const std::size_t ignored_from = offsetof(typename F::Entry, comefrom);
      const std::size_t ignored_to = offsetof(typename F::Entry, counters) + sizeof(xt_counters);
      for (std::size_t i = 0; i < entry.size(); ++i) {
        const auto original = bytes[i];
        bytes[i] = static_cast<std::uint8_t>(bytes[i] ^ 0x55);
        const auto decoded = iptables_legacy::decode_rule(c.family, entry, jump_name);
        const bool ignored = i >= ignored_from && i < ignored_to;
        const auto frame = iptables_legacy::frame_of<F>(entry);
        if (frame && frame->next_offset == entry.size()) {
          const bool same = iptables_legacy::hash_entry<F>(entry, jump_name, 1) == hash;
          CHECK((ignored ? same : !same || original == 0 || i >= target_at));
        }
        bytes[i] = original;
        if (ignored) {
          CHECK(decoded == rule);
        } else if (decoded == rule) {
          // After the NUL of an extension's name, or the offset of a jump's target.
          CAPTURE(std::string(c.name));
          CAPTURE(i);
          const bool in_verdict = jump != nullptr && i >= target_at + sizeof(xt_entry_target) &&
                                  i < target_at + sizeof(xt_entry_target) + sizeof verdict;
          CHECK((in_verdict || original == 0));
        }
      }
    });
  }
}

}  // namespace nmanager::test

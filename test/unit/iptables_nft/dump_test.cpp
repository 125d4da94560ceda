// Rules as a kernel might dump them, made by hand: a rule is ours only with the attributes that we
// know, each once. What another kernel or program adds is never overlooked.
#include <doctest/doctest.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "hooks/iptables_nft/codec.h"
#include "hooks/netlink/message.h"

namespace nmanager::test {
using namespace nmanager::iptables_nft;
using namespace nmanager::netlink;
namespace {

using Fill = std::function<void(Message&)>;

const Fill kNothing = [](Message&) {};

void add_expression(Message& message, std::string_view name, const Fill& data) {
  nlattr* const element = message.begin(NFTA_LIST_ELEM);
  message.text(NFTA_EXPR_NAME, name);
  nlattr* const nest = message.begin(NFTA_EXPR_DATA);
  data(message);
  message.end(nest);
  message.end(element);
}

/// Where a rule differs from one of ours.
struct Oddity {
  Fill in_counter = kNothing;
  Fill in_comparison = kNothing;
  Fill in_verdict = kNothing;
  Fill in_expressions = kNothing;
  Fill in_rule = kNothing;
};

/// A rule for TCP that drops, with a counter of 7 packets.
chains::ObservedRule dumped(const Oddity& odd) {
  Message message(NFT_MSG_NEWRULE, nf_family(Family::kIpv4), 0);
  message.text(NFTA_RULE_TABLE, "filter").text(NFTA_RULE_CHAIN, "NMANAGER_X");
  message.be64(NFTA_RULE_HANDLE, 42);
  nlattr* const list = message.begin(NFTA_RULE_EXPRESSIONS);
  add_expression(message, "meta", [](Message& data) {
    data.be32(NFTA_META_DREG, NFT_REG_1).be32(NFTA_META_KEY, NFT_META_L4PROTO);
  });
  add_expression(message, "cmp", [&](Message& data) {
    data.be32(NFTA_CMP_SREG, NFT_REG_1).be32(NFTA_CMP_OP, NFT_CMP_EQ);
    nlattr* const nest = data.begin(NFTA_CMP_DATA);
    const std::uint8_t tcp[] = {6};
    data.bytes(NFTA_DATA_VALUE, tcp);
    odd.in_comparison(data);
    data.end(nest);
  });
  add_expression(message, "counter", [&](Message& data) {
    data.be64(NFTA_COUNTER_BYTES, 280).be64(NFTA_COUNTER_PACKETS, 7);
    odd.in_counter(data);
  });
  add_expression(message, "immediate", [&](Message& data) {
    data.be32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    nlattr* const nest = data.begin(NFTA_IMMEDIATE_DATA);
    nlattr* const verdict = data.begin(NFTA_DATA_VERDICT);
    data.be32(NFTA_VERDICT_CODE, NF_DROP);
    odd.in_verdict(data);
    data.end(verdict);
    data.end(nest);
  });
  odd.in_expressions(message);
  message.end(list);
  odd.in_rule(message);
  return decode_rule(Family::kIpv4, *message.header());
}

TEST_CASE("a rule with our attributes is ours") {
  const chains::ObservedRule seen = dumped({});
  REQUIRE(seen.rule);
  CHECK(seen.rule->protocol == Protocol::kTcp);
  CHECK(seen.rule->target == Target(Drop{}));
  CHECK(seen.ref == 42);
  CHECK(seen.packets == 7);
}

TEST_CASE("attributes that may be there change nothing") {
  CHECK(dumped({.in_counter = [](Message& data) { data.bytes(NFTA_COUNTER_PAD, {}); }}).rule);
  CHECK(dumped({.in_rule = [](Message& rule) { rule.be64(NFTA_RULE_POSITION, 41); }}).rule);
}

TEST_CASE("an attribute that we do not know, or twice, or where none belongs: not ours") {
  const Fill unknown = [](Message& data) { data.be32(15, 1); };
  const Fill far = [](Message& data) { data.be32(200, 1); };
  const Oddity cases[] = {
      {.in_counter = unknown},
      {.in_counter = far},
      {.in_counter = [](Message& data) { data.be64(NFTA_COUNTER_PACKETS, 8); }},
      {.in_comparison = unknown},
      {.in_comparison = [](Message& data) { data.bytes(NFTA_DATA_VERDICT, {}); }},
      {.in_verdict = unknown},
      {.in_verdict = [](Message& data) { data.be32(NFTA_VERDICT_CODE, NF_ACCEPT); }},
      {.in_verdict = [](Message& data) { data.text(NFTA_VERDICT_CHAIN, "NMANAGER_Y"); }},
      {.in_expressions =
           [](Message& list) {
             add_expression(list, "counter", [](Message& data) {
               data.be64(NFTA_COUNTER_BYTES, 0).be64(NFTA_COUNTER_PACKETS, 0);
             });
           }},
      {.in_expressions = [](Message& list) { list.be32(NFTA_LIST_ELEM, 0); }},
      {.in_expressions = [](Message& list) { list.be32(NFTA_LIST_ELEM + 1, 0); }},
      {.in_rule = unknown},
      {.in_rule = far},
      {.in_rule = [](Message& rule) { rule.bytes(NFTA_RULE_USERDATA, {}); }},
      {.in_rule = [](Message& rule) { rule.be64(NFTA_RULE_HANDLE, 43); }},
  };
  for (const Oddity& odd : cases) {
    CAPTURE(&odd - cases);
    const chains::ObservedRule seen = dumped(odd);
    CHECK_FALSE(seen.rule);
    CHECK(seen.ref == 42);
  }
}

TEST_CASE("a rule without expressions is not ours") {
  Message message(NFT_MSG_NEWRULE, nf_family(Family::kIpv4), 0);
  message.text(NFTA_RULE_TABLE, "filter").text(NFTA_RULE_CHAIN, "NMANAGER_X");
  message.be64(NFTA_RULE_HANDLE, 42);
  CHECK_FALSE(decode_rule(Family::kIpv4, *message.header()).rule);
}

}  // namespace
}  // namespace nmanager::test

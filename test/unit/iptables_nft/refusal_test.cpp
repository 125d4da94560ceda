// Refusals by the kernel: reported as unsupported only if that is proven.
#include <doctest/doctest.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include <cerrno>
#include <cstdint>

#include "hooks/chains/sync.h"
#include "hooks/netlink/refusal.h"
#include "hooks/netlink/table_writer.h"
#include "test/support/capabilities.h"
#include "test/support/tables.h"
#include "test/unit/iptables_nft/sandbox.h"

namespace nmanager::test {
using namespace nmanager::chains;
using namespace nmanager::iptables_nft;
using namespace nmanager::netlink;
namespace {

/// The Error for a refused message of a batch.
Error refusal_of(Netlink& netlink, Message& message, int code) {
  Batch batch(0);
  const std::uint32_t sequence = batch.add(message);
  return refusal(netlink, batch, {sequence, code}, "table X");
}

Message& add_rule(Message& message, std::string_view expression) {
  message.text(NFTA_RULE_TABLE, "nat").text(NFTA_RULE_CHAIN, "C");
  nlattr* const list = message.begin(NFTA_RULE_EXPRESSIONS);
  for (const std::string_view name : {std::string_view("counter"), expression}) {
    nlattr* const one = message.begin(NFTA_LIST_ELEM);
    message.text(NFTA_EXPR_NAME, name);
    message.end(message.begin(NFTA_EXPR_DATA));
    message.end(one);
  }
  message.end(list);
  return message;
}

}  // namespace

TEST_CASE("a refused rule: the missing expression is named, and only a missing one") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  Netlink netlink;
  for (const int code : {ENOENT, EINVAL, EOPNOTSUPP}) {
    Message lacking(NFT_MSG_NEWRULE, NFPROTO_IPV4, NLM_F_CREATE);
    Error error = refusal_of(netlink, add_rule(lacking, "nosuchthing"), code);
    CHECK(error.kind == ErrorKind::kUnsupported);
    CHECK(error.message == "table X, rule in C: the kernel lacks expression nosuchthing");
    for (const std::string_view known : {"ct", "fib", "nat", "meta", "lookup", "immediate"}) {
      Message fine(NFT_MSG_NEWRULE, NFPROTO_IPV4, NLM_F_CREATE);
      error = refusal_of(netlink, add_rule(fine, known), code);
      CAPTURE(error.message);
      CHECK(error.kind == (code == ENOENT ? ErrorKind::kRetry : ErrorKind::kUnavailable));
    }
  }
  CHECK(run("nft list ruleset").output.empty());  // the probe creates nothing
}

TEST_CASE("a refused chain: its type is probed") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  Netlink netlink;
  const auto chain = [&](std::uint8_t family, std::string_view type, int code) {
    Message message(NFT_MSG_NEWCHAIN, family, NLM_F_CREATE);
    message.text(NFTA_CHAIN_TABLE, "nat").text(NFTA_CHAIN_NAME, "C");
    nlattr* const hook = message.begin(NFTA_CHAIN_HOOK);
    message.be32(NFTA_HOOK_HOOKNUM, 0).be32(NFTA_HOOK_PRIORITY, 0);
    message.end(hook);
    message.text(NFTA_CHAIN_TYPE, type);
    return refusal_of(netlink, message, code);
  };
  for (const int code : {ENOENT, EINVAL}) {
    CHECK(chain(NFPROTO_IPV4, "nosuchtype", code).kind == ErrorKind::kUnsupported);
    CHECK(chain(NFPROTO_IPV6, "nosuchtype", code).kind == ErrorKind::kUnsupported);
    for (const std::uint8_t family : {NFPROTO_IPV4, NFPROTO_IPV6, NFPROTO_INET}) {
      CHECK(chain(family, "nat", code).kind != ErrorKind::kUnsupported);
      CHECK(chain(family, "filter", code).kind != ErrorKind::kUnsupported);
    }
  }
  CHECK(run("nft list ruleset").output.empty());
}

TEST_CASE("a chain in the cache is gone: after the ENOENT the table is read again and repaired") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto [nft, watch] = backend();
  const DesiredTable wanted = desired(kNat4);
  const ChainDigests digests = digests_of(wanted);
  REQUIRE(sync_table(*nft, kNat4, wanted, {}, {}, &digests).verified);
  const std::string before = save(kNat4, false);
  // No event reports that the chain with the content is gone, because its new name is not one of
  // ours. The repair of the other chain then writes a jump to a missing chain.
  must(
      "iptables-nft -t nat -F NMANAGER_OUTPUT; iptables-nft -t nat -F NMANAGER_PREROUTING; "
      "iptables-nft -t nat -E NMANAGER_CONTENT X");
  const SyncReport report = sync_table(*nft, kNat4, wanted, {}, {}, &digests);
  if (!report.verified) FAIL(report.error->message);
  CHECK(report.attempts == 2);
  must("iptables-nft -t nat -F X; iptables-nft -t nat -X X");
  CHECK(save(kNat4, false) == before);
  SyncOptions one_try;
  one_try.max_attempts = 1;
  must(
      "iptables-nft -t nat -F NMANAGER_OUTPUT; iptables-nft -t nat -F NMANAGER_PREROUTING; "
      "iptables-nft -t nat -E NMANAGER_CONTENT X");
  const SyncReport once = sync_table(*nft, kNat4, wanted, {}, one_try, &digests);
  REQUIRE(once.error.has_value());
  CHECK(once.error->kind == ErrorKind::kRetry);
}

TEST_CASE("without the capability the backend fails and names the capability") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  bool ran = false;
  in_thread_without(CAP_NET_ADMIN, [&] {
    const auto made = make_nft_backend({});
    REQUIRE_FALSE(made.ok());
    CHECK(made.error().kind == ErrorKind::kDenied);
    CHECK(made.error().message.find("CAP_NET_ADMIN") != std::string::npos);
    ran = true;
  });
  CHECK(ran);
}

}  // namespace nmanager::test

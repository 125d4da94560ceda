// What is known of the table, and what other processes change in it.
#include "hooks/nftables/table_cache.h"

#include <doctest/doctest.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "hooks/nftables/write.h"
#include "test/support/command.h"
#include "test/support/sends.h"
#include "test/unit/nftables/sandbox.h"

namespace nmanager::test {
using namespace nmanager::nftables;

TEST_CASE("another process changes the table right after our commit: the elements are read again") {
  Sandbox sandbox;
  if (!sandbox.usable()) return;
  const SetId id{Family::kIpv4, SetKind::kExternal, MatchBy::kPort};
  TableCache cache{NftablesOptions{}};
  REQUIRE(cache.open());
  const auto generation = cache.netlink().generation();
  REQUIRE(generation);
  netlink::Batch batch(*generation);
  StepWriter writer(batch);
  writer.write({Verb::kAdd, OwnTable{}});
  writer.write({Verb::kAdd, SetObject{name_of(id)}});
  batch.finish();
  const auto errors = cache.netlink().send(batch);
  REQUIRE(errors);
  REQUIRE(errors->empty());
  must("nft add element inet nmanager external_ipv4 { 192.0.2.7 . tcp . 80 }");
  const auto spec = std::make_shared<const TableSpec>();
  cache.committed(netlink::next_generation(*generation), [&] { cache.know(id, spec); });
  cache.catch_up(*cache.netlink().generation());
  const auto known = cache.elements(id, nullptr);
  REQUIRE(known);
  CHECK(known->as_in == nullptr);
  CHECK(known->besides->size() == 1);
}

TEST_CASE("after a change of elements alone the rest of the table is not read again") {
  Sandbox sandbox;
  if (!sandbox.usable()) return;
  const auto native = native_backend();
  Wishes wishes;
  wishes.drop = false;
  wishes.addresses = {external("192.0.2.1", "10.96.0.1"), external("2001:db8::1", "fd00:96::1")};
  sync(*native.backend, goals(wishes));
  CHECK_FALSE(sync(*native.backend, goals(wishes)).committed);
  const auto reads_of = [&](const std::vector<Goal>& wanted, bool& committed) {
    int reads = 0;
    before_sends(
        [&](int type) {
          const int message = NFNL_MSG_TYPE(type);
          const bool nftables = NFNL_SUBSYS_ID(type) == NFNL_SUBSYS_NFTABLES;
          if (nftables && (message == NFT_MSG_GETTABLE || message == NFT_MSG_GETSET)) ++reads;
        },
        [&] { committed = sync(*native.backend, wanted).committed; });
    return reads;
  };
  bool committed = false;
  wishes.addresses.front().cluster = *Address::parse("10.96.0.2");
  CHECK(reads_of(goals(wishes), committed) == 0);
  CHECK(committed);
  CHECK(reads_of(goals(wishes), committed) == 0);
  CHECK_FALSE(committed);
  const auto table = content();
  // Of rules, and by others.
  wishes.settings.pod_cidr = Prefix::parse("10.0.0.0/8");
  CHECK(reads_of(goals(wishes), committed) == 0);
  CHECK(committed);
  CHECK(content() != table);
  CHECK(reads_of(goals(wishes), committed) > 0);
  CHECK_FALSE(committed);
  must("nft flush chain inet nmanager NMANAGER_PREROUTING");
  CHECK(reads_of(goals(wishes), committed) > 0);
  CHECK(committed);
}

}  // namespace nmanager::test

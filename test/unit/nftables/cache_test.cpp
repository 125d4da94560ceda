// What is known of the table, and what other processes change in it.
#include "hooks/nftables/table_cache.h"

#include <doctest/doctest.h>

#include "hooks/nftables/write.h"
#include "test/support/command.h"
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
  const auto known = cache.elements(id);
  REQUIRE(known);
  CHECK(known->as_in == nullptr);
  REQUIRE(known->elements != nullptr);
  CHECK(known->elements->size() == 1);
}

}  // namespace nmanager::test

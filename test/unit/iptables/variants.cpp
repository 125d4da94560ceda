#include "test/unit/iptables/variants.h"

#include <doctest/doctest.h>

#include <utility>

#include "hooks/iptables_legacy/legacy_backend.h"
#include "hooks/iptables_nft/nft_backend.h"

namespace nmanager::test {

std::vector<Variant> variants() {
  const auto legacy = [] {
    iptables_legacy::LegacyOptions options;
    options.create_tables = true;
    return iptables_legacy::make_legacy_backend(options);
  };
  const auto nft = [] {
    auto made = iptables_nft::make_nft_backend({});
    if (!made) FAIL(made.error().message);
    return std::move(made->backend);
  };
  return {{Iptables("legacy"), legacy}, {Iptables("nft"), nft}};
}

}  // namespace nmanager::test

// A TableSpec as chains and rules of iptables, for both variants. Pure.
#pragma once

#include "hooks/chains/desired.h"
#include "hooks/intent/table_spec.h"

namespace nmanager::chains {

/// Equal specs give equal tables, rule by rule.
[[nodiscard]] DesiredTable chain_table(Family family, const TableSpec& spec);

/// Its parts, one for each rule family.
[[nodiscard]] DesiredTable drop_invalid_chains(Family family, const DropInvalid& drop);
[[nodiscard]] DesiredTable external_cluster_chains(const ExternalCluster& external);

/// The kind of packets that `rule` of `chain` counts; nullopt: not INVALID packets.
[[nodiscard]] std::optional<InvalidCounter> counter_of(const ChainName& chain, const Rule& rule);

}  // namespace nmanager::chains

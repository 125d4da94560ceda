// The rules that one external address means, and the chains around them. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "hooks/chains/desired.h"
#include "hooks/intent/table_spec.h"

namespace nmanager::chains {

/// The two halves of the family: whose traffic, and where it is caught.
struct Half {
  Hook hook = Hook::kPrerouting;
  std::string_view chain;         // the root of the half's tree of chains
  std::string_view child_prefix;  // of the names of the chains below it
  std::optional<Prefix> source;   // pods come from here
  bool source_is_local = false;
};
[[nodiscard]] std::vector<Half> halves_of(const ExternalClusterSettings& settings);

/// The rules of one half for what stands for one external address.
[[nodiscard]] std::vector<Rule> rules_of(std::span<const ExternalAddress> entries, const Half& half,
                                         MatchBy match);
/// How many these are.
[[nodiscard]] std::size_t count_rules(std::span<const ExternalAddress> entries, const Half& half,
                                      MatchBy match);

/// The jumps from the hooks, and the chains that do not depend on addresses; the roots of the trees
/// are missing.
[[nodiscard]] DesiredTable frame_of(const ExternalClusterSettings& settings);

}  // namespace nmanager::chains

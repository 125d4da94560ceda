// One half's tree of chains (prefix_tree.h) without its rules: where each chain is and what it
// leads to, told from the addresses alone, so that a change is followed down its own path only.
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "hooks/chains/prefix_tree.h"
#include "hooks/values/address_map.h"

namespace nmanager::chains {

/// How many rules each address has; none is 0.
using RuleCounts = AddressMap<std::uint32_t>;

/// One chain, as it has to be for these addresses.
struct TreeChain {
  TreeName name;
  Prefix range;                  // all addresses that lead to it
  std::vector<Prefix> children;  // of an inner chain; a leaf has none
  std::size_t rules = 0;
};

class TreeView {
 public:
  /// All must live longer.
  TreeView(const RuleCounts& counts, Family family, const ChainName& root,
           std::string_view child_prefix)
      : counts_(counts), family_(family), root_(root), child_prefix_(child_prefix) {}

  [[nodiscard]] TreeChain root() const;
  /// The chain of a prefix that is a child of another one.
  [[nodiscard]] TreeChain chain(const Prefix& range) const;
  [[nodiscard]] TreeName name_of(const Prefix& range) const;

 private:
  using Place = RuleCounts::Iterator;

  [[nodiscard]] Place behind(const Prefix& range) const;
  [[nodiscard]] bool is_leaf(Place first, Place end) const;
  void fill(TreeChain& chain, Place first, Place end) const;
  void fill_inner(TreeChain& chain, Place first, Place end) const;

  const RuleCounts& counts_;
  Family family_;
  const ChainName& root_;
  std::string_view child_prefix_;
};

/// Visits the chains on the ways to `changed` (sorted), from the root down, and those below that
/// `is_known` does not know. `passed` is called for each child that is not visited: it and what is
/// below it hold what they held.
void walk(const TreeView& view, std::span<const Address> changed,
          const std::function<bool(const ChainName&)>& is_known,
          const std::function<void(const TreeChain&)>& visit,
          const std::function<void(const TreeName&, const Prefix&)>& passed);

}  // namespace nmanager::chains

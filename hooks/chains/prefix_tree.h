// A tree of chains by address prefix, so that a new connection costs the same with ten external
// addresses and with ten thousand (measured: a flat chain of 10,000 rules doubles the time of a
// connection that matches none of them; the tree adds 2 %).
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "hooks/chains/desired.h"
#include "hooks/values/address.h"
#include "hooks/values/rule.h"

namespace nmanager::chains {

/// All rules for one destination address; they stay together and in order.
struct AddressRules {
  Address destination;
  std::vector<Rule> rules;
};

/// Up to this many addresses are in the root chain itself.
inline constexpr std::size_t kFlatAddresses = 16;
/// A chain with more rules than this is split, unless they are all for one address.
inline constexpr std::size_t kLeafRules = 32;

/// The chain of all addresses that begin with the first `nibbles` half bytes of `address`: what a
/// name has no room for (IPv6 beyond /60) is hashed.
struct TreeName {
  ChainName name;
  bool hashed = false;
};
[[nodiscard]] TreeName tree_name(std::string_view child_prefix, const Address& address,
                                 int nibbles);

/// Puts `groups` (one family, sorted by address, unique) into `table`: the chain `root`, and above
/// kFlatAddresses chains below it. Each inner chain decides on the first half byte in which its
/// addresses differ and goes (-g) to the chain of that prefix. A chain's name is `child_prefix` and
/// the prefix in hexadecimal, so a chain keeps its name when addresses come and go elsewhere in the
/// tree. `child_prefix` has at most 13 characters.
void add_prefix_tree(DesiredTable& table, const ChainName& root, std::string_view child_prefix,
                     std::vector<AddressRules> groups);

}  // namespace nmanager::chains

#include "hooks/chains/prefix_tree.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "hooks/values/hash.h"
#include "hooks/values/text.h"

namespace nmanager::chains {

namespace {

using Groups = std::span<AddressRules>;

std::size_t rule_count(Groups groups) {
  std::size_t count = 0;
  for (const AddressRules& group : groups) count += group.rules.size();
  return count;
}

/// First half byte in which the (sorted) addresses differ; that of the first and the last decide.
int first_difference(Groups groups) {
  const Address& low = groups.front().destination;
  const Address& high = groups.back().destination;
  int nibble = 0;
  while (low.nibble(nibble) == high.nibble(nibble)) ++nibble;
  return nibble;
}

class TreeBuilder {
 public:
  TreeBuilder(DesiredTable& table, std::string_view child_prefix)
      : table_(table), child_prefix_(child_prefix) {}

  void leaf(const ChainName& name, Groups groups) { append(table_.chains[name], groups); }

  void inner(const ChainName& name, Groups groups) {
    const int nibble = first_difference(groups);
    std::vector<Rule> rules;
    while (!groups.empty()) {
      const std::uint8_t value = groups.front().destination.nibble(nibble);
      const auto end = std::ranges::find_if(groups, [&](const AddressRules& group) {
        return group.destination.nibble(nibble) != value;
      });
      const auto size = static_cast<std::size_t>(end - groups.begin());
      child(rules, groups.first(size), nibble + 1);
      groups = groups.subspan(size);
    }
    table_.chains[name] = std::move(rules);
  }

 private:
  static void append(std::vector<Rule>& rules, Groups groups) {
    rules.reserve(rules.size() + rule_count(groups));
    for (AddressRules& group : groups) {
      std::ranges::move(group.rules, std::back_inserter(rules));
    }
  }

  void child(std::vector<Rule>& parent, Groups groups, int nibbles) {
    const Address& address = groups.front().destination;
    const ChainName name = tree_name(child_prefix_, address, nibbles).name;
    if (!table_.chains.try_emplace(name).second) {
      append(parent, groups);  // hash collision of names: still correct, only flatter
      return;
    }
    Rule rule;
    rule.destination = Prefix(address, nibbles * 4);
    rule.target = Jump{name, true};
    parent.push_back(std::move(rule));
    if (groups.size() == 1 || rule_count(groups) <= kLeafRules) {
      leaf(name, groups);
    } else {
      inner(name, groups);
    }
  }

  DesiredTable& table_;
  std::string_view child_prefix_;
};

}  // namespace

/// 'x' keeps the two kinds of names apart.
TreeName tree_name(std::string_view child_prefix, const Address& address, int nibbles) {
  const std::size_t room = ChainName::kMaxLength - child_prefix.size();
  const bool hashed = static_cast<std::size_t>(nibbles) > room;
  std::string name(child_prefix);
  if (hashed) {
    const Prefix prefix(address, nibbles * 4);
    const auto hash = hash_bytes(prefix.address().bytes(), static_cast<std::uint64_t>(nibbles));
    const std::string digits = hexadecimal(hash, 16, true);
    name += 'x' + digits.substr(digits.size() - std::min(room - 1, digits.size()));
  } else {
    for (int i = 0; i < nibbles; ++i) name += hexadecimal(address.nibble(i), 1, true);
  }
  return {ChainName(name), hashed};
}

void add_prefix_tree(DesiredTable& table, const ChainName& root, std::string_view child_prefix,
                     std::vector<AddressRules> groups) {
  TreeBuilder builder(table, child_prefix);
  if (groups.size() <= kFlatAddresses) {
    builder.leaf(root, groups);
  } else {
    builder.inner(root, groups);
  }
}

}  // namespace nmanager::chains

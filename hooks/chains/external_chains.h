// The chains of an ExternalCluster kept as digests, and brought from one value of it to the next at
// the cost of what the two differ in. The whole, external_cluster_chains(), is what it has to
// equal. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "hooks/chains/desired.h"
#include "hooks/chains/digests.h"
#include "hooks/chains/external_rules.h"
#include "hooks/chains/tree_walk.h"

namespace nmanager::chains {

class ExternalChains {
 public:
  explicit ExternalChains(Family family) : family_(family) {}

  void update(const ExternalCluster& next);
  /// The same for `most` addresses at a time; returns for how many it is left to do. Until nothing
  /// is left, other settings, on which every rule depends, leave all as it is, and so does the
  /// first value.
  [[nodiscard]] std::size_t approach(const ExternalCluster& next, std::size_t most);

  /// What other settings have replaced, which takes long to free; null: nothing.
  [[nodiscard]] std::shared_ptr<const void> take_replaced() { return std::move(replaced_); }

  enum class Check : std::uint8_t { kMore, kEnded, kMended };
  /// Makes the chains on the ways to the next `count` addresses again, from the first one to the
  /// last: kEnded. When one is not as it is kept, all of it is made from nothing: kMended.
  [[nodiscard]] Check check(std::size_t count);

  /// What they are made from; null: nothing yet.
  [[nodiscard]] const ExternalCluster* of() const { return of_ ? &*of_ : nullptr; }
  [[nodiscard]] const ChainDigests& digests() const { return digests_; }
  [[nodiscard]] std::size_t rules() const { return rules_; }

  /// The rules of those of `names` that shall stand, and perhaps of others; every jump.
  [[nodiscard]] DesiredTable chains(std::span<const ChainName> names) const;
  [[nodiscard]] DesiredTable whole() const;
  /// Some of these chains, with at least `rules` rules; what they lead to is among them or in
  /// neither set. No root of a tree, and nothing that leads to one. Empty if the rest have fewer
  /// rules, and while two prefixes share a name.
  [[nodiscard]] std::set<ChainName> deepest(const std::set<ChainName>& missing,
                                            const std::set<ChainName>& differing,
                                            std::size_t rules) const;

 private:
  struct Side {
    Half half;
    ChainName root;
    RuleCounts counts;
    bool like_first = true;  // its counts are those of the first side, and share their memory
  };

  struct Part {
    const std::set<ChainName>& missing;
    const std::set<ChainName>& differing;
    std::size_t rules;  // it is complete with so many
    std::set<ChainName> names;
    std::size_t count = 0;
    [[nodiscard]] bool may_have(const ChainName& name) const {
      return missing.contains(name) || differing.contains(name);
    }
  };

  void start_over(const ExternalClusterSettings& settings);
  void update(Side& side, std::span<const Address> changed);
  void count(Side& side, std::span<const Address> changed);
  void take_whole();
  /// False: something is not as it is kept.
  [[nodiscard]] bool is_right(const Side& side, std::span<const Address> some, bool first);
  /// False: two prefixes have one name.
  [[nodiscard]] bool is_own_name(const TreeName& name, const Prefix& range) const;
  [[nodiscard]] std::vector<Rule> rules_of_chain(const Side& side, const TreeView& view,
                                                 const TreeChain& chain) const;
  [[nodiscard]] std::optional<std::vector<Rule>> rules_by_name(const ChainName& name) const;
  bool add_from_below(const Side& side, const Prefix& range, Part& part) const;
  /// The prefix of a chain of a tree; its root has length 0. nullopt: not in a tree.
  [[nodiscard]] std::optional<Prefix> range_of(const Side& side, const ChainName& name) const;
  [[nodiscard]] TreeView view_of(const Side& side) const;

  Family family_;
  std::optional<ExternalCluster> of_;
  std::vector<Side> sides_;
  ChainDigests digests_;
  std::size_t rules_ = 0;
  std::map<ChainName, Prefix> hashed_;  // whose names are hashes
  /// Two of these met. What stands then depends on more than the ways to what changed, so the whole
  /// is made each time, for as long as they do.
  bool crowded_ = false;

  struct Round {                  // of checks
    std::optional<Address> last;  // the last address that was looked at; nothing: none yet
    bool undisturbed = true;      // nothing was changed since it began
    std::size_t chains = 0;       // that were found
  };
  Round round_;
  // See approach(); of this object alone.
  std::shared_ptr<ExternalChains> coming_;
  std::shared_ptr<const ExternalChains> replaced_;
};

}  // namespace nmanager::chains

#include "hooks/chains/external_chains.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <set>
#include <utility>
#include <variant>

#include "hooks/chains/chain_table.h"

namespace nmanager::chains {

namespace {

bool leads_on(std::span<const Rule> rules) {
  return std::ranges::any_of(
      rules, [](const Rule& rule) { return std::holds_alternative<Jump>(rule.target); });
}

/// The prefix in the name of a chain of the tree that is not hashed.
std::optional<Prefix> prefix_in(std::string_view name, std::string_view child_prefix,
                                Family family) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  if (!name.starts_with(child_prefix)) return std::nullopt;
  name.remove_prefix(child_prefix.size());
  std::array<std::uint8_t, 16> bytes{};
  if (name.empty() || name.size() > bytes.size() * 2) return std::nullopt;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const std::size_t digit = kDigits.find(name[i]);
    if (digit == std::string_view::npos) return std::nullopt;
    bytes[i / 2] = static_cast<std::uint8_t>(bytes[i / 2] | digit << (i % 2 == 0 ? 4 : 0));
  }
  return Prefix(Address(family, bytes), static_cast<int>(name.size()) * 4);
}

}  // namespace

void ExternalChains::update(const ExternalCluster& next) {
  if (crowded_ || !of_ || of_->settings != next.settings) {
    start_over(next.settings);
    digests_.changed.reset();
  } else {
    digests_.changed.emplace();
  }
  digests_.before = digests_.sum;
  const std::vector<Address> changed = differences(of_->addresses, next.addresses);
  of_ = next;
  if (!changed.empty()) round_.undisturbed = false;
  for (Side& side : sides_) update(side, changed);
  if (crowded_) take_whole();
}

std::size_t ExternalChains::approach(const ExternalCluster& next, std::size_t most) {
  if (of_ && of_->settings == next.settings) {
    coming_.reset();
    ExternalCluster part = *of_;
    const std::size_t left = part.addresses.approach(next.addresses, most);
    update(part);
    return left;
  }
  if (!coming_ || coming_->of_->settings != next.settings) {
    coming_ = std::make_shared<ExternalChains>(family_);
    coming_->update({{}, next.settings});
  }
  ExternalCluster part = *coming_->of_;
  if (part != next) {
    const std::size_t left = part.addresses.approach(next.addresses, most);
    coming_->update(part);
    // Taken over in another turn.
    if (left > 0 || most < next.addresses.size()) return left + 1;
  }
  const std::uint64_t before = digests_.sum;
  auto old = std::move(coming_);
  std::swap(*this, *old);
  digests_.before = before;
  digests_.changed.reset();
  if (old->of_) replaced_ = std::move(old);
  return 0;
}

void ExternalChains::start_over(const ExternalClusterSettings& settings) {
  *this = ExternalChains(family_);
  of_ = ExternalCluster{{}, settings};
  for (const Half& half : halves_of(settings)) sides_.push_back({half, ChainName(half.chain), {}});
  for (const auto& [name, rules] : frame_of(settings).chains) {
    digests_.set(name, digest_of(rules));
    rules_ += rules.size();
  }
}

void ExternalChains::update(Side& side, std::span<const Address> changed) {
  const RuleCounts before = side.counts;
  count(side, changed);
  struct Seen {
    std::uint64_t digest = 0;
    std::size_t rules = 0;
  };
  std::map<ChainName, Seen> now;
  std::set<ChainName> passed;
  std::vector<std::pair<ChainName, Prefix>> hashed;
  const TreeView view = view_of(side);
  walk(
      view, changed, [&](const ChainName& name) { return digests_.chains.contains(name); },
      [&](const TreeChain& chain) {
        crowded_ = crowded_ || !is_own_name(chain.name, chain.range);
        const Seen seen{digest_of(rules_of_chain(side, view, chain)), chain.rules};
        crowded_ = !now.emplace(chain.name.name, seen).second || crowded_;
        if (chain.name.hashed) hashed.emplace_back(chain.name.name, chain.range);
      },
      [&](const TreeName& name, const Prefix& range) {
        crowded_ = crowded_ || !is_own_name(name, range);
        passed.insert(name.name);
      });
  if (crowded_) return;
  const TreeView old(before, family_, side.root, side.half.child_prefix);
  const auto stands = [&](const ChainName& name) {
    return now.contains(name) || passed.contains(name);
  };
  if (digests_.chains.contains(side.root)) {
    walk(
        old, changed, stands,
        [&](const TreeChain& chain) {
          const ChainName& name = chain.name.name;
          if (passed.contains(name)) return;
          rules_ -= chain.rules;
          if (now.contains(name)) return;
          digests_.erase(name);
          hashed_.erase(name);
        },
        [](const TreeName&, const Prefix&) {});
  }
  for (const auto& [name, seen] : now) {
    digests_.set(name, seen.digest);
    rules_ += seen.rules;
  }
  hashed_.insert(hashed.begin(), hashed.end());
}

void ExternalChains::count(Side& side, std::span<const Address> changed) {
  const Side& first = sides_.front();
  std::vector<std::uint32_t> counts;
  for (const Address& address : changed) {
    const auto count = static_cast<std::uint32_t>(
        count_rules(of_->addresses.at(address), side.half, of_->settings.match));
    counts.push_back(count);
    const std::uint32_t* of_first = first.counts.find(address);
    side.like_first = side.like_first && count == (of_first == nullptr ? 0 : *of_first);
  }
  if (&side == &first) side.like_first = false;
  if (side.like_first) {
    side.counts = first.counts;
    return;
  }
  for (std::size_t i = 0; i < changed.size(); ++i) {
    if (counts[i] == 0) {
      side.counts.erase(changed[i]);
    } else {
      side.counts.set(changed[i], counts[i]);
    }
  }
}

void ExternalChains::take_whole() {
  const DesiredTable table = whole();
  digests_ = digests_of(table);
  rules_ = rule_count(table);
}

ExternalChains::Check ExternalChains::check(std::size_t count) {
  if (!of_ || crowded_) return Check::kEnded;  // then it is the whole already
  const bool first = !round_.last;
  if (first) round_ = {std::nullopt, true, frame_of(of_->settings).chains.size()};
  const auto& map = of_->addresses.map();
  auto place = first ? map.begin() : map.upper_bound(*round_.last);
  std::vector<Address> some;
  for (; place != map.end() && some.size() < count; ++place) some.push_back(place->first);
  bool right =
      std::ranges::all_of(sides_, [&](const Side& side) { return is_right(side, some, first); });
  const bool ended = place == map.end();
  // What was not found should not be there.
  if (ended && round_.undisturbed) {
    right = right && round_.chains == digests_.chains.size();
  }
  round_.last = ended || !right ? std::nullopt : std::optional(some.back());
  if (right) return ended ? Check::kEnded : Check::kMore;
  const ExternalCluster of = *of_;
  of_.reset();
  update(of);
  return Check::kMended;
}

bool ExternalChains::is_right(const Side& side, std::span<const Address> some, bool first) {
  for (const Address& address : some) {
    const std::uint32_t* kept = side.counts.find(address);
    const auto count = count_rules(of_->addresses.at(address), side.half, of_->settings.match);
    if (count != (kept == nullptr ? 0 : *kept)) return false;
  }
  bool right = true;
  const TreeView view = view_of(side);
  walk(
      view, some, [&](const ChainName& name) { return digests_.chains.contains(name); },
      [&](const TreeChain& chain) {
        const auto kept = digests_.chains.find(chain.name.name);
        right = right && kept != digests_.chains.end() &&
                kept->second == digest_of(rules_of_chain(side, view, chain));
        // Each is counted once: with the first of its addresses.
        const bool is_root = chain.range.length() == 0;
        const auto begin = side.counts.lower_bound(chain.range.address());
        if (is_root ? first : std::ranges::binary_search(some, begin->first)) ++round_.chains;
      },
      [](const TreeName&, const Prefix&) {});
  return right;
}

bool ExternalChains::is_own_name(const TreeName& name, const Prefix& range) const {
  if (!name.hashed) return true;
  const auto known = hashed_.find(name.name);
  return known == hashed_.end() || known->second == range;
}

std::vector<Rule> ExternalChains::rules_of_chain(const Side& side, const TreeView& view,
                                                 const TreeChain& chain) const {
  std::vector<Rule> rules;
  for (const Prefix& child : chain.children) {
    Rule rule;
    rule.destination = child;
    rule.target = Jump{view.name_of(child).name, true};
    rules.push_back(std::move(rule));
  }
  if (!chain.children.empty()) return rules;
  const Address last = chain.range.last();
  for (auto place = side.counts.lower_bound(chain.range.address());
       place != side.counts.end() && place->first <= last; ++place) {
    auto some = rules_of(of_->addresses.at(place->first), side.half, of_->settings.match);
    std::ranges::move(some, std::back_inserter(rules));
  }
  return rules;
}

std::optional<Prefix> ExternalChains::range_of(const Side& side, const ChainName& name) const {
  if (name == side.root) return Prefix(Address(family_, std::array<std::uint8_t, 16>{}), 0);
  if (!name.view().starts_with(side.half.child_prefix)) return std::nullopt;
  const auto hashed = hashed_.find(name);
  if (hashed != hashed_.end()) return hashed->second;
  return prefix_in(name.view(), side.half.child_prefix, family_);
}

/// Nothing: no chain of a tree.
std::optional<std::vector<Rule>> ExternalChains::rules_by_name(const ChainName& name) const {
  for (const Side& side : sides_) {
    const TreeView view = view_of(side);
    const auto range = range_of(side, name);
    if (!range) continue;
    return rules_of_chain(side, view, range->length() == 0 ? view.root() : view.chain(*range));
  }
  return std::nullopt;
}

DesiredTable ExternalChains::chains(std::span<const ChainName> names) const {
  if (!of_) return {};
  if (crowded_) return whole();
  DesiredTable table = frame_of(of_->settings);
  for (const ChainName& name : names) {
    if (!digests_.chains.contains(name) || table.chains.contains(name)) continue;
    if (auto rules = rules_by_name(name)) table.chains[name] = std::move(*rules);
  }
  return table;
}

DesiredTable ExternalChains::whole() const {
  return of_ ? external_cluster_chains(*of_) : DesiredTable{};
}

std::set<ChainName> ExternalChains::deepest(const std::set<ChainName>& missing,
                                            const std::set<ChainName>& differing,
                                            std::size_t rules) const {
  if (!of_ || crowded_ || (missing.size() + differing.size()) * kLeafRules <= rules) return {};
  Part part{missing, differing, rules, {}};
  for (const auto& [name, content] : frame_of(of_->settings).chains) {
    if (!leads_on(content) && part.may_have(name)) part.names.insert(name);
  }
  // The name of a chain begins with the names of those above it, unless it is hashed: those come
  // with the first one above them.
  auto a = missing.rbegin();
  auto b = differing.rbegin();
  while (a != missing.rend() || b != differing.rend()) {
    const bool next = b == differing.rend() || (a != missing.rend() && *a > *b);
    const ChainName& name = next ? *a++ : *b++;
    if (!digests_.chains.contains(name) || part.names.contains(name)) continue;  // or to be removed
    for (const Side& side : sides_) {
      const auto range = range_of(side, name);
      if (range && range->length() > 0 && !add_from_below(side, *range, part)) return part.names;
    }
  }
  return {};
}

/// Adds what the chain leads to, then the chain. False: the part is complete.
bool ExternalChains::add_from_below(const Side& side, const Prefix& range, Part& part) const {
  const TreeView view = view_of(side);
  const TreeChain chain = view.chain(range);
  for (const Prefix& child : chain.children) {
    const ChainName name = view.name_of(child).name;
    const bool due = part.may_have(name) && !part.names.contains(name);
    if (due && !add_from_below(side, child, part)) return false;
  }
  part.names.insert(chain.name.name);
  part.count += chain.rules;
  return part.count < part.rules;
}

TreeView ExternalChains::view_of(const Side& side) const {
  return {side.counts, family_, side.root, side.half.child_prefix};
}

}  // namespace nmanager::chains

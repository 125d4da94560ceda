#include "hooks/iptables_nft/own_chains.h"
#include "hooks/netlink/objects.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <unordered_map>
#include <utility>

#include "hooks/iptables_nft/observe.h"

namespace nmanager::iptables_nft {

namespace {

constexpr std::chrono::seconds kListPause{1};

/// The hash of a rule that is not ours. It depends on the handle, so that different rules give
/// different digests.
std::uint64_t foreign_hash(RuleRef ref) {
  return ~ref;
}

/// The digest after `edit`; nullopt if it names a rule that was not observed.
std::optional<std::uint64_t> digest_after(const chains::ChainEdit& edit,
                                          const chains::ObservedChain* before) {
  std::unordered_map<RuleRef, std::uint64_t> kept;
  if (before != nullptr) {
    for (const chains::ObservedRule& seen : *before) {
      kept[seen.ref] = seen.rule ? hash_of(*seen.rule) : foreign_hash(seen.ref);
    }
  }
  chains::ChainDigest digest;
  for (const chains::EditStep& step : edit.steps) {
    if (const auto* insert = std::get_if<chains::Insert>(&step)) {
      digest.add(insert->rule);
    } else if (const auto* keep = std::get_if<Keep>(&step)) {
      const auto found = kept.find(keep->ref);
      if (found == kept.end()) return std::nullopt;
      digest.add_hash(found->second);
    }
  }
  return digest.value();
}

}  // namespace

std::uint64_t digest_of(const chains::ObservedChain& chain) {
  chains::ChainDigest digest;
  for (const chains::ObservedRule& seen : chain) {
    digest.add_hash(seen.rule ? hash_of(*seen.rule) : foreign_hash(seen.ref));
  }
  return digest.value();
}

Result<std::optional<chains::ObservedChain>> read_if_exists(netlink::Netlink& netlink, TableId id,
                                                            const ChainName& chain) {
  auto rules = read_own_chain(netlink, id, chain);
  if (!rules) return rules.error();
  if (!rules->empty()) return std::optional(std::move(rules.value()));
  const auto exists = netlink::chain_exists(netlink, id.family, to_string(id.table), chain.str());
  if (!exists) return exists.error();
  return *exists ? std::optional(std::move(rules.value())) : std::nullopt;
}

void OwnChains::forget() {
  listed_ = false;
  doubt_all();
}

void OwnChains::doubt_all() {
  if (std::exchange(all_doubtful_, true)) return;
  for (const auto& entry : digests_) doubtful_.insert(doubtful_.end(), entry.first);
}

void OwnChains::doubt(std::string_view name) {
  if (name == last_doubtful_) return;  // there is an event for each of its rules
  if (name.size() > ChainName::kMaxLength) return;
  doubtful_.emplace(name);
  last_doubtful_ = name;
}

Status OwnChains::list(netlink::Netlink& netlink) {
  if (listed_) return {};
  const auto start = std::chrono::steady_clock::now();
  const auto names = list_own_chains(netlink, id_);
  if (!names) return names.error();
  listed_at_ = std::chrono::steady_clock::now();
  list_cost_ = listed_at_ - start;
  // Only added and removed chains are doubtful here; callers mark the others if needed.
  const std::set<ChainName> listed(names->begin(), names->end());
  for (const ChainName& name : listed) {
    if (!digests_.contains(name)) doubtful_.insert(name);
  }
  for (const auto& entry : digests_) {
    if (!listed.contains(entry.first)) doubtful_.insert(entry.first);
  }
  listed_ = true;
  return {};
}

bool OwnChains::list_again_in_time(std::chrono::steady_clock::time_point now) {
  const auto pause = std::max<std::chrono::steady_clock::duration>(kListPause, list_cost_ * 1000);
  if (listed_ && now - listed_at_ >= pause) listed_ = false;
  return !listed_;
}

Status OwnChains::refresh(netlink::Netlink& netlink, std::span<const ChainName> first,
                          std::size_t most) {
  if (auto status = list(netlink); !status) return status;
  for (const ChainName& name : first) {
    if (!doubtful_.contains(name)) continue;
    if (const auto rules = read(netlink, name); !rules) return rules.error();
  }
  for (std::size_t done = 0; done < most && !doubtful_.empty(); ++done) {
    const ChainName name = *doubtful_.begin();
    const auto rules = read(netlink, name);
    if (!rules) return rules.error();
    done += *rules;
  }
  return {};
}

bool OwnChains::sweep(netlink::Netlink& netlink, std::size_t count) {
  const std::size_t changed = changed_.size();
  for (; count > 0 && left_to_sweep_ > 0 && !digests_.empty(); --count, --left_to_sweep_) {
    auto next = digests_.upper_bound(swept_);
    if (next == digests_.end()) next = digests_.begin();
    swept_ = next->first;
    if (!read(netlink, swept_)) break;
  }
  bool found = changed_.size() != changed;
  if (list_due_ && list_again_in_time(std::chrono::steady_clock::now())) {
    list_due_ = !list(netlink).ok();
    found = found || !doubtful_.empty();
  }
  return found;
}

Result<std::size_t> OwnChains::read(netlink::Netlink& netlink, const ChainName& name) {
  const auto content = read_if_exists(netlink, id_, name);
  if (!content) return content.error();
  learn(name, *content);
  return *content ? (*content)->size() : std::size_t{0};
}

std::vector<ChainName> OwnChains::names() const {
  std::vector<ChainName> result;
  result.reserve(digests_.size());
  for (const auto& entry : digests_) result.push_back(entry.first);
  std::vector<ChainName> all;
  std::ranges::set_union(result, doubtful_, std::back_inserter(all));
  return all;
}

void OwnChains::learn(const ChainName& name, const std::optional<chains::ObservedChain>& content) {
  doubtful_.erase(name);
  last_doubtful_.clear();
  if (content) {
    set(name, digest_of(*content));
  } else {
    erase(name);
  }
}

void OwnChains::set(const ChainName& name, std::uint64_t digest) {
  all_doubtful_ = false;
  const auto [entry, added] = digests_.try_emplace(name, digest);
  if (!added && entry->second == digest) return;
  entry->second = digest;
  changed_.insert(name);
}

void OwnChains::erase(const ChainName& name) {
  if (digests_.erase(name) > 0) changed_.insert(name);
}

void OwnChains::committed(const chains::TablePlan& plan, const chains::ObservedTable& observed,
                          const std::set<ChainName>& still_referenced) {
  for (const chains::ChainEdit& edit : plan.edits) {
    const auto before = observed.chains.find(edit.chain);
    const auto digest =
        digest_after(edit, before == observed.chains.end() ? nullptr : &before->second);
    if (digest) {
      set(edit.chain, *digest);
    } else {
      doubtful_.insert(edit.chain);
    }
  }
  for (const ChainName& name : plan.remove_chains) {
    if (still_referenced.contains(name)) {
      set(name, chains::ChainDigest().value());
    } else {
      erase(name);
    }
  }
  if (changed_.size() > digests_.size() / 2) compare_all_next();
}

void OwnChains::compare_all_next() {
  compared_to_.reset();
  changed_.clear();
  differences_ = {};
}

const chains::Differences& OwnChains::compare(const chains::ChainDigests& expected) {
  const bool told = expected.changed && compared_to_ == expected.before;
  if (told || compared_to_ == expected.sum) {
    for (const ChainName& name : changed_) judge(name, expected);
    if (told) {
      for (const ChainName& name : *expected.changed) judge(name, expected);
    }
  } else {
    judge_all(expected);
  }
  compared_to_ = expected.sum;
  changed_.clear();
  return differences_;
}

bool OwnChains::is_empty(const ChainName& name) const {
  const auto known = digests_.find(name);
  return known != digests_.end() && known->second == chains::ChainDigest().value();
}

void OwnChains::judge_all(const chains::ChainDigests& expected) {
  differences_ = {};
  auto known = digests_.begin();
  auto wanted = expected.chains.begin();
  while (known != digests_.end() || wanted != expected.chains.end()) {
    if (wanted == expected.chains.end() ||
        (known != digests_.end() && known->first < wanted->first)) {
      differences_.differing.insert((known++)->first);
    } else if (known == digests_.end() || wanted->first < known->first) {
      differences_.missing.insert((wanted++)->first);
    } else {
      if (known->second != wanted->second) differences_.differing.insert(known->first);
      ++known;
      ++wanted;
    }
  }
}

void OwnChains::judge(const ChainName& name, const chains::ChainDigests& expected) {
  const auto known = digests_.find(name);
  const auto wanted = expected.chains.find(name);
  const bool exists = known != digests_.end();
  const bool is_wanted = wanted != expected.chains.end();
  const bool differs = exists && (!is_wanted || known->second != wanted->second);
  if (differs) {
    differences_.differing.insert(name);
  } else {
    differences_.differing.erase(name);
  }
  if (!exists && is_wanted) {
    differences_.missing.insert(name);
  } else {
    differences_.missing.erase(name);
  }
}

}  // namespace nmanager::iptables_nft

#include "hooks/iptables_legacy/expectation.h"

#include <algorithm>
#include <cstdint>
#include <unordered_set>

namespace nmanager::iptables_legacy {

Expectation::Expected Expectation::find(std::string_view chain) {
  if (next_ == expected_.chains.end() || next_->first.view() != chain) {
    next_ = expected_.chains.find(ChainName(chain));
  }
  return next_ == expected_.chains.end() ? next_ : next_++;
}

bool Expectation::expects(std::string_view chain) {
  current_ = find(chain);
  if (current_ == expected_.chains.end()) return false;
  met_.push_back(&current_->first);
  return true;
}

bool Expectation::is_proven(const ChainProof& asked) {
  asked_ = asked;
  if (!std::ranges::binary_search(proofs_, asked_)) return false;
  found_.push_back(asked_);
  return true;
}

bool Expectation::judge(const chains::ObservedChain& rules) {
  if (current_ == expected_.chains.end()) return false;
  chains::ChainDigest digest;
  for (const chains::ObservedRule& seen : rules) {
    if (!seen.rule) return false;
    digest.add(*seen.rule);
  }
  if (digest.value() != current_->second) return false;
  found_.push_back(asked_);
  return true;
}

std::set<ChainName> Expectation::finish() {
  std::ranges::sort(found_);
  proofs_ = std::move(found_);
  std::set<ChainName> missing;
  if (met_.size() == expected_.chains.size()) return missing;
  const std::unordered_set<const ChainName*> met(met_.begin(), met_.end());
  for (const auto& [name, digest] : expected_.chains) {
    if (!met.contains(&name)) missing.insert(name);
  }
  return missing;
}

}  // namespace nmanager::iptables_legacy

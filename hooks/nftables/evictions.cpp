#include "hooks/nftables/evictions.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "hooks/netlink/batch.h"
#include "hooks/netlink/refusal.h"
#include "hooks/nftables/text.h"
#include "hooks/nftables/write.h"

namespace nmanager::nftables {

bool Evictions::only_held(const Plan& plan) const {
  return plan.steps.empty() && held_as_of_ == cache_.structure_reads() &&
         std::ranges::all_of(plan.evictions,
                             [&](const Step& step) { return held_.contains(to_text(step)); });
}

/// Again without the steps that the kernel refuses; their number is finite.
Result<std::vector<Step>> Evictions::evict(std::vector<Step> evictions,
                                           netlink::Generation& generation) {
  std::vector<Step> held;
  while (!evictions.empty()) {
    netlink::Batch batch(generation);
    StepWriter writer(batch);
    std::vector<std::uint32_t> sequences;
    for (const Step& step : evictions) {
      writer.write(step);
      sequences.push_back(batch.last_sequence());
    }
    batch.finish();
    const auto errors = cache_.netlink().send(batch);
    cache_.doubt_structure();
    if (!errors) return errors.error();
    if (errors->empty()) {
      const auto now = cache_.netlink().generation();
      if (!now) return now.error();
      if (*now == generation) break;  // no effect: an empty map was flushed
      // Flushes alone may have had no effect: then the generation is another process's.
      const bool deletes =
          std::ranges::find(evictions, Verb::kDelete, &Step::verb) != evictions.end();
      if (*now != netlink::next_generation(generation) || !deletes) {
        return Error{ErrorKind::kRetry, kWhere + ": another process changed it"};
      }
      cache_.committed(*now, [] {});
      generation = *now;
      break;
    }
    std::vector<Step> left;
    for (std::size_t i = 0; i < evictions.size(); ++i) {
      const auto error = std::ranges::find(*errors, sequences[i], &netlink::BatchError::sequence);
      (error == errors->end() ? left : held).push_back(std::move(evictions[i]));
    }
    if (left.size() == sequences.size() || errors->front().code == EPERM) {
      return netlink::refusal(cache_.netlink(), batch, errors->front(), kWhere);  // of the whole
    }
    evictions = std::move(left);
  }
  return held;
}

void Evictions::note_held(const std::vector<Step>& held, SyncReport& outcome) {
  std::set<std::string> names;
  for (const Step& step : held) names.insert(to_text(step));
  for (const std::string& name : names) {
    if (!held_.contains(name)) outcome.held.push_back(name);
  }
  held_ = std::move(names);
  held_as_of_ = cache_.structure_reads() + 1;  // as of the next read
}

}  // namespace nmanager::nftables

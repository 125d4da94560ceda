// Removal of foreign objects in our table: some are held by rules that stay.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "hooks/intent/backend.h"
#include "hooks/nftables/plan.h"
#include "hooks/nftables/table_cache.h"

namespace nmanager::nftables {

/// Begins the texts of errors.
inline const std::string kWhere = "table inet nmanager";

class Evictions {
 public:
  /// `cache` must live longer.
  explicit Evictions(TableCache& cache) : cache_(cache) {}

  /// Nothing is left to do but what the kernel has refused, and nobody has changed the table since.
  [[nodiscard]] bool only_held(const Plan& plan) const;
  /// Returns the steps that the kernel refuses; the others are done, and `generation` is the one
  /// after them. kRetry: another process changed the table meanwhile.
  [[nodiscard]] Result<std::vector<Step>> evict(std::vector<Step> evictions,
                                                netlink::Generation& generation);
  /// Tells of each object once (SyncReport::held).
  void note_held(const std::vector<Step>& held, SyncReport& outcome);

 private:
  TableCache& cache_;
  // What was not to be evicted when the table was last read so often.
  std::set<std::string> held_;
  std::uint64_t held_as_of_ = 0;
};

}  // namespace nmanager::nftables

// One table brought from what is observed to what is desired: read, plan, commit, and read again
// before judging a failure. Written once for every backend.
#pragma once

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "hooks/backend/backend.h"

namespace nmanager {

struct SyncReport {
  bool verified = false;   // the table is as desired, now
  bool committed = false;  // something had to be written for it
  int attempts = 0;
  std::vector<Finding> findings;         // what was wrong before the commit
  std::string plan_text;                 // what was written, for the log at level debug
  std::set<ChainName> still_referenced;  // own chains that strangers hold: emptied, not deleted
  std::optional<Error> error;            // set unless verified
  std::chrono::nanoseconds duration{};   // all attempts, lock wait included
  std::optional<std::chrono::nanoseconds> lock_wait;  // of it; nothing: no lock is taken
  std::uint64_t invalid_drops = 0;  // packets counted by the DROP rule, as observed
};

struct SyncOptions {
  int max_attempts = 10;  // reads that were overtaken by a rival, or failed commits re-read
  bool keep_plan_text = false;
  /// digests_of(desired), kept by the caller for large tables; nullptr: every own chain is read,
  /// with its counters.
  const ChainDigests* expected = nullptr;
};

/// Owner thread. `leave`: see make_plan.
[[nodiscard]] SyncReport sync_table(Backend& backend, TableId id, const DesiredTable& desired,
                                    const std::set<ChainName>& leave, const SyncOptions& options);

}  // namespace nmanager

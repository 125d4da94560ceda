// The interface to the kernel's tables. Every backend (iptables-legacy, iptables-nft, nftables, the
// fake kernel of the tests) implements it and gets the same input: the goal of each table.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/intent/finding.h"
#include "hooks/intent/kube_checksum.h"
#include "hooks/intent/table_spec.h"
#include "hooks/intent/udp_change.h"
#include "hooks/values/result.h"

namespace nmanager {

struct Goal {
  TableId id;
  std::shared_ptr<const TableSpec> spec;  // never null
};

/// Goals that remove everything of ours from every table or from these.
[[nodiscard]] std::vector<Goal> no_rules_anywhere();
[[nodiscard]] std::vector<Goal> no_rules_in(std::span<const TableId> tables);

/// The result for one table.
struct SyncReport {
  bool verified = false;   // the table is as desired, now
  bool committed = false;  // something had to be written for it
  bool large = false;      // reading and writing the table takes long: do no more in this turn
  bool waits = false;      // not read or written yet, since another table was large: sync again
  bool flushed = false;    // as a whole, and left so as requested; not verified, no error
  /// A part of a large change is in place, or prepared; not verified, no error: sync again. So many
  /// chains or addresses are left.
  std::optional<std::size_t> left;
  int attempts = 0;
  std::vector<Finding> findings;         // the differences before the commit
  std::string plan_text;                 // what was written, for the log at level debug
  std::set<ChainName> still_referenced;  // foreign rules refer to them: emptied, not deleted
  /// Foreign objects among ours that the kernel refused to delete, each named once. They do not
  /// delay our own changes.
  std::vector<std::string> held;
  std::optional<Error> error;                         // set unless verified, waits, flushed or left
  std::chrono::nanoseconds duration{};                // rendering, all attempts, lock wait included
  std::optional<std::chrono::nanoseconds> lock_wait;  // of it; nothing: no lock is taken
  InvalidCounts invalid;  // filter: what the rules have counted since they were made, as observed
  std::size_t rules = 0;  // of ours, in the backend's own terms
  /// Large, and not needed any more: freed by the caller when it suits. May be null.
  std::shared_ptr<const void> unused;
  bool mismatch = false;     // what was kept was not what the goal means; it was made again
  bool check_ended = false;  // SyncOptions::check: nothing is left to look at
  UdpChange udp;             // nat: what the commit changed for flows of UDP
  /// Each hook of the table that we use has a jump to KUBE-*, as observed. Nothing: it was not
  /// read.
  std::optional<bool> kube_jumps;
  /// filter: KUBE-FORWARD drops INVALID packets, as observed: kube-proxy in iptables mode writes
  /// this rule unless nf_conntrack_tcp_be_liberal was set when it started. nullopt: no such chain,
  /// or not read.
  std::optional<bool> kube_drops_invalid;
};

struct SyncOptions {
  int max_attempts = 10;  // reads overtaken by another process, or re-reads after failed commits
  bool keep_plan_text = false;
  /// Tables of iptables that are not repaired just after a flush of the whole table: `-X` usually
  /// follows, and fails on chains that are in use.
  std::set<TableId> spare_flushed = {};
  /// Hold some of what the backend keeps change by change against what follows from the goal.
  bool check = false;
};

/// What sync() would write now, as text for a tool of the administrator.
struct PlanText {
  std::string text;                   // empty: nothing
  std::vector<std::string> problems;  // tables that could not be read, one line each
};

/// Owner thread only.
class Backend {
 public:
  virtual ~Backend() = default;

  [[nodiscard]] virtual std::string_view name() const = 0;  // "iptables-legacy", ...
  /// Each commit costs what the whole table costs.
  [[nodiscard]] virtual bool replaces_tables() const { return false; }

  /// Reads, decides and writes: brings each named table to its goal, or by a part of a large change
  /// closer to it, and does not change the others.
  /// One report for each goal, in their order. The kind of an error tells the caller what to do:
  /// kAbsent: the table does not exist and this backend may not create it.
  /// kUnsupported: the kernel lacks the table or a module, the message names it.
  /// kRetry: lock busy beyond the bound, or the read could not be made consistent.
  [[nodiscard]] virtual std::vector<SyncReport> sync(std::span<const Goal> goals,
                                                     const SyncOptions& options) = 0;
  /// Reads and decides only.
  [[nodiscard]] virtual PlanText plan_text(std::span<const Goal> goals) = 0;

  [[nodiscard]] virtual Result<KubeStamp> kube_stamp(Family family) = 0;
  [[nodiscard]] virtual Result<KubeChecksum> kube_checksum(Family family) = 0;

  /// Total time spent waiting for the lock; nullopt: this backend uses no lock.
  [[nodiscard]] virtual std::optional<std::chrono::nanoseconds> lock_waited() const { return {}; }
};

/// Something changed, or may have, in the tables.
struct TableChange {
  std::optional<Family> family;  // nullopt: any
  std::string writer;            // process name, empty when unknown
  std::int32_t writer_pid = 0;   // 0: unknown
  bool certain = false;          // false: only a hint (a lock cycle), read before a decision
};

/// Watches the tables for changes made by others. Own commits are not reported (or are recognised
/// and dropped by drain()). Used on the owner thread, which polls fd() together with its other
/// work.
class ChangeWatch {
 public:
  virtual ~ChangeWatch() = default;
  /// Readable when drain() has changes; -1: polling only.
  [[nodiscard]] virtual int fd() const = 0;
  /// Returns the pending changes without blocking; several changes may be merged into one.
  /// Also called at least every poll_interval() without a readable fd, as a cheap poll.
  [[nodiscard]] virtual std::vector<TableChange> drain() = 0;
  [[nodiscard]] virtual std::chrono::milliseconds poll_interval() const = 0;
};

}  // namespace nmanager

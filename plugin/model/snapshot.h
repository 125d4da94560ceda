// The published state: an immutable value that the owner thread creates and the status server
// renders. /livez, /readyz, /metrics and `nmanager status` are pure functions of it.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/intent/drop_invalid.h"
#include "hooks/intent/finding.h"
#include "hooks/values/result.h"
#include "hooks/values/table.h"
#include "plugin/model/api_event.h"
#include "plugin/model/cure.h"
#include "plugin/model/proxy_mode.h"
#include "plugin/model/time.h"
#include "plugin/model/warning.h"

namespace nmanager {

/// A Prometheus histogram with fixed bounds, in seconds.
struct Histogram {
  static constexpr std::array kBounds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                      0.1,    0.25,  0.5,    1.0,   2.5,  10.0};
  std::array<std::uint64_t, kBounds.size() + 1> counts{};  // not cumulative; last: above all bounds
  double sum = 0;

  void observe(std::chrono::nanoseconds value);
  [[nodiscard]] std::uint64_t total() const;
};

/// One table of one family.
struct TableStatus {
  TableId id;
  bool wanted = false;   // we keep rules here
  bool in_sync = false;  // verified since the last change seen in it
  std::optional<WallTime> verified_at;
  std::size_t rules = 0;                 // number of our rules, as desired
  std::optional<Error> error;            // of the last attempt; nullopt: it succeeded
  std::string note;                      // why no rules are kept here; empty: no remark
  std::chrono::milliseconds retry_in{};  // with an error, or while backing off
  bool flushed = false;                  // as a whole; repaired after a delay
  bool contested = false;                // another agent keeps undoing our rules; we back off
  std::string rival;                     // its name if known
  std::vector<std::string> held;         // foreign objects in our table that cannot be removed
  std::uint64_t syncs = 0;               // commits because the desired state changed
  std::uint64_t repairs = 0;             // commits because our rules were changed
  std::map<Cause, std::uint64_t> repairs_by_cause;
  std::uint64_t verifications = 0;
  std::uint64_t failures = 0;
  Histogram commit_duration;
  Histogram repair_latency;  // change seen -> repaired
  Histogram lock_wait;       // for the xtables lock, per read or write; nullopt: no lock
  InvalidCounts invalid;     // filter: INVALID packets since the start of this process
};

/// Whether INVALID packets are dropped in one hook.
struct DropStatus {
  Family family = Family::kIpv4;
  Hook hook = Hook::kInput;
  std::string state;  // "on", "counting", "off", "not decided"
  std::string why;    // one line
};

/// kube-proxy's own rules in one family.
struct KubeStatus {
  Family family = Family::kIpv4;
  bool present = false;    // KUBE-SERVICES exists in nat
  bool empty = false;      // ... and holds no rule
  std::string unreadable;  // why the last read failed; empty: it succeeded
  std::uint64_t checksum = 0;
  std::uint64_t resyncs = 0;               // changes of the checksum or stamp
  std::optional<WallTime> last_resync;     // when we saw it change
  std::optional<WallTime> verified_after;  // when ours were verified after it
  std::chrono::nanoseconds verify_lag{};
  std::optional<WallTime> told_sync;  // the end of its last sync, as it reports
  bool told_before_start = false;     // that was before this process started
  bool told_is_verified = false;      // our rules were verified after it
  /// From there until our rules were verified; nullopt: not yet, or it was before our start.
  std::optional<std::chrono::nanoseconds> told_verified;
  /// Calls of iptables-restore that failed since its last sync.
  std::uint64_t restore_failures = 0;
};

/// "its sync at 2026-01-02T03:04:05.678Z was verified 3 ms later"; `told_sync` is set.
[[nodiscard]] std::string sync_in_words(const KubeStatus& kube);
/// ISO 8601 in UTC with milliseconds: "2026-01-02T03:04:05.678Z".
[[nodiscard]] std::string utc(WallTime time);

/// One line of /readyz?verbose.
struct Check {
  std::string name;
  bool ok = false;
  bool informational = false;  // shown, but does not affect readiness
  std::string detail;
};

/// An effective setting and its source, for status and the start line.
struct SettingShown {
  std::string name;
  std::string value;
  std::string origin;  // "flag", "environment", "kube-proxy config", "default", ...
};

struct Snapshot {
  std::uint64_t answers = 0;  // answered requests for fresh counters (StatusBoard::ask)
  WallTime made_at;
  WallTime started_at;
  std::string version;
  std::string backend;
  std::string proxy_mode;  // "ipvs", "iptables", "nftables", "unknown"
  std::string proxy_mode_origin;
  std::optional<WallTime> proxy_last_sync;  // from kube-proxy's metrics
  ProxyHealth proxy_health = ProxyHealth::kNotAsked;
  std::string proxy_health_text;  // as text
  std::string proxy_version;      // "v1.36.2"; empty: unknown
  std::vector<TableStatus> tables;
  std::vector<DropStatus> drops;  // by family and hook
  std::vector<KubeStatus> kube;
  ApiState api;
  bool be_liberal = false;       // nf_conntrack_tcp_be_liberal is set
  bool services_wanted = false;  // rules may depend on Services: they are listed and watched
  std::string why_no_services;   // unless services_wanted
  bool services_stale = false;   // the API server has been silent for too long
  bool services_listed = false;
  std::size_t services = 0;
  std::size_t services_with_rules = 0;
  std::map<std::string, std::size_t> skipped;  // reason -> number of addresses or Services
  std::vector<std::string> skipped_examples;   // "namespace/name address: reason as text"
  std::uint64_t undecodable = 0;
  std::uint64_t mismatches = 0;      // times that what is kept change by change was not the whole
  std::uint64_t lost_log_lines = 0;  // dropped since the start, since nobody read standard error
  std::vector<Cure> cures;           // one for each problem, in order
  std::vector<Check> checks;         // readiness, in order
  bool ready_when_alive = false;     // --ready-when alive: /readyz passes while the loop runs
  std::vector<Warning> warnings;     // most urgent first
  std::vector<SettingShown> settings;

  /// All deciding checks pass, regardless of `ready_when_alive`.
  [[nodiscard]] bool ready() const;
  /// The check of kube-proxy's sync if only this one fails; else null.
  [[nodiscard]] const Check* waits_for_kube_proxy() const;
};

/// The name of that check.
inline constexpr std::string_view kKubeProxySynced = "kube-proxy-synced";

using SnapshotPtr = std::shared_ptr<const Snapshot>;

}  // namespace nmanager

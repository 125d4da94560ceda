// The state of the owner thread. A value: only step() changes it.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "plugin/model/event.h"
#include "plugin/model/snapshot.h"
#include "plugin/reconciler/backoff.h"
#include "plugin/reconciler/pace.h"
#include "plugin/services/backlog.h"
#include "plugin/services/catalog.h"

namespace nmanager::reconciler {

/// The goal for one table.
enum class Want : std::uint8_t {
  kLeave,    // not known yet, or not our family: the table is not read or changed
  kNothing,  // the table must have no chain of ours
  kRules,
};

/// A large change that is written in parts, one in a turn.
struct Parts {
  std::optional<std::size_t> left;  // SyncReport::left of the last one; nothing: none is under way
  std::uint64_t spec_digest = 0;    // what it was a part of
  int undone = 0;                   // parts after which not less of it was left than before
  bool committed = false;           // by one of them something was written
  std::set<Finding> findings;       // of all parts until now
  std::chrono::nanoseconds duration{};
};

struct TableState {
  TableId id;
  Want want = Want::kLeave;
  std::shared_ptr<const TableSpec> spec;         // shares what is large with State::store
  std::uint64_t spec_digest = 0;                 // of the spec that was last made
  bool spec_stale = true;                        // the inputs have changed since it was made
  std::optional<std::uint64_t> verified_digest;  // of the spec that was last verified

  std::vector<Hook> spec_hooks;  // that lead to rules by the spec that was last made
  std::vector<Hook> held_hooks;  // that led to rules when it was last verified
  // Filter: digest of what was last decided, and whether a part of it waits for kube-proxy's mode.
  std::uint64_t decided = 0;
  bool undecided = false;

  bool due = false;           // has to be looked at, at once
  bool services_due = false;  // Services have changed what it shall hold; see `pace`
  std::size_t changes = 0;    // see kChangesAtOnce; since it was last looked at, while services_due
  Pace pace;
  Parts parts;
  std::optional<TimePoint> changed_at;  // first unverified change by others
  std::string changed_by;               // the process, if known
  TimePoint not_before{};               // back-off after a failure
  TimePoint looked_at{};                // when the last look was asked for
  bool check_due = false;               // see SelfCheck
  bool untrimmed = false;               // memory was not given back to the system since that
  std::optional<TimePoint> verified_at;
  std::optional<TimePoint> flushed_at;  // flushed as a whole, and not repaired yet
  Backoff failures{Millis(100), Millis(30'000)};
  Contest contest;
  InvalidCounts invalid_seen;  // the rules' counters when last read
  TableStatus status;
};

/// A time at which something changed in a family's tables, and when all our rules were verified
/// after it.
struct ChangeSeen {
  WallTime seen;
  std::optional<WallTime> verified;
};

struct KubeState {
  Family family = Family::kIpv4;
  bool due = true;
  std::optional<KubeStamp> stamp;
  std::optional<KubeChecksum> checksum;
  bool content_due = false;  // the stamp changed, the content was not read yet
  TimePoint content_not_before{};
  std::chrono::nanoseconds content_cost = std::chrono::nanoseconds::max();  // of the last reading
  std::optional<TimePoint> resynced_at;  // waits for a verification that began later
  std::vector<ChangeSeen> changes;       // the latest, oldest first; only the last may be open
  std::optional<bool> jumps;             // KUBE-* jumps exist in PREROUTING and OUTPUT of nat
  std::optional<TimePoint> jumps_gone_since;
  std::optional<TimePoint> empty_since;  // KUBE-SERVICES, while the other family's is not
  /// KUBE-SERVICES was created and is still empty: the sync that created it is not complete.
  std::optional<TimePoint> made_at;
  bool jumps_gone = false;            // for longer than a sync takes
  bool stays_empty = false;           // likewise
  double failures_before = 0;         // of iptables-restore, at its last sync
  std::optional<bool> drops_invalid;  // KUBE-FORWARD drops INVALID packets
  KubeStatus status;
};

/// New and changed rules that led to the deletion of UDP flows; see flows.h.
struct FlowsToForget {
  Family family = Family::kIpv4;
  UdpRules rules = {};
  Millis pause{};                    // before the next look
  std::optional<TimePoint> at = {};  // the next look
};

/// What is kept change by change, held against what all Services mean: after each list and each
/// full look, a part at a time.
struct SelfCheck {
  std::optional<std::size_t> next_part;  // of the Services; nothing: done
  TimePoint next{};                      // the next part is not looked at before
};

struct State {
  Settings settings;
  WallTime started_at;
  services::Catalog store;
  services::Backlog backlog;
  std::string other_nmanager;  // the one that keeps this node's rules; empty: this one does
  std::vector<std::string> undecodable_keys;  // of the list that is being made
  std::set<std::string> undecodable_logged;
  ApiState api;
  ModeKnown mode;
  BackendKnown backend;
  ConntrackKnown conntrack;
  std::vector<Endpoint> api_servers;                  // never translated
  std::optional<std::vector<Prefix>> node_pod_cidrs;  // of the Node object; nullopt: unknown
  std::optional<ProxySync> proxy_sync;                // nullopt: kube-proxy was not queried yet
  std::optional<bool> canary;                         // KUBE-PROXY-CANARY exists in mangle
  ProxyHealth health_told = ProxyHealth::kNotAsked;
  ProxyHealth health_seen = ProxyHealth::kNotAsked;
  TimePoint health_since{};
  std::array<TableState, 4> tables;    // in the order of kTables
  std::array<KubeState, 2> kube;       // in the order of kFamilies
  std::array<FlowsToForget, 2> flows;  // likewise
  std::uint64_t undecodable = 0;
  SelfCheck self_check;
  std::uint64_t mismatches = 0;  // times that it was not equal
  std::set<Warning> warned;      // warnings that stand and are logged
  TimePoint next_full_look{};    // the safety net behind the change watch
};

}  // namespace nmanager::reconciler

// Everything the owner thread knows. A value: step() is the only code that changes it.
#pragma once

#include <array>
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
#include "plugin/services/store.h"

namespace nmanager::reconciler {

/// What we want of one table.
enum class Want : std::uint8_t {
  kLeave,    // not known yet, or not our family: what stands stays, nothing is looked at
  kNothing,  // no chain of ours may stand there
  kRules,
};

struct TableState {
  TableId id;
  Want want = Want::kLeave;
  // Made when needed, dropped when nothing was looked at for a while: at 10,000 Services it is
  // larger than everything else the process holds.
  std::shared_ptr<const TableSpec> spec;
  std::uint64_t spec_digest = 0;                 // of the spec that was last made
  bool spec_stale = true;                        // the inputs have changed since it was made
  std::optional<std::uint64_t> verified_digest;  // of the spec that was last verified

  std::vector<Hook> spec_hooks;  // that lead to rules by the spec that was last made
  std::vector<Hook> held_hooks;  // that led to rules when it was last verified
  // Filter: digest of what was last decided, and whether a part of it waits for kube-proxy's mode.
  std::uint64_t decided = 0;
  bool undecided = false;

  bool due = false;                     // has to be looked at
  std::optional<TimePoint> changed_at;  // first unverified change by others
  std::string changed_by;               // who, when known
  TimePoint not_before{};               // back-off after a failure
  TimePoint looked_at{};                // when the last look was asked for
  std::optional<TimePoint> verified_at;
  Backoff failures{Millis(100), Millis(30'000)};
  Contest contest;
  InvalidCounts invalid_seen;  // the rules' counters when last read
  TableStatus status;
};

/// A moment in which something changed in a family's tables, and when all of ours was verified
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
  bool content_due = false;  // the stamp moved, the content was not read yet
  TimePoint content_not_before{};
  std::optional<TimePoint> resynced_at;  // waits for a verification that began later
  std::vector<ChangeSeen> changes;       // the latest, oldest first; only the last may be open
  std::optional<bool> jumps;             // KUBE-* jumps stand in PREROUTING and OUTPUT of nat
  std::optional<bool> drops_invalid;     // KUBE-FORWARD drops INVALID packets
  KubeStatus status;
};

struct State {
  Settings settings;
  WallTime started_at;
  services::ServiceStore store;
  std::string other_nmanager;  // the one that keeps this node's rules; empty: this one does
  std::vector<std::string> undecodable_keys;  // of the list that is being made
  std::set<std::string> undecodable_logged;
  ApiState api;
  ModeKnown mode;
  BackendKnown backend;
  ConntrackKnown conntrack;
  std::vector<Endpoint> api_servers;                  // never translated
  std::optional<std::vector<Prefix>> node_pod_cidrs;  // of the Node object; nothing: not told yet
  std::optional<ProxySync> proxy_sync;                // nothing: kube-proxy was not asked yet
  std::optional<bool> canary;                         // KUBE-PROXY-CANARY stands in mangle
  ProxyHealth health_told = ProxyHealth::kNotAsked;
  std::array<TableState, 4> tables;  // in the order of kTables
  std::array<KubeState, 2> kube;     // in the order of kFamilies
  std::uint64_t undecodable = 0;
  services::Qualified qualified;  // counts of the last time rules were made; no addresses
  std::set<std::string> warned;   // warnings that stand and are logged
  TimePoint next_full_look{};     // the safety net behind the change watch
};

}  // namespace nmanager::reconciler

// The events of the reconciler; values only.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "hooks/intent/backend.h"
#include "hooks/values/table.h"
#include "plugin/model/api_event.h"
#include "plugin/model/endpoint.h"
#include "plugin/model/settings.h"
#include "plugin/model/snapshot.h"

namespace nmanager {

/// kube-proxy's mode if known. nullopt: not determined, which does not mean "not IPVS".
struct ModeKnown {
  std::optional<ProxyMode> mode;
  std::string origin;     // "kube-proxy", "config.conf", "flag", "kernel", ...
  std::string note;       // why it is unknown, or what contradicts it; empty: no remark
  bool in_doubt = false;  // kube-proxy may have changed its mode
};
/// The backend in use; an empty name: none yet.
struct BackendKnown {
  std::string name;
  std::string note;              // for the operator; empty: no remark
  std::string reason = {};       // why this backend
  bool replaces_tables = false;  // see Backend
  bool operator==(const BackendKnown&) const = default;
};
struct SettingsChanged {
  Settings settings;
};
/// nf_conntrack_tcp_be_liberal, read by the loop.
struct ConntrackKnown {
  bool be_liberal = false;
};
struct TableSynced {
  TableId id;
  SyncReport report;
};
/// The answer to ForgetUdpFlows. `deleted`: the external address of each flow.
struct FlowsForgotten {
  Family family = Family::kIpv4;
  UdpChange change;
  bool again = false;
  Result<std::vector<Address>> deleted = std::vector<Address>{};
};
/// The KUBE-* chains of one family were checked. `checksum` only if the stamp had changed and the
/// content was read.
struct KubeLooked {
  Family family = Family::kIpv4;
  Result<KubeStamp> stamp = KubeStamp{0};
  std::optional<KubeChecksum> checksum;
  std::chrono::nanoseconds checksum_cost{};
};
/// One report of kube-proxy itself.
struct ProxySync {
  bool reachable = false;     // it reported its mode
  bool metrics_read = false;  // its metrics were read too
  /// In the order of kFamilies, from its metrics; with metrics_read, nullopt means: never synced.
  std::array<std::optional<WallTime>, kFamilies.size()> last_sync;
  std::string error;  // one line
  /// In the order of kFamilies: failed calls of iptables-restore since kube-proxy's start.
  std::array<std::optional<double>, kFamilies.size()> restore_failures = {};
};
/// KUBE-PROXY-CANARY exists in mangle: while it does, kube-proxy in iptables mode detects no flush.
/// nullopt: could not be determined.
struct CanaryKnown {
  std::optional<bool> stands;
};
/// The address of the API server: no rule may translate it.
struct ApiServersKnown {
  std::vector<Endpoint> endpoints;
};
/// Whether this process may write in this network namespace. `other`: description of the nmanager
/// that does; empty: this process.
struct NodeClaimed {
  std::string other;
};
/// A client requests the current counters of the rules.
struct CountersAsked {};
struct Tick {};

using Event = std::variant<ApiEvent, TableChange, ModeKnown, BackendKnown, SettingsChanged,
                           ConntrackKnown, TableSynced, FlowsForgotten, KubeLooked, ProxySync,
                           CanaryKnown, NodeClaimed, ApiServersKnown, CountersAsked, Tick>;

/// Of an action that was done in this turn.
[[nodiscard]] inline bool is_answer(const Event& event) {
  return std::holds_alternative<TableSynced>(event) || std::holds_alternative<KubeLooked>(event) ||
         std::holds_alternative<FlowsForgotten>(event);
}

}  // namespace nmanager

// Everything that can happen to the reconciler; values only.
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

/// kube-proxy's mode as far as it is known. Nothing: could not tell, which is not "not IPVS".
struct ModeKnown {
  std::optional<ProxyMode> mode;
  std::string origin;     // "kube-proxy", "config.conf", "flag", "kernel", ...
  std::string note;       // why it could not be told, or what contradicts it; empty: nothing to say
  bool in_doubt = false;  // kube-proxy may be in another mode by now
};
/// The backend in use; an empty name: none yet.
struct BackendKnown {
  std::string name;
  std::string note;         // what an operator should know; empty: nothing
  std::string reason = {};  // why this one
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
/// The KUBE-* chains of one family were looked at. `checksum` only when the stamp had moved and the
/// content was read.
struct KubeLooked {
  Family family = Family::kIpv4;
  Result<KubeStamp> stamp = KubeStamp{0};
  std::optional<KubeChecksum> checksum;
  std::chrono::nanoseconds checksum_cost{};
};
/// kube-proxy's own word, once.
struct ProxySync {
  bool reachable = false;     // it told its mode
  bool metrics_read = false;  // and its metrics
  /// In the order of kFamilies, per its metrics; with metrics_read nothing means: never synced.
  std::array<std::optional<WallTime>, kFamilies.size()> last_sync;
  std::string error;  // one line
  /// In the order of kFamilies: failed calls of iptables-restore since kube-proxy's start.
  std::array<std::optional<double>, kFamilies.size()> restore_failures = {};
};
/// KUBE-PROXY-CANARY stands in mangle: while it does, kube-proxy in iptables mode sees no flush.
/// Nothing: could not be told.
struct CanaryKnown {
  std::optional<bool> stands;
};
/// Where the API server is reached: no rule may translate that.
struct ApiServersKnown {
  std::vector<Endpoint> endpoints;
};
/// Whether this process may write in this network namespace. `other`: the nmanager that does, in
/// words; empty: it is this one.
struct NodeClaimed {
  std::string other;
};
/// Somebody wants to see the rules' counters as they are now.
struct CountersAsked {};
struct Tick {};

using Event = std::variant<ApiEvent, TableChange, ModeKnown, BackendKnown, SettingsChanged,
                           ConntrackKnown, TableSynced, KubeLooked, ProxySync, CanaryKnown,
                           NodeClaimed, ApiServersKnown, CountersAsked, Tick>;

}  // namespace nmanager

// Everything that can happen to the reconciler, and everything it can ask for; values only.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "hooks/backend/backend.h"
#include "hooks/conntrack/udp_rules.h"
#include "hooks/values/table.h"
#include "plugin/api/service_source.h"
#include "plugin/settings/settings.h"
#include "plugin/status/snapshot.h"

namespace nmanager {

/// Both clocks at one moment: `mono` decides, `wall` is only shown.
struct Now {
  std::chrono::steady_clock::time_point mono;
  WallTime wall;
};

/// kube-proxy's mode as far as it is known. Nothing: could not tell, which is not "not IPVS".
struct ModeKnown {
  std::optional<ProxyMode> mode;
  std::string origin;  // "kube-proxy", "config.conf", "flag", "kernel", ...
  std::string note;    // why it could not be told, or what contradicts it; empty: nothing to say
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
};
/// KUBE-PROXY-CANARY stands in mangle: while it does, kube-proxy in iptables mode sees no flush.
/// Nothing: could not be told.
struct CanaryKnown {
  std::optional<bool> stands;
};
struct Tick {};

using Event = std::variant<ApiEvent, TableChange, ModeKnown, BackendKnown, SettingsChanged,
                           ConntrackKnown, TableSynced, KubeLooked, ProxySync, CanaryKnown, Tick>;

/// Bring tables to their goals; answered by one TableSynced for each.
struct SyncTables {
  std::vector<Goal> goals;
};
/// Look at kube-proxy's chains; answered by KubeLooked. The content is read when the stamp is not
/// `known_stamp` and `may_read_content`.
struct LookAtKube {
  Family family = Family::kIpv4;
  std::optional<KubeStamp> known_stamp;
  bool may_read_content = false;
};
/// Delete the conntrack entries of UDP flows whose nat rules have come, changed or gone.
struct ForgetUdpFlows {
  Family family = Family::kIpv4;
  UdpChange change;
};
/// Ask kube-proxy for its mode and its last sync, now.
struct AskKubeProxy {};
/// Large values were dropped: give their memory back to the system.
struct TrimMemory {};
/// One line an operator wants to read.
struct LogLine {
  enum class Level : std::uint8_t { kDebug, kInfo, kWarning, kError };
  Level level = Level::kInfo;
  std::string text;
};

using Action =
    std::variant<SyncTables, LookAtKube, ForgetUdpFlows, AskKubeProxy, TrimMemory, LogLine>;

}  // namespace nmanager

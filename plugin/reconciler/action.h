// The actions of the reconciler; values only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "hooks/intent/backend.h"
#include "hooks/intent/udp_change.h"
#include "hooks/values/address.h"

namespace nmanager::reconciler {

/// Bring tables to their goals; answered by one TableSynced for each.
struct SyncTables {
  std::vector<Goal> goals;
  std::set<TableId> spare_flushed = {};  // see SyncOptions
  bool check = false;                    // see SyncOptions
};
/// Check kube-proxy's chains; answered by KubeLooked. The content is read if the stamp is not
/// `known_stamp` and `may_read_content` is set.
struct LookAtKube {
  Family family = Family::kIpv4;
  std::optional<KubeStamp> known_stamp;
  bool may_read_content = false;
};
/// Delete the conntrack entries of UDP flows whose nat rules were added, changed or removed;
/// answered by FlowsForgotten.
struct ForgetUdpFlows {
  Family family = Family::kIpv4;
  UdpChange change;
  bool again = false;  // see flows.h
};
/// Ask kube-proxy for its mode and its last sync, now.
struct AskKubeProxy {};
/// Free a large value (null: none), and return free memory to the system.
struct GiveBack {
  std::shared_ptr<const void> unused;
};
/// One log line for the operator.
struct LogLine {
  enum class Level : std::uint8_t { kDebug, kInfo, kWarning, kError };
  Level level = Level::kInfo;
  std::string text;
};

using Action =
    std::variant<SyncTables, LookAtKube, ForgetUdpFlows, AskKubeProxy, GiveBack, LogLine>;

}  // namespace nmanager::reconciler

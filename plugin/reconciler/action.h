// Everything that the reconciler can ask for; values only.
#pragma once

#include <cstdint>
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

}  // namespace nmanager::reconciler

#include "plugin/model/proxy_mode.h"

namespace nmanager {

std::string_view to_string(ProxyHealth health) {
  switch (health) {
    case ProxyHealth::kNotAsked:
      return "not_asked";
    case ProxyHealth::kSynced:
      return "synced";
    case ProxyHealth::kNotStarted:
      return "not_started";
    case ProxyHealth::kDown:
      return "down";
    case ProxyHealth::kNeverSynced:
      return "never_synced";
    case ProxyHealth::kMetricsUnreadable:
      return "metrics_unreadable";
    case ProxyHealth::kSyncFails:
      return "sync_fails";
    case ProxyHealth::kJumpsGone:
      return "jumps_gone";
  }
  return "?";
}

}  // namespace nmanager

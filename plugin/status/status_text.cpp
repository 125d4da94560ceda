#include <algorithm>
#include <chrono>
#include <cstdio>

#include "plugin/status/render.h"

namespace nmanager::status {

namespace {

std::string ago(std::optional<WallTime> then, WallTime now) {
  if (!then) return "never";
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - *then).count();
  return utc(*then) + " (" + std::to_string(seconds < 0 ? 0 : seconds) + " s ago)";
}

std::string milliseconds(std::chrono::nanoseconds duration) {
  char buffer[32];
  const double value = std::chrono::duration<double, std::milli>(duration).count();
  std::snprintf(buffer, sizeof buffer, "%.1f ms", value);
  return buffer;
}

std::string table_line(const TableStatus& table, WallTime now) {
  std::string text = "  " + to_string(table.id) + ": ";
  if (table.error) return text + "FAILED: " + table.error->message + '\n';
  if (!table.note.empty()) return text + "not used: " + table.note + '\n';
  if (!table.wanted) {
    return text + (table.verified_at ? "nothing of ours is wanted here, and nothing stands\n"
                                     : "left as it stands\n");
  }
  text += std::to_string(table.rules) + " rules, " +
          (table.in_sync   ? "in place"
           : table.flushed ? "NOT in place: the whole table was flushed, repaired in a moment"
                           : "NOT verified since the last change") +
          ", verified " + ago(table.verified_at, now) + '\n';
  text += "    written " + std::to_string(table.syncs) + " times, repaired " +
          std::to_string(table.repairs) + " times";
  for (const auto& [cause, count] : table.repairs_by_cause) {
    text += ", " + std::string(to_string(cause)) + ' ' + std::to_string(count);
  }
  if (!table.rival.empty()) text += "; last displaced by " + table.rival;
  if (table.contested) text += "; CONTESTED, repairs are spaced out";
  return text + '\n';
}

std::string kube_line(const KubeStatus& kube, WallTime now) {
  std::string text = "  " + std::string(to_string(kube.family)) + ": ";
  if (!kube.unreadable.empty()) return text + "could not be read: " + kube.unreadable + "\n";
  if (!kube.present) return text + "no KUBE-SERVICES chain in nat\n";
  text += kube.last_resync ? "its chains changed " + ago(kube.last_resync, now)
                           : "its chains have not changed since nmanager started";
  if (kube.last_resync && kube.verified_after)
    text += ", ours verified " + milliseconds(kube.verify_lag) + " later";
  text += ", " + std::to_string(kube.resyncs) + " resyncs seen\n";
  if (kube.told_sync) text += "    by its own word: " + sync_in_words(kube) + '\n';
  if (kube.restore_failures > 0) {
    text += "    its iptables-restore has failed " + std::to_string(kube.restore_failures) +
            " times since\n";
  }
  return text;
}

std::string kube_proxy_part(const Snapshot& snapshot, WallTime now) {
  std::string text = "kube-proxy: mode " + snapshot.proxy_mode;
  if (!snapshot.proxy_mode_origin.empty()) text += " (told by " + snapshot.proxy_mode_origin + ')';
  if (!snapshot.proxy_version.empty()) text += ", version " + snapshot.proxy_version;
  text += '\n';
  if (!snapshot.proxy_health_text.empty()) text += "  " + snapshot.proxy_health_text + '\n';
  for (const KubeStatus& kube : snapshot.kube) text += kube_line(kube, now);
  if (snapshot.proxy_mode == "ipvs") {  // KEP-5495
    text +=
        "  IPVS mode is deprecated since Kubernetes 1.35 and removed in 1.43: the external-cluster "
        "rules are of no more use then\n";
  }
  return text;
}

std::string services_part(const Snapshot& snapshot) {
  std::string text = "Services: ";
  if (!snapshot.services_wanted) return text + "not needed (" + snapshot.why_no_services + ")\n";
  if (!snapshot.services_listed) return text + "the first list is not complete\n";
  text += std::to_string(snapshot.services) + ", " + std::to_string(snapshot.services_with_rules) +
          " of them with rules\n";
  for (const auto& [reason, count] : snapshot.skipped) {
    text += "  skipped, " + reason + ": " + std::to_string(count) + '\n';
  }
  for (const std::string& example : snapshot.skipped_examples) text += "    " + example + '\n';
  if (snapshot.undecodable > 0) {
    text += "  could not be decoded: " + std::to_string(snapshot.undecodable) + '\n';
  }
  return text;
}

std::string api_part(const Snapshot& snapshot) {
  const ApiState& api = snapshot.api;
  if (!snapshot.services_wanted) return "API server: not asked\n";
  std::string text = "API server: " + (api.server.empty() ? "not known" : api.server);
  text += api.last_error.empty() ? ", connected" : ", " + api.last_error;
  if (snapshot.services_stale) text += ", Services may be out of date";
  return text + " (lists " + std::to_string(api.lists) + ", watches " +
         std::to_string(api.watches) + ", events " + std::to_string(api.events) + ")\n";
}

std::string drops_part(const Snapshot& snapshot) {
  std::string text = "INVALID packets dropped:";
  for (const TableStatus& table : snapshot.tables) {
    if (table.id.table != Table::kFilter) continue;
    text +=
        ' ' + std::string(to_string(table.id.family)) + ' ' + std::to_string(table.invalid_drops);
  }
  text += '\n';
  if (snapshot.be_liberal) {
    const bool kept = std::ranges::any_of(snapshot.tables, [](const TableStatus& table) {
      return table.id.table == Table::kFilter && table.wanted;
    });
    text +=
        "  net.netfilter.nf_conntrack_tcp_be_liberal is set: conntrack calls few packets INVALID";
    text += kept ? "\n" : ", so the rule is left out\n";
  }
  return text;
}

}  // namespace

std::string render_status(const Snapshot& snapshot, WallTime now) {
  std::string text = snapshot.ready() ? "ready\n" : "not ready\n";
  if (!snapshot.ready()) {
    for (const Check& check : snapshot.checks) {
      if (!check.ok && !check.informational) text += "  " + check.name + ": " + check.detail + '\n';
    }
  }
  text += "nmanager " + snapshot.version + ", running since " + ago(snapshot.started_at, now) +
          ", backend " + (snapshot.backend.empty() ? "not known yet" : snapshot.backend) + '\n';
  text += "tables:\n";
  for (const TableStatus& table : snapshot.tables) text += table_line(table, now);
  text += drops_part(snapshot);
  text += kube_proxy_part(snapshot, now);
  text += services_part(snapshot);
  text += api_part(snapshot);
  for (const std::string& warning : snapshot.warnings) text += "note: " + warning + '\n';
  text += "settings:\n";
  for (const SettingShown& setting : snapshot.settings) {
    text += "  " + setting.name + " = " + setting.value + " (" + setting.origin + ")\n";
  }
  return text;
}

}  // namespace nmanager::status

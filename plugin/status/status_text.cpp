// The text of `nmanager status`.
#include "plugin/status/render.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>

#include "hooks/values/text.h"

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
    return text + (table.verified_at ? "no rules wanted, none present\n" : "not changed\n");
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
  if (kube.told_sync) text += "    as it reports: " + sync_in_words(kube) + '\n';
  if (kube.restore_failures > 0) {
    text += "    its iptables-restore has failed " + std::to_string(kube.restore_failures) +
            " times since\n";
  }
  return text;
}

std::string kube_proxy_part(const Snapshot& snapshot, WallTime now) {
  std::string text = "kube-proxy: mode " + snapshot.proxy_mode;
  if (!snapshot.proxy_mode_origin.empty()) text += " (from " + snapshot.proxy_mode_origin + ')';
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

std::string painted(const Paint& paint, CureState state) {
  switch (state) {
    case CureState::kOn:
      return paint.good("ON");
    case CureState::kFailing:
      return paint.bad("FAILING");
    case CureState::kOff:
      return paint.doubtful("OFF");
    case CureState::kNotNeeded:
      return "NOT NEEDED";
    case CureState::kUnknown:
      return paint.doubtful("NOT DECIDED YET");
  }
  return {};
}

std::string cure_line(const Cure& cure, const Paint& paint) {
  std::string text = "problem " + std::to_string(cure.problem) + ", " + cure.name + ": " +
                     painted(paint, cure.state);
  if (!cure.did.empty()) text += ", " + cure.did;
  if (!cure.why.empty()) text += ": " + one_line(cure.why);
  return text + '\n';
}

/// The problems, with names.
std::string wrong_part(const Snapshot& snapshot, const Paint& paint) {
  std::string text;
  if (snapshot.ready()) {
    text = paint.good("ready") + "\n";
  } else if (const Check* missing = snapshot.waits_for_kube_proxy()) {
    text = paint.bad("not ready") +
           ", only because kube-proxy has not synced: " + one_line(missing->detail) + '\n';
  } else {
    text = paint.bad("not ready") + "\n";
    for (const Check& check : snapshot.checks) {
      if (check.ok || check.informational) continue;
      text += "  " + check.name + ": " + one_line(check.detail) + '\n';
    }
  }
  if (!snapshot.ready() && snapshot.ready_when_alive) {
    text += "  /readyz passes all the same: --ready-when alive\n";
  }
  for (const Warning& warning : snapshot.warnings) {
    text += paint.doubtful("warning") + " " + std::string(to_string(warning.code)) + ": " +
            one_line(warning.text) + '\n';
  }
  return text;
}

std::uint64_t packets_of(const Snapshot& snapshot, const DropStatus& drop,
                         const InvalidCounter& counter) {
  const TableId id{drop.family, Table::kFilter};
  const auto table = std::ranges::find(snapshot.tables, id, &TableStatus::id);
  if (table == snapshot.tables.end()) return 0;
  return nmanager::packets_of(table->invalid, counter);
}

std::string drops_part(const Snapshot& snapshot) {
  std::string text = "INVALID packets:\n";
  for (const DropStatus& drop : snapshot.drops) {
    const std::string where =
        std::string(to_string(drop.family)) + ' ' + std::string(to_string(drop.hook));
    text += "  " + where + ": " + drop.state + " (" + drop.why + ")";
    for (const bool dropped : {true, false}) {
      const auto possible = packets_of(snapshot, drop, {drop.hook, dropped, true});
      const auto no = packets_of(snapshot, drop, {drop.hook, dropped, false});
      if (possible + no == 0 && drop.state != (dropped ? "on" : "counting")) continue;
      text += ", " + std::to_string(possible + no) + (dropped ? " dropped" : " counted");
      if (drop.hook == Hook::kInput || possible + no == 0) continue;
      text += ", " + std::to_string(possible) + " of them TCP without RST";
    }
    text += '\n';
  }
  return text;
}

}  // namespace

std::string render_status(const Snapshot& snapshot, WallTime now, const StatusStyle& style) {
  const Paint paint(style.colour);
  std::string text;
  for (const Cure& cure : snapshot.cures) text += cure_line(cure, paint);
  text += wrong_part(snapshot, paint);
  text += "nmanager " + snapshot.version + ", running since " + ago(snapshot.started_at, now) +
          ", backend " + (snapshot.backend.empty() ? "not known yet" : snapshot.backend) + '\n';
  text += "tables:\n";
  for (const TableStatus& table : snapshot.tables) text += table_line(table, now);
  text += drops_part(snapshot);
  text += kube_proxy_part(snapshot, now);
  text += services_part(snapshot);
  text += api_part(snapshot);
  if (!style.settings) return text;
  text += "settings:\n";
  for (const SettingShown& setting : snapshot.settings) {
    text += "  " + setting.name + " = " + setting.value + " (" + setting.origin + ")\n";
  }
  return text;
}

}  // namespace nmanager::status

#include "plugin/status/render.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cstdint>
#include <sstream>
#include <utility>

#include "plugin/model/skip_reason.h"

namespace nmanager::status {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<std::pair<std::string, std::string>>;

double seconds_since_epoch(WallTime time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

std::string family_label(Family family) {
  return family == Family::kIpv4 ? "ipv4" : "ipv6";
}

/// One metric family under construction.
class Builder {
 public:
  Builder(std::string name, std::string help, MetricType type) {
    family_.name = std::move(name);
    family_.help = std::move(help);
    family_.type = type;
  }

  Builder& add(double value, const Labels& labels = {}) {
    ClientMetric& metric = labelled(labels);
    metric.counter.value = value;
    metric.gauge.value = value;
    return *this;
  }

  Builder& add(const Histogram& histogram, const Labels& labels) {
    ClientMetric& metric = labelled(labels);
    std::uint64_t cumulative = 0;
    for (std::size_t i = 0; i < Histogram::kBounds.size(); ++i) {
      cumulative += histogram.counts[i];
      metric.histogram.bucket.push_back({cumulative, Histogram::kBounds[i]});
    }
    metric.histogram.sample_count = histogram.total();
    metric.histogram.sample_sum = histogram.sum;
    return *this;
  }

  void into(std::vector<MetricFamily>& all) {
    if (!family_.metric.empty()) all.push_back(std::move(family_));
  }

 private:
  ClientMetric& labelled(const Labels& labels) {
    ClientMetric metric;
    for (const auto& [name, value] : labels) metric.label.push_back({name, value});
    family_.metric.push_back(std::move(metric));
    return family_.metric.back();
  }

  MetricFamily family_;
};

Builder counter(std::string name, std::string help) {
  return {std::move(name), std::move(help), MetricType::Counter};
}
Builder gauge(std::string name, std::string help) {
  return {std::move(name), std::move(help), MetricType::Gauge};
}
Builder histogram(std::string name, std::string help) {
  return {std::move(name), std::move(help), MetricType::Histogram};
}

Labels labels_of(const TableStatus& table) {
  return {{"family", family_label(table.id.family)},
          {"table", std::string(to_string(table.id.table))}};
}

// A label value that has not occurred yet is exported as 0, so that rates see its first increase.

std::map<Cause, std::uint64_t> with_all_causes(std::map<Cause, std::uint64_t> counts) {
  for (int i = 0; i <= static_cast<int>(Cause::kElementForeign); ++i) counts[static_cast<Cause>(i)];
  return counts;
}

std::map<std::string, std::size_t> with_all_reasons(std::map<std::string, std::size_t> counts) {
  for (const SkipReason reason : kSkipReasons) counts[std::string(to_string(reason))];
  return counts;
}

void add_table_counters(const Snapshot& snapshot, std::vector<MetricFamily>& all) {
  auto syncs =
      counter("nmanager_table_syncs_total", "Commits made because the desired rules had changed.");
  auto repairs = counter("nmanager_table_repairs_total",
                         "Commits made because another program had changed the rules.");
  auto causes =
      counter("nmanager_table_repair_causes_total", "What was wrong, by repair and cause.");
  auto verifications = counter("nmanager_table_verifications_total",
                               "Times the table was found or made as desired.");
  auto failures = counter("nmanager_table_failures_total", "Failed attempts to read or write it.");
  for (const TableStatus& table : snapshot.tables) {
    Labels labels = labels_of(table);
    syncs.add(static_cast<double>(table.syncs), labels);
    repairs.add(static_cast<double>(table.repairs), labels);
    verifications.add(static_cast<double>(table.verifications), labels);
    failures.add(static_cast<double>(table.failures), labels);
    labels.emplace_back("cause", "");
    for (const auto& [cause, count] : with_all_causes(table.repairs_by_cause)) {
      labels.back().second = std::string(to_string(cause));
      causes.add(static_cast<double>(count), labels);
    }
  }
  for (Builder* one : {&syncs, &repairs, &causes, &verifications, &failures}) one->into(all);
}

void add_invalid(const Snapshot& snapshot, std::vector<MetricFamily>& all) {
  const std::string kinds =
      " reset=\"possible\": TCP without RST, which a host that does not know the connection "
      "answers with RST; reset=\"no\": RST and other protocols; reset=\"unknown\": not "
      "distinguished.";
  auto dropped = counter("nmanager_invalid_packets_dropped_total",
                         "Packets that conntrack called INVALID and nmanager dropped." + kinds);
  auto counted =
      counter("nmanager_invalid_packets_counted_total",
              "Packets that conntrack called INVALID and nmanager only counted (value count): they "
              "went on." +
                  kinds);
  for (const TableStatus& table : snapshot.tables) {
    if (table.id.table != Table::kFilter) continue;
    for (const Hook hook : hooks_of(table.id.table)) {
      for (const bool may_reset : {true, false}) {
        const bool told = hook != Hook::kInput;  // INPUT has one rule for all kinds
        if (!told && !may_reset) continue;
        const Labels labels{{"family", family_label(table.id.family)},
                            {"hook", std::string(to_string(hook))},
                            {"reset", !told       ? "unknown"
                                      : may_reset ? "possible"
                                                  : "no"}};
        dropped.add(static_cast<double>(packets_of(table.invalid, {hook, true, may_reset})),
                    labels);
        counted.add(static_cast<double>(packets_of(table.invalid, {hook, false, may_reset})),
                    labels);
      }
    }
  }
  dropped.into(all);
  counted.into(all);
}

void add_table_gauges(const Snapshot& snapshot, std::vector<MetricFamily>& all) {
  auto wanted = gauge("nmanager_table_wanted", "1 while rules are to be kept in this table.");
  auto in_sync =
      gauge("nmanager_table_in_sync", "1 while it is verified since the last change seen in it.");
  auto rules = gauge("nmanager_table_rules", "Rules of nmanager in this table.");
  auto contested =
      gauge("nmanager_table_contested", "1 while another agent keeps undoing our rules.");
  auto verified = gauge("nmanager_table_last_verified_timestamp_seconds",
                        "When it was last found or made as desired.");
  auto commits = histogram("nmanager_table_commit_duration_seconds",
                           "Duration of reading and writing a table, lock wait included.");
  auto latency = histogram("nmanager_table_repair_latency_seconds",
                           "From the moment a change was seen to the end of its repair.");
  auto lock_wait = histogram("nmanager_table_lock_wait_seconds",
                             "Wait for the xtables lock (iptables-legacy), by look or write.");
  for (const TableStatus& table : snapshot.tables) {
    const Labels labels = labels_of(table);
    wanted.add(table.wanted ? 1 : 0, labels);
    in_sync.add(table.in_sync ? 1 : 0, labels);
    rules.add(static_cast<double>(table.rules), labels);
    contested.add(table.contested ? 1 : 0, labels);
    if (table.verified_at) verified.add(seconds_since_epoch(*table.verified_at), labels);
    commits.add(table.commit_duration, labels);
    latency.add(table.repair_latency, labels);
    lock_wait.add(table.lock_wait, labels);
  }
  for (Builder* one :
       {&wanted, &in_sync, &rules, &contested, &verified, &commits, &latency, &lock_wait}) {
    one->into(all);
  }
}

void add_kube(const Snapshot& snapshot, std::vector<MetricFamily>& all) {
  auto present = gauge("nmanager_kube_chains_present", "1 while KUBE-SERVICES exists in nat.");
  auto resyncs =
      counter("nmanager_kube_resyncs_total", "Changes of the content of kube-proxy's chains.");
  auto last = gauge("nmanager_kube_last_resync_timestamp_seconds",
                    "When kube-proxy's chains were last seen to have changed.");
  auto lag = gauge("nmanager_kube_resync_verified_lag_seconds",
                   "From the last resync seen to the end of the verification after it.");
  auto told = gauge("nmanager_kube_proxy_sync_verified_lag_seconds",
                    "From the end of kube-proxy's last sync, as it reports, to our verification.");
  for (const KubeStatus& kube : snapshot.kube) {
    const Labels labels{{"family", family_label(kube.family)}};
    present.add(kube.present ? 1 : 0, labels);
    resyncs.add(static_cast<double>(kube.resyncs), labels);
    if (kube.last_resync) last.add(seconds_since_epoch(*kube.last_resync), labels);
    if (kube.verified_after) {
      lag.add(std::chrono::duration<double>(kube.verify_lag).count(), labels);
    }
    if (kube.present && kube.told_verified) {
      told.add(std::chrono::duration<double>(*kube.told_verified).count(), labels);
    }
  }
  for (Builder* one : {&present, &resyncs, &last, &lag, &told}) one->into(all);
  gauge("nmanager_kube_proxy_mode", "1 with the mode that kube-proxy runs in.")
      .add(1, {{"mode", snapshot.proxy_mode}})
      .into(all);
  auto health = gauge("nmanager_kube_proxy_state", "1 with the state that kube-proxy is in.");
  for (const ProxyHealth one : kProxyHealths) {
    health.add(one == snapshot.proxy_health ? 1 : 0, {{"state", std::string(to_string(one))}});
  }
  health.into(all);
  if (snapshot.proxy_last_sync) {
    gauge("nmanager_kube_proxy_last_sync_timestamp_seconds",
          "kube-proxy's own word on its last sync.")
        .add(seconds_since_epoch(*snapshot.proxy_last_sync))
        .into(all);
  }
}

void add_services(const Snapshot& snapshot, std::vector<MetricFamily>& all) {
  auto warnings =
      gauge("nmanager_warnings", "Warnings that /readyz?verbose and `nmanager status` show now.");
  for (const WarningCode code : kWarningCodes) {
    const auto shown = std::ranges::count(snapshot.warnings, code, &Warning::code);
    warnings.add(static_cast<double>(shown), {{"code", std::string(to_string(code))}});
  }
  warnings.into(all);
  gauge("nmanager_services_stale", "1 while the Services may be out of date.")
      .add(snapshot.services_stale ? 1 : 0)
      .into(all);
  gauge("nmanager_services_wanted", "1 while Services are listed and watched.")
      .add(snapshot.services_wanted ? 1 : 0)
      .into(all);
  gauge("nmanager_services_listed", "1 once the first list of Services is complete.")
      .add(snapshot.services_listed ? 1 : 0)
      .into(all);
  gauge("nmanager_services", "Services known.")
      .add(static_cast<double>(snapshot.services))
      .into(all);
  gauge("nmanager_services_with_rules", "Services that have external-cluster rules.")
      .add(static_cast<double>(snapshot.services_with_rules))
      .into(all);
  auto skipped =
      gauge("nmanager_services_skipped", "Services or addresses without rules, by reason.");
  for (const auto& [reason, count] : with_all_reasons(snapshot.skipped)) {
    skipped.add(static_cast<double>(count), {{"reason", reason}});
  }
  skipped.into(all);
  counter("nmanager_services_undecodable_total", "Service objects that could not be decoded.")
      .add(static_cast<double>(snapshot.undecodable))
      .into(all);
  counter("nmanager_incremental_mismatches_total",
          "Times that the rules kept Service by Service differed from those of all Services.")
      .add(static_cast<double>(snapshot.mismatches))
      .into(all);
}

void add_api(const Snapshot& snapshot, std::vector<MetricFamily>& all) {
  const ApiState& api = snapshot.api;
  if (snapshot.services_wanted) {  // without a client the state is undefined
    gauge("nmanager_api_connected", "1 while the API server answers.")
        .add(api.last_error.empty() && api.lists > 0 ? 1 : 0)
        .into(all);
  }
  if (api.last_word) {
    gauge("nmanager_services_last_word_timestamp_seconds",
          "When the API server last proved that the Services are current.")
        .add(seconds_since_epoch(*api.last_word))
        .into(all);
  }
  const auto add = [&](const char* name, const char* help, std::uint64_t value) {
    counter(name, help).add(static_cast<double>(value)).into(all);
  };
  add("nmanager_api_lists_total", "Complete lists of Services.", api.lists);
  add("nmanager_api_relists_total", "Complete lists after the first.", api.relists);
  add("nmanager_api_watches_total", "Watches begun.", api.watches);
  add("nmanager_api_events_total", "Events of Services received.", api.events);
  add("nmanager_api_bookmarks_total", "Bookmarks received.", api.bookmarks);
  add("nmanager_api_errors_total", "Requests and watches that ended in an error.", api.errors);
}

void add_log(const Snapshot& snapshot, std::vector<MetricFamily>& all) {
  counter("nmanager_log_lines_lost_total",
          "Log lines dropped because no process read standard error fast enough.")
      .add(static_cast<double>(snapshot.lost_log_lines))
      .into(all);
}

void add_process(const ProcessStats& process, std::vector<MetricFamily>& all) {
  gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.")
      .add(process.start_time)
      .into(all);
  counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.")
      .add(process.cpu_seconds)
      .into(all);
  gauge("process_resident_memory_bytes", "Resident memory size in bytes.")
      .add(static_cast<double>(process.resident_bytes))
      .into(all);
  gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.")
      .add(static_cast<double>(process.virtual_bytes))
      .into(all);
  gauge("process_open_fds", "Number of open file descriptors.")
      .add(static_cast<double>(process.open_fds))
      .into(all);
  gauge("process_threads", "Number of OS threads in the process.")
      .add(static_cast<double>(process.threads))
      .into(all);
}

}  // namespace

std::string render_metrics(const Snapshot& snapshot, const ProcessStats& process) {
  std::vector<MetricFamily> all;
  gauge("nmanager_build_info", "1 with the version and the backend in use.")
      .add(1, {{"version", snapshot.version}, {"backend", snapshot.backend}})
      .into(all);
  gauge("nmanager_ready", "1 while every check of /readyz passes, whatever --ready-when says.")
      .add(snapshot.ready() ? 1 : 0)
      .into(all);
  add_table_counters(snapshot, all);
  add_invalid(snapshot, all);
  add_table_gauges(snapshot, all);
  add_kube(snapshot, all);
  add_services(snapshot, all);
  add_api(snapshot, all);
  add_log(snapshot, all);
  add_process(process, all);
  std::ostringstream text;
  text.imbue(std::locale::classic());
  prometheus::TextSerializer().Serialize(text, all);
  return text.str();
}

}  // namespace nmanager::status

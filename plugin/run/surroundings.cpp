#include "plugin/run/surroundings.h"

#include <utility>

namespace nmanager::run {

namespace {

std::vector<std::string> watched_paths(const Settings& own, const settings::KubeProxyFiles& files) {
  return {own.kube_proxy_config.value, own.kubeconfig.value, files.kubeconfig, files.missing,
          settings::kubeconfig_beside(own)};  // the watch skips empty ones
}

/// The cures that pods outside of the pod CIDRs lack; empty: none.
std::string what_pods_miss(const Settings& settings, std::optional<ProxyMode> mode) {
  if (mode == ProxyMode::kIpvs && settings.external_cluster.value != Switch::kOff) {
    return "do not get the external-cluster rules";
  }
  const Switch forward = settings.drop_invalid_forward.value;
  const bool by_mode = forward == Switch::kAuto && mode == ProxyMode::kNftables;
  if (!by_mode && forward != Switch::kOn && forward != Switch::kCount) return {};
  return "are not seen by the rule for INVALID packets in FORWARD";
}

}  // namespace

Surroundings::Surroundings(Settings own, const World& world) : own_(std::move(own)), world_(world) {
  world_.kube_proxy.watch_files(watched_paths(own_, files_));
  read_files();
}

/// Reads until no file changed during the read: the watch is set before each read, so a file that
/// is written in between is read again, now or at the next poll.
void Surroundings::read_files() {
  constexpr int kMostRounds = 4;
  for (int round = 0; round < kMostRounds; ++round) {
    files_ = keep_last_good(files_, world_.kube_proxy.read_files(own_));
    world_.kube_proxy.watch_files(watched_paths(own_, files_));
    if (!world_.kube_proxy.files_changed()) break;
  }
  settings_ = merge_kube_proxy_files(own_, files_);
}

void Surroundings::start_asking() {
  asking_ = true;
  const auto endpoint = parse_endpoint(settings_.kube_proxy_metrics.value);
  // Checked when the settings were parsed; a bad value of a file is a note there.
  if (endpoint) world_.kube_proxy.ask_at(*endpoint);
}

void Surroundings::ask_once() {
  const auto endpoint = parse_endpoint(settings_.kube_proxy_metrics.value);
  if (!endpoint) return;
  report_ = world_.kube_proxy.ask_once(*endpoint);
  asked_once_ = true;
}

std::vector<Event> Surroundings::look(std::optional<bool> kube_chains) {
  std::vector<Event> events;
  if (world_.kube_proxy.files_changed()) follow_files(events);
  take_reports(events);
  neighbour::KernelEvidence kernel = world_.kernel.evidence();
  kernel.kube_chains = kube_chains;
  decide(kernel, events);
  note_routes(kernel);
  if (kernel.be_liberal && kernel.be_liberal != be_liberal_) {
    be_liberal_ = kernel.be_liberal;
    events.emplace_back(ConntrackKnown{*be_liberal_});
  }
  if (const auto canary = world_.kernel.canary(); canary != canary_) {
    canary_ = canary;
    events.emplace_back(CanaryKnown{canary});
  }
  return events;
}

void Surroundings::follow_files(std::vector<Event>& events) {
  const std::string asked_at = settings_.kube_proxy_metrics.value;
  read_files();
  access_changed_ = true;
  if (asking_ && settings_.kube_proxy_metrics.value != asked_at) start_asking();
  events.emplace_back(SettingsChanged{settings_});
}

void Surroundings::take_reports(std::vector<Event>& events) {
  auto reports = world_.kube_proxy.take_reports();
  const bool once = std::exchange(asked_once_, false);
  if (reports.empty() && !once) return;
  if (!reports.empty()) report_ = std::move(reports.back());
  events.emplace_back(ProxySync{
      report_.reachable,
      report_.metrics_read,
      {report_.last_sync(Family::kIpv4), report_.last_sync(Family::kIpv6)},
      report_.error,
      {report_.restore_failures(Family::kIpv4), report_.restore_failures(Family::kIpv6)}});
}

void Surroundings::decide(const neighbour::KernelEvidence& kernel, std::vector<Event>& events) {
  neighbour::ModeDecision decision =
      decide_mode(settings_.proxy_mode, report_, settings_.config_mode, kernel, decision_);
  if (decision == decision_) return;
  decision_ = std::move(decision);
  events.emplace_back(
      ModeKnown{decision_.mode, decision_.origin, decision_.note, decision_.in_doubt});
}

void Surroundings::note_routes(const neighbour::KernelEvidence& kernel) {
  route_notes_.clear();
  const std::string missed = what_pods_miss(settings_, decision_.mode);
  if (missed.empty()) return;  // no rules for traffic of pods exist
  for (const neighbour::PodRoute& route : uncovered_routes(
           kernel.pod_routes, settings_.pod_cidr_ipv4.value, settings_.pod_cidr_ipv6.value)) {
    route_notes_.push_back("the pod CIDR does not cover the pods' route " +
                           to_string(route.prefix) + " over " + route.device + ": pods there " +
                           missed);
  }
}

}  // namespace nmanager::run

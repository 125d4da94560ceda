#include "plugin/run/neighbourhood.h"

#include <utility>

#include "plugin/settings/parse.h"

namespace nmanager::run {

namespace {

std::vector<std::string> watched_paths(const Settings& own, const settings::KubeProxyFiles& files) {
  return {own.kube_proxy_config.value, own.kubeconfig.value, files.kubeconfig, files.missing,
          settings::kubeconfig_beside(own)};  // the watch leaves out empty ones
}

}  // namespace

Neighbourhood::Neighbourhood(Settings own)
    : own_(std::move(own)),
      files_(settings::read_kube_proxy_files(own_)),
      settings_(settings::merge_kube_proxy_files(own_, files_)),
      files_watch_(watched_paths(own_, files_)) {}

void Neighbourhood::start_probe() {
  const auto endpoint = parse_endpoint(settings_.kube_proxy_metrics.value);
  if (!endpoint) return;  // checked when the settings were read; a file's bad value is a note there
  neighbour::ProbeOptions options;
  options.endpoint = *endpoint;
  probe_ = std::make_unique<neighbour::KubeProxyProbe>(
      options, [this](neighbour::ProxyReport report) { reports_.post(std::move(report)); });
}

void Neighbourhood::ask_kube_proxy() {
  if (probe_) probe_->poke();
}

std::vector<Event> Neighbourhood::look(std::optional<bool> kube_chains) {
  std::vector<Event> events;
  if (!files_watch_.drain().empty()) read_files(events);
  take_reports(events);
  neighbour::KernelEvidence kernel = neighbour::gather_kernel_evidence();
  kernel.kube_chains = kube_chains;
  kernel.nft_table = tables_.nft_table();
  decide(kernel, events);
  note_routes(kernel);
  if (kernel.be_liberal && kernel.be_liberal != be_liberal_) {
    be_liberal_ = kernel.be_liberal;
    events.emplace_back(ConntrackKnown{*be_liberal_});
  }
  if (const auto canary = tables_.canary(); canary != canary_) {
    canary_ = canary;
    events.emplace_back(CanaryKnown{canary});
  }
  return events;
}

void Neighbourhood::read_files(std::vector<Event>& events) {
  access_changed_ = true;
  files_ = settings::keep_last_good(files_, settings::read_kube_proxy_files(own_));
  files_watch_.set_paths(watched_paths(own_, files_));
  const std::string metrics_before = settings_.kube_proxy_metrics.value;
  settings_ = settings::merge_kube_proxy_files(own_, files_);
  if (probe_ && settings_.kube_proxy_metrics.value != metrics_before) {
    const auto endpoint = parse_endpoint(settings_.kube_proxy_metrics.value);
    if (endpoint) probe_->set_endpoint(*endpoint);
  }
  events.emplace_back(SettingsChanged{settings_});
}

void Neighbourhood::take_reports(std::vector<Event>& events) {
  auto reports = reports_.take();
  if (reports.empty()) return;
  report_ = std::move(reports.back());
  events.emplace_back(
      ProxySync{report_.reachable,
                report_.metrics_read,
                {report_.last_sync(Family::kIpv4), report_.last_sync(Family::kIpv6)},
                report_.error});
}

void Neighbourhood::decide(const neighbour::KernelEvidence& kernel, std::vector<Event>& events) {
  neighbour::ModeDecision decision = neighbour::decide_mode(
      settings_.proxy_mode, report_, settings_.config_mode, kernel, decision_);
  if (decision == decision_) return;
  decision_ = std::move(decision);
  events.emplace_back(ModeKnown{decision_.mode, decision_.origin, decision_.note});
}

void Neighbourhood::note_routes(const neighbour::KernelEvidence& kernel) {
  route_notes_.clear();
  if (decision_.mode != ProxyMode::kIpvs || settings_.external_cluster.value == Switch::kOff) {
    return;  // there are no rules for pods' traffic
  }
  for (const neighbour::PodRoute& route : neighbour::uncovered_routes(
           kernel.pod_routes, settings_.pod_cidr_ipv4.value, settings_.pod_cidr_ipv6.value)) {
    route_notes_.push_back("the pod CIDR does not cover the pods' route " +
                           to_string(route.prefix) + " over " + route.device +
                           ": pods there do not get the external-cluster rules");
  }
}

}  // namespace nmanager::run

// Inputs of the owner thread other than tables and Services: kube-proxy's answers and files, and
// the kernel's settings. Converts them to events. Owner thread only.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plugin/model/event.h"
#include "plugin/neighbour/decide_mode.h"
#include "plugin/run/world.h"

namespace nmanager::run {

class Surroundings {
 public:
  /// `own`: flags and environment only (settings::parse_settings()). Reads kube-proxy's files; the
  /// watch of them starts before they are read.
  Surroundings(Settings own, const World& world);

  /// The effective settings, including kube-proxy's files.
  [[nodiscard]] const Settings& settings() const { return settings_; }

  /// Starts to query kube-proxy periodically.
  void start_asking();
  /// Queries kube-proxy once, now; for commands that run once.
  void ask_once();

  /// Reads files, kernel and kube-proxy's answers; returns events only for changes.
  /// `kube_chains`: KUBE-SERVICES exists in a nat table of the variant in use.
  [[nodiscard]] std::vector<Event> look(std::optional<bool> kube_chains);

  /// A file that defines, or may define, the access to the API server has changed since the last
  /// call.
  [[nodiscard]] bool take_access_changed() { return std::exchange(access_changed_, false); }

  /// Routes to pods on this node that the pod CIDRs do not cover, one line each.
  [[nodiscard]] const std::vector<std::string>& route_notes() const { return route_notes_; }
  [[nodiscard]] const std::optional<std::string>& kube_proxy_version() const {
    return report_.metrics.version;
  }

 private:
  void read_files();
  void follow_files(std::vector<Event>& events);
  void take_reports(std::vector<Event>& events);
  void decide(const neighbour::KernelEvidence& kernel, std::vector<Event>& events);
  void note_routes(const neighbour::KernelEvidence& kernel);

  Settings own_;
  World world_;
  settings::KubeProxyFiles files_;
  Settings settings_;
  neighbour::ProxyReport report_;
  neighbour::ModeDecision decision_;
  std::optional<bool> be_liberal_;
  std::optional<bool> canary_;
  bool asking_ = false;
  bool asked_once_ = false;
  bool access_changed_ = false;
  std::vector<std::string> route_notes_;
};

}  // namespace nmanager::run

// What the owner thread sees around itself besides tables and Services: kube-proxy's answers and
// files, and the kernel's settings. Turns them into events. Owner thread only, but for the probe's
// posts.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plugin/model/event.h"
#include "plugin/neighbour/decide_mode.h"
#include "plugin/neighbour/file_watch.h"
#include "plugin/neighbour/probe.h"
#include "plugin/run/mailbox.h"
#include "plugin/run/table_evidence.h"
#include "plugin/settings/merge.h"

namespace nmanager::run {

class Neighbourhood {
 public:
  /// `own`: flags and environment only (parse_settings()); kube-proxy's files are read here.
  explicit Neighbourhood(Settings own);

  /// The effective settings, kube-proxy's files included.
  [[nodiscard]] const Settings& settings() const { return settings_; }

  /// Starts to ask kube-proxy; not for commands that only look once.
  void start_probe();
  void ask_kube_proxy();

  /// Readable when look() may have news.
  [[nodiscard]] std::vector<int> fds() const { return {files_watch_.fd(), reports_.fd()}; }

  /// Looks at files, kernel and what kube-proxy has answered; events only for what is news.
  /// `kube_chains`: KUBE-SERVICES stands in a nat table of the variant in use.
  [[nodiscard]] std::vector<Event> look(std::optional<bool> kube_chains);

  /// A file that tells how to reach the API server, or may, has changed since the last call.
  [[nodiscard]] bool take_access_changed() { return std::exchange(access_changed_, false); }

  /// Pods' routes on this node that the pod CIDRs do not cover, one line each.
  [[nodiscard]] const std::vector<std::string>& route_notes() const { return route_notes_; }
  [[nodiscard]] const std::optional<std::string>& kube_proxy_version() const {
    return report_.version;
  }

 private:
  void read_files(std::vector<Event>& events);
  void take_reports(std::vector<Event>& events);
  void decide(const neighbour::KernelEvidence& kernel, std::vector<Event>& events);
  void note_routes(const neighbour::KernelEvidence& kernel);

  Settings own_;
  settings::KubeProxyFiles files_;
  Settings settings_;
  neighbour::FileWatch files_watch_;
  neighbour::ProxyReport report_;
  neighbour::ModeDecision decision_;
  std::optional<bool> be_liberal_;
  std::optional<bool> canary_;
  bool access_changed_ = false;
  TableEvidence tables_;
  std::vector<std::string> route_notes_;
  Mailbox<neighbour::ProxyReport> reports_;
  std::unique_ptr<neighbour::KubeProxyProbe> probe_;  // last: it posts to reports_
};

}  // namespace nmanager::run

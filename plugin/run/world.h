// Everything outside of the process that the loop uses: clock, kernel, kube-proxy, API server, log
// and publication, each behind an interface, so that tests can replace it. main() passes the real
// ones; nothing else in this folder creates them. All are called on the owner thread, and no wait
// here may be unbounded.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hooks/detect/decide.h"
#include "hooks/intent/backend.h"
#include "plugin/api/api_access.h"
#include "plugin/api/service_source.h"
#include "plugin/model/endpoint.h"
#include "plugin/model/settings.h"
#include "plugin/model/snapshot.h"
#include "plugin/model/time.h"
#include "plugin/neighbour/kernel_evidence.h"
#include "plugin/neighbour/probe.h"
#include "plugin/reconciler/action.h"
#include "plugin/settings/merge.h"
#include "plugin/status/questions.h"

namespace nmanager::run {

struct BackendPair {
  std::unique_ptr<Backend> backend;
  std::unique_ptr<ChangeWatch> watch;
};

struct BackendOptions {
  bool create_tables = false;              // may create tables that do not exist yet
  std::chrono::milliseconds lock_wait{0};  // longest wait for the xtables lock in one sync
  bool poll_only = false;                  // do not listen to the kernel's events
};

/// netfilter, devices and sysctls of this network namespace.
class Kernel {
 public:
  virtual ~Kernel() = default;
  /// kUnsupported: this kernel has no such tables. kDenied: a capability is missing, the message
  /// names it.
  [[nodiscard]] virtual Result<BackendPair> make_backend(BackendChoice choice,
                                                         const BackendOptions& options) = 0;
  [[nodiscard]] virtual detect::VariantEvidence variant_evidence() = 0;
  /// Does not set `kube_chains`, which the backend in use determines.
  [[nodiscard]] virtual neighbour::KernelEvidence evidence() = 0;
  /// KUBE-PROXY-CANARY exists in a mangle table; nullopt: could not be read.
  [[nodiscard]] virtual std::optional<bool> canary() = 0;
  /// The number of conntrack entries deleted.
  [[nodiscard]] virtual Result<std::vector<Address>> forget_flows(Family family,
                                                                  const UdpChange& change) = 0;
};

/// kube-proxy: its files, and its endpoint.
class KubeProxy {
 public:
  virtual ~KubeProxy() = default;
  [[nodiscard]] virtual settings::KubeProxyFiles read_files(const Settings& own) = 0;
  /// Replaces the watched files. files_changed() reports changes after this call.
  virtual void watch_files(std::vector<std::string> paths) = 0;
  /// Files may have changed, or reports have arrived.
  [[nodiscard]] virtual bool has_news() = 0;
  /// Readable in these cases.
  [[nodiscard]] virtual std::vector<int> fds() const = 0;
  /// One of the files was changed, created or removed since the last call.
  [[nodiscard]] virtual bool files_changed() = 0;
  /// Queries `endpoint` periodically from now on, on a separate thread.
  virtual void ask_at(const Endpoint& endpoint) = 0;
  /// Queries soon, and once more after that.
  virtual void ask_soon() = 0;
  [[nodiscard]] virtual std::vector<neighbour::ProxyReport> take_reports() = 0;
  /// One answer, for commands that run once; waits at most a few seconds.
  [[nodiscard]] virtual neighbour::ProxyReport ask_once(const Endpoint& endpoint) = 0;
};

class ApiServer {
 public:
  virtual ~ApiServer() = default;
  /// The server and the credentials.
  [[nodiscard]] virtual Result<api::ApiAccess> access(const Settings& settings) = 0;
  [[nodiscard]] virtual std::unique_ptr<api::ServiceSource> make_source(
      const api::ApiAccess& access) = 0;
  /// Reports NodePodCidrs of this node when available; no Services.
  [[nodiscard]] virtual std::unique_ptr<api::ServiceSource> make_node_source(
      const api::ApiAccess& access) = 0;
  [[nodiscard]] virtual Result<ServicesListed> list_once(const api::ApiAccess& access) = 0;
  /// For commands that run once; nullopt: not available.
  [[nodiscard]] virtual std::optional<NodePodCidrs> node_once(const api::ApiAccess& access) = 0;
};

/// Log and published state. Never blocks: lines that cannot be written are dropped and counted.
class Output {
 public:
  virtual ~Output() = default;
  virtual void log(reconciler::LogLine::Level level, const std::string& text) = 0;
  [[nodiscard]] virtual bool logs_debug() const = 0;
  [[nodiscard]] virtual std::uint64_t lost_log_lines() const = 0;
  virtual void publish(Snapshot snapshot) = 0;
  /// The number of requests for current counters (Snapshot::answers).
  [[nodiscard]] virtual std::uint64_t asked() = 0;
  /// Records a turn of the loop.
  virtual void beat(TimePoint now) = 0;
  /// Questions about Services since the last call.
  [[nodiscard]] virtual std::vector<status::PendingQuestion> take_questions() = 0;
  /// Starts to serve the published state unless it is served already. Empty: it is served; else the
  /// reason, one line.
  [[nodiscard]] virtual std::string serve(TimePoint now) = 0;
};

/// Time, memory, the claim on this node, and the wait between two turns.
class Process {
 public:
  virtual ~Process() = default;
  [[nodiscard]] virtual Now now() const = 0;
  /// Only one nmanager may write in a network namespace. Empty: this process, until it ends; else
  /// the other process, one line.
  [[nodiscard]] virtual std::string claim_node() = 0;
  /// Frees `unused` (null: nothing) soon, and returns free memory to the system.
  virtual void give_back(std::shared_ptr<const void> unused) = 0;
  /// Returns at `until`, when a descriptor of `fds` is readable, or when a stop is requested
  /// (false).
  [[nodiscard]] virtual bool wait(TimePoint until, std::span<const int> fds) = 0;
};

struct World {
  Kernel& kernel;
  KubeProxy& kube_proxy;
  ApiServer& api_server;
  Output& output;
  Process& process;
};

}  // namespace nmanager::run

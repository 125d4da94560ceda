// nmanager run as a process, with an API server in this one.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "test/api_server/api_server.h"

namespace nmanager::bench {

struct ServiceAddress {
  std::string cluster;
  std::string external;
};
/// A LoadBalancer Service as JSON; one address of each family. `ports`: the list in spec.
[[nodiscard]] std::string service_json(const std::string& name,
                                       const std::vector<ServiceAddress>& addresses,
                                       const std::string& ports);
/// One with two ports. `version` is in its cluster address, so each is a change of the rules.
enum class Kind : std::uint8_t { kTcp4, kUdp6, kTcpBoth };
[[nodiscard]] std::string service(int number, int version = 0, Kind kind = Kind::kTcp4);

/// The program's answer at its endpoint, with its head; empty while there is none.
[[nodiscard]] std::string ask_endpoint(const std::string& path);
/// The sum of the metric's series, as the program reports it now.
[[nodiscard]] double metric(const std::string& name);

/// The program, until destroyed; its endpoint is the default one.
class Program {
 public:
  Program(const test::ApiServer& server, const std::string& backend, const std::string& mode);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program();

  /// kube-proxy's file, which the program follows; `pods` are the cluster's CIDRs.
  void configure(const std::string& mode,
                 const std::string& pods = "10.244.0.0/16,fd44::/16") const;

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// VmRSS, VmHWM ... of /proc/PID/status, in MiB.
  [[nodiscard]] double mebibytes(const std::string& field) const;

 private:
  std::string kubeconfig_;
  std::string config_;
  pid_t pid_ = -1;
};

/// So many have rules, and all tables are in sync. False: not within five minutes.
bool wait_for_services(int services);

}  // namespace nmanager::bench

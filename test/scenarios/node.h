// A node in its own network namespace: iptables of one variant, and nmanager as a process.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "test/api_server/api_server.h"
#include "test/support/command.h"
#include "test/support/net_namespace.h"

namespace nmanager::test {

/// The value of --backend: "iptables-legacy", "iptables-nft" or "nftables"; all scenarios run once
/// for each ($TEST_BACKEND).
[[nodiscard]] std::string backend();
/// True if our chains are in a native table.
[[nodiscard]] bool native();
/// The variant of iptables that all other programs on the node use: "legacy" or "nft".
[[nodiscard]] std::string variant();
/// True, and the scenario is skipped with this reason, if it makes no sense for a native table.
[[nodiscard]] bool senseless_natively(const char* word);

/// Where the scripts of the scenarios are, with a slash at its end.
inline const std::string kScripts = std::string(NMANAGER_SOURCE_DIR) + "/test/scenarios/";

[[nodiscard]] inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Polls until the condition is true; false if it is not within `patience`.
bool eventually(const std::function<bool()>& condition,
                std::chrono::milliseconds patience = std::chrono::seconds(15));

/// A Service of type LoadBalancer, externalTrafficPolicy Local, on its cluster addresses and
/// external addresses (IPv4 and IPv6 mixed), ports as "TCP:80".
struct ServiceSpec {
  std::string name;
  std::vector<std::string> cluster_ips;
  std::vector<std::string> ingress;
  std::vector<std::string> ports;
};
[[nodiscard]] std::string to_json(const ServiceSpec& spec);

class Node {
 public:
  Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  ~Node();

  [[nodiscard]] bool usable() const { return namespace_.usable(); }
  [[nodiscard]] const std::string& folder() const { return folder_; }
  [[nodiscard]] ApiServer& api() { return *api_; }

  /// Runs in the node's namespace. "iptables", "ip6tables", "iptables-restore" and the like are
  /// those of the variant.
  std::string sh(const std::string& command, const std::string& input = {}) const;
  /// The nat tables as kube-proxy's first sync in IPVS mode leaves them, in both families: enough
  /// for readiness.
  void kube_proxy_syncs() const;
  /// Lines of iptables-save -c and ip6tables-save -c that are ours, or that are not; counters
  /// of base chains and of jumps to KUBE-* are left out. Natively, our rules are the listing of
  /// our table.
  [[nodiscard]] std::string our_rules() const;
  [[nodiscard]] std::string foreign_rules() const;
  /// Each hook must have exactly one jump, before every KUBE-* jump there; returns what is wrong.
  [[nodiscard]] std::string misplaced() const;
  /// Empties one of our chains in a table of IPv4, or in our native table.
  void flush(const std::string& table, const std::string& chain) const {
    sh(flush_command(table, chain));
  }
  [[nodiscard]] static std::string flush_command(const std::string& table,
                                                 const std::string& chain);

 private:
  NetNamespace namespace_;
  std::string folder_;
  std::optional<ApiServer> api_;
};

/// nmanager run, as a child process.
class Sidecar {
 public:
  /// `environment`: "NAME=value", in addition to the test's own.
  explicit Sidecar(const Node& node, const std::vector<std::string>& flags = {}, int port = 10261,
                   const std::vector<std::string>& environment = {});
  Sidecar(const Sidecar&) = delete;
  Sidecar& operator=(const Sidecar&) = delete;
  ~Sidecar();  // SIGTERM; the rules stay

  void kill_at_once();
  /// SIGTERM; the exit code.
  int terminate();
  [[nodiscard]] bool alive() const;
  [[nodiscard]] pid_t pid() const { return pid_; }

  [[nodiscard]] std::string log() const;
  /// Body of GET `path`, whatever the status; empty: no answer.
  [[nodiscard]] std::string get(const std::string& path) const;
  /// Sum over all metrics of that name whose labels contain `label`; nothing: there is none.
  [[nodiscard]] std::optional<double> metric(const std::string& name,
                                             const std::string& label = {}) const;
  /// Services listed, every wanted table verified and right.
  [[nodiscard]] bool settled() const;
  [[nodiscard]] bool ready() const;

 private:
  int port_;
  std::string log_;
  pid_t pid_ = -1;
};

/// True when the rules translate external addresses, and when they drop INVALID packets.
[[nodiscard]] bool translate(const std::string& rules);
[[nodiscard]] bool drop_invalid(const std::string& rules);

/// The flags of every sidecar of these tests, unless its own flags override them: names and values.
[[nodiscard]] std::vector<std::string> base_flags(const Node& node);
/// `nmanager COMMAND FLAGS` to its end.
CommandResult nmanager(const Node& node, const std::string& command);

}  // namespace nmanager::test

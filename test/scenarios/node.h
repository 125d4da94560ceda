// A node in a network namespace of its own: iptables of one variant, and nmanager as a process.
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

/// What --backend is told: "iptables-legacy", "iptables-nft" or "nftables"; the whole list of
/// scenarios runs once for each ($TEST_BACKEND).
[[nodiscard]] std::string backend();
/// Our chains stand in a table of their own.
[[nodiscard]] bool native();
/// The variant of iptables that everybody else uses on the node: "legacy" or "nft".
[[nodiscard]] std::string variant();
/// True, with the word printed, where the scenario makes no sense for a native table.
[[nodiscard]] bool senseless_natively(const char* word);

/// Where the scripts of the scenarios are, with a slash at its end.
inline const std::string kScripts = std::string(NMANAGER_SOURCE_DIR) + "/test/scenarios/";

[[nodiscard]] inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Asks again and again until the answer is yes; false: not within `patience`.
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
  /// As kube-proxy's first sync in IPVS mode leaves the nat tables, both families: enough to be
  /// ready with.
  void kube_proxy_syncs() const;
  /// Lines of iptables-save -c and ip6tables-save -c that are ours, or that are not; counters
  /// of base chains and of jumps to KUBE-* are left out. Natively, what is ours is the listing of
  /// our table.
  [[nodiscard]] std::string our_rules() const;
  [[nodiscard]] std::string foreign_rules() const;
  /// Exactly one jump of each hook, in front of every KUBE-* jump there; else what is wrong.
  [[nodiscard]] std::string misplaced() const;
  /// Empties a chain of ours in a table of IPv4, or in our own.
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
  /// `environment`: "NAME=value", besides the test's own.
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

/// What every sidecar of these tests is told, unless its own flags say otherwise: names and values.
[[nodiscard]] std::vector<std::string> base_flags(const Node& node);
/// `nmanager COMMAND FLAGS` to its end.
CommandResult nmanager(const Node& node, const std::string& command);

}  // namespace nmanager::test

// A pod and an outside around the node, each in its own network namespace.
#pragma once

#include <string>

#include "test/scenarios/node.h"

namespace nmanager::test {

/// The pod is 10.244.0.2 / fd44::2 behind the node, which translates its traffic to the outside,
/// where 203.0.113.2 / fd13::2 is. The node is 203.0.113.1 / fd13::1.
class Network {
 public:
  explicit Network(const Node& node);
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;
  ~Network();

  /// The command as run in that namespace.
  [[nodiscard]] std::string in_pod(const std::string& command) const;
  [[nodiscard]] std::string outside(const std::string& command) const;

  /// A second pod on the node: 10.244.2.2 / fd44:0:0:2::2.
  void add_second_pod();
  [[nodiscard]] std::string in_second_pod(const std::string& command) const;

  /// One connection from the pod to `address` outside that gets a segment ahead of the window;
  /// returns 0 if it survives, 10 if it was reset.
  int connection_with_forged_segment(const std::string& address, int port);

  /// Starts a program and waits for its first line; it ends with this object.
  void start(const std::string& command);
  void start_outside(const std::string& command) { start(outside(command)); }

 private:
  std::string pod_;
  std::string second_pod_;
  std::string outside_;
  std::string pids_;  // of the programs started by start_outside()
  const Node& node_;
};

}  // namespace nmanager::test

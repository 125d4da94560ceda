// Signals, time and memory of this process, and its claim on the node.
#pragma once

#include <memory>
#include <utility>

#include "hooks/sys/fd.h"
#include "hooks/sys/node_claim.h"
#include "plugin/run/disposal.h"
#include "plugin/run/world.h"

namespace nmanager::run {

class RealProcess final : public Process {
 public:
  /// Blocks SIGTERM and SIGINT for this thread and those it starts: create it before any other
  /// thread.
  RealProcess();

  /// SIGTERM or SIGINT was received.
  [[nodiscard]] bool stop_requested() const;

  [[nodiscard]] Now now() const override;
  [[nodiscard]] std::string claim_node() override { return claim_.take(); }
  void give_back(std::shared_ptr<const void> unused) override { disposal_.take(std::move(unused)); }
  [[nodiscard]] bool wait(TimePoint until, std::span<const int> fds) override;

 private:
  sys::Fd stop_;  // signalfd
  sys::NodeClaim claim_;
  Disposal disposal_;
};

}  // namespace nmanager::run

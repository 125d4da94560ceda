// The kernel of the network namespace that the calling thread is in.
#pragma once

#include <functional>
#include <utility>

#include "hooks/detect/evidence.h"
#include "hooks/detect/legacy_traces.h"
#include "hooks/netlink/socket.h"
#include "plugin/run/world.h"

namespace nmanager::run {

class RealKernel final : public Kernel {
 public:
  /// `stop_requested` ends a wait for the xtables lock.
  explicit RealKernel(std::function<bool()> stop_requested)
      : stop_requested_(std::move(stop_requested)) {}

  [[nodiscard]] Result<BackendPair> make_backend(BackendChoice choice,
                                                 const BackendOptions& options) override;
  [[nodiscard]] detect::VariantEvidence variant_evidence() override { return variant_.gather(); }
  [[nodiscard]] neighbour::KernelEvidence evidence() override;
  [[nodiscard]] std::optional<bool> canary() override;
  [[nodiscard]] Result<std::vector<Address>> forget_flows(Family family,
                                                          const UdpChange& change) override;

 private:
  std::function<bool()> stop_requested_;
  detect::VariantLook variant_;
  netlink::Netlink netlink_;
  detect::LegacyTraces legacy_;
};

}  // namespace nmanager::run

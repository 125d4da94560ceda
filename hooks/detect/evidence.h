// Looks for what kubelet and kube-proxy left, without making a table or loading a module of
// iptables-legacy.
#pragma once

#include <memory>

#include "hooks/detect/decide.h"

namespace nmanager::detect {

/// Remembers what it read of legacy tables, since a look there means reading all of a table: it is
/// read again only when its shape changed, and so seldom that this takes at most 1 % of a core.
/// Bound to the network namespace it is made in; owner thread only.
class VariantLook {
 public:
  VariantLook();
  ~VariantLook();
  VariantLook(const VariantLook&) = delete;
  VariantLook& operator=(const VariantLook&) = delete;

  [[nodiscard]] VariantEvidence gather();

 private:
  struct Memory;
  std::unique_ptr<Memory> memory_;
};

}  // namespace nmanager::detect

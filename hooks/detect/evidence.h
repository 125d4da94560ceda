// Looks for traces of kubelet and kube-proxy, without creating a table or loading a module of
// iptables-legacy.
#pragma once

#include <memory>

#include "hooks/detect/decide.h"

namespace nmanager::detect {

/// Caches the result for legacy tables, since a check requires a read of the whole table: a table
/// is read again only when its shape changed, and only so often that the reads take at most 1 % of
/// a core. Bound to the network namespace in which it is created; owner thread only.
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

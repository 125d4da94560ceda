// The two variants of iptables, each with our backend for it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "hooks/chains/chain_backend.h"
#include "test/support/iptables.h"

namespace nmanager::test {

struct Variant {
  Iptables tool;
  std::function<std::unique_ptr<chains::ChainBackend>()> make;
};

/// In the network namespace of the calling thread.
std::vector<Variant> variants();

}  // namespace nmanager::test

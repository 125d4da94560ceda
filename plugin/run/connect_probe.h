// Connects from this node to check whether an address is reachable.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "hooks/values/address.h"

namespace nmanager::run {

struct ConnectTarget {
  Address address;
  std::uint16_t port = 0;
};

/// "connected", "timed out", "Connection refused", ... in the order of the targets. Runs in
/// parallel batches; each takes at most `patience`. A connection is closed as soon as it is
/// established.
[[nodiscard]] std::vector<std::string> connect_to_each(const std::vector<ConnectTarget>& targets,
                                                       std::chrono::milliseconds patience);

inline constexpr const char* kConnected = "connected";

}  // namespace nmanager::run

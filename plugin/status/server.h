// The local HTTP endpoint: /livez, /readyz, /status, /explain, /metrics. One thread of its own,
// loopback only. /status and /metrics show counters of the moment they are asked for, unless the
// owner thread cannot answer within a second.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "hooks/values/address.h"
#include "hooks/values/result.h"
#include "plugin/status/board.h"
#include "plugin/status/questions.h"

namespace nmanager::status {

class StatusServer {
 public:
  /// kBadInput: not a loopback address; kUnavailable: the port cannot be had, the message says why.
  [[nodiscard]] static Result<std::unique_ptr<StatusServer>> start(const Address& address,
                                                                   std::uint16_t port,
                                                                   StatusBoard& board,
                                                                   Questions& questions);
  virtual ~StatusServer() = default;  // stops within milliseconds, whatever clients do

  /// The port that was bound; interesting when 0 was asked for.
  [[nodiscard]] virtual std::uint16_t port() const = 0;
};

}  // namespace nmanager::status

// The local HTTP endpoint: /livez, /readyz, /status, /explain, /metrics. Its own thread, loopback
// only. /status and /metrics show counters read at the request, unless the owner thread cannot
// answer within a second.
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
  /// kBadInput: not a loopback address; kUnavailable: the port cannot be bound, the message has the
  /// reason.
  [[nodiscard]] static Result<std::unique_ptr<StatusServer>> start(const Address& address,
                                                                   std::uint16_t port,
                                                                   StatusBoard& board,
                                                                   Questions& questions);
  virtual ~StatusServer() = default;  // stops within milliseconds, whatever clients do

  /// The bound port, of interest if 0 was requested.
  [[nodiscard]] virtual std::uint16_t port() const = 0;
};

}  // namespace nmanager::status

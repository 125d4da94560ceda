// Only one process may maintain the rules of a network namespace. The claim is a socket bound in
// the abstract namespace (unix(7)): there is one such namespace per network namespace, it needs no
// file and no capability, and the kernel releases the name when the process ends for any reason.
#pragma once

#include <optional>
#include <string>

#include "hooks/sys/fd.h"

namespace nmanager::sys {

class NodeClaim {
 public:
  /// Empty: this object holds the claim until it is destroyed. Otherwise the holder, as text:
  /// "another nmanager (process 123)", without the number if the process is in another pid
  /// namespace; or the error that prevented the claim. A holder that is not root is not reported
  /// (empty) and does not prevent us from running.
  [[nodiscard]] std::string take();

 private:
  Fd socket_;
  std::optional<std::string> holder_;  // while another process holds it
};

/// The present holder of the claim, as text; nullopt if no root process holds it.
[[nodiscard]] std::optional<std::string> holder_of_node();

}  // namespace nmanager::sys

// Only one process may keep the rules of a network namespace. The claim is a bound socket of the
// abstract namespace (unix(7)), which is one per network namespace, needs no file and no
// capability, and ends with the process that holds it, however that ends.
#pragma once

#include <optional>
#include <string>

#include "hooks/sys/fd.h"

namespace nmanager::sys {

class NodeClaim {
 public:
  /// Empty: the claim is held from now on, until this object ends. Else who holds it, in words:
  /// "another nmanager (process 123)"; its number is left out where it is of another pid namespace.
  /// A holder that is not root keeps nobody out.
  [[nodiscard]] std::string take();

 private:
  Fd socket_;
  std::optional<std::string> holder_;  // while another one holds it
};

/// Who holds the claim now, in words; nothing: nobody does.
[[nodiscard]] std::optional<std::string> holder_of_node();

}  // namespace nmanager::sys

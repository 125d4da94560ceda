// A libiptc handle: a private copy of one table that is edited and then committed as a whole.
#pragma once

#include <cerrno>
#include <memory>
#include <string>

#include "hooks/iptables_legacy/family.h"
#include "hooks/iptables_legacy/kernel.h"
#include "hooks/values/result.h"
#include "hooks/values/table.h"

namespace nmanager::iptables_legacy {

/// F is Ipv4 or Ipv6. One thread only: libiptc keeps the name of the failing function in a global
/// variable.
template <class F>
class Handle {
 public:
  /// Creates the table if it does not exist.
  [[nodiscard]] static Result<Handle> open(Table table) {
    const std::string name(to_string(table));
    xtc_handle* raw = F::init(name.c_str());
    if (raw == nullptr) return kernel_error(TableId{F::kFamily, table}, "reading the rules", errno);
    return Handle(raw);
  }

  [[nodiscard]] xtc_handle* get() const { return raw_.get(); }

 private:
  struct Free {
    void operator()(xtc_handle* raw) const { F::free(raw); }
  };
  explicit Handle(xtc_handle* raw) : raw_(raw) {}

  std::unique_ptr<xtc_handle, Free> raw_;
};

}  // namespace nmanager::iptables_legacy

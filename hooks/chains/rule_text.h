// Rules as iptables-save prints them: for logs, `nmanager plan`, golden tests and failure messages.
#pragma once

#include <string>
#include <string_view>

#include "hooks/values/rule.h"

namespace nmanager::chains {

/// The text after "-A CHAIN " in iptables-save, e.g. `-d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j
/// X`.
[[nodiscard]] std::string to_string(const Rule& rule);

[[nodiscard]] std::string_view iptables_command(Family family);  // "iptables", "ip6tables"

}  // namespace nmanager::chains

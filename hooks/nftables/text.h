// Rules and plans in nft's syntax (nft(8)): for logs, `nmanager plan`, golden tests. Pure.
#pragma once

#include <string>

#include "hooks/nftables/plan.h"
#include "hooks/nftables/ruleset.h"

namespace nmanager::nftables {

/// The text after "add rule inet nmanager CHAIN "; different rules have different texts.
[[nodiscard]] std::string to_text(const NativeRule& rule);

/// `192.0.2.1 . tcp . 80 comment "ns/name" : 10.96.0.1`, of the set `id`.
[[nodiscard]] std::string to_text(const SetId& id, const Element& element);

/// One step, with its line break.
[[nodiscard]] std::string to_text(const Step& step);
/// The plan as text for `nft -f`; empty for an empty plan.
[[nodiscard]] std::string to_text(const Plan& plan);

}  // namespace nmanager::nftables

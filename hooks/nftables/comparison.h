// What a plan is made from, with no more elements than those that may have to change. Pure.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "hooks/intent/backend.h"
#include "hooks/nftables/plan.h"

namespace nmanager::nftables {

/// Sets that are known to hold what a spec, which has such a set, wants of them, and what the
/// observed set has, which is for other addresses.
using Standing = std::map<SetId, std::shared_ptr<const TableSpec>>;

struct Comparison {
  Wanted wanted;
  Observed observed;
};

/// `frames` are rulesets without elements, those of the goals among them, and `observed` lacks the
/// elements of `standing`. Of these the result has those of the addresses for which the two specs
/// differ, on both sides; `whole`: of all addresses. The plan is the same.
[[nodiscard]] Comparison compare(std::span<const Goal> goals, const Wanted& frames,
                                 const Observed& observed, const Standing& standing, bool whole);

/// What one transaction is for: of a goal with many addresses that do not stand yet a part, with so
/// many addresses left for later ones. All of it where something else stands than a spec wants.
/// `most` addresses are shared by the goals that have some.
struct Parts {
  std::vector<Goal> goals;
  std::map<TableId, std::size_t> left;  // only of goals that are not whole
};
[[nodiscard]] Parts first_parts(std::span<const Goal> goals, const Wanted& frames,
                                const Observed& observed, const Standing& standing,
                                std::size_t most);

/// Equal specs but for external addresses: the same rules. False for those of several families.
[[nodiscard]] bool same_frame(const TableSpec& a, const TableSpec& b);

/// The number of elements of `after`; those of `before` (may be null) are `count`.
[[nodiscard]] std::size_t elements_after(std::size_t count, const TableSpec* before,
                                         const TableSpec& after);

}  // namespace nmanager::nftables

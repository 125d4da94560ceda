// The difference between desired and observed, as a list of edits for one commit of a backend.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "hooks/chains/desired.h"
#include "hooks/chains/observed.h"
#include "hooks/intent/finding.h"
#include "hooks/values/edit_script.h"

namespace nmanager::chains {

using Insert = InsertOf<Rule>;
using EditStep = EditStepOf<Rule>;

struct ChainEdit {
  ChainName chain;
  bool create = false;  // the chain does not exist yet; steps are Inserts only
  std::vector<EditStep> steps;
};

/// Our jump in a built-in chain. The backend removes `remove`, then inserts one plain jump before
/// the observed rule `before` (nullopt: at the end) if `insert`; `before` is never in `remove`.
struct HookEdit {
  Hook hook = Hook::kInput;
  ChainName jump_to;
  std::vector<RuleRef> remove;
  bool insert = false;
  std::optional<RuleRef> before;
  std::size_t position = 0;  // 0-based place of the new jump after the removals; for the text form
  std::vector<std::size_t> remove_positions;  // 0-based places of `remove`; for the text form
};

/// Order of execution: chains of `edits` with create, hooks, steps of `edits`, then
/// `remove_chains`. `remove_chains` are emptied and deleted; a chain to which a foreign rule still
/// jumps is emptied and kept, and the backend names it in Commit::still_referenced.
struct TablePlan {
  TableId id;
  std::vector<ChainEdit> edits;
  std::vector<HookEdit> hooks;
  std::vector<ChainName> remove_chains;
  std::vector<Finding> findings;  // sorted, unique

  [[nodiscard]] bool empty() const {
    return edits.empty() && hooks.empty() && remove_chains.empty();
  }
};

/// Pure. `leave` names our chains that cannot be deleted, since foreign rules jump to them: they
/// are emptied, and no plan is made only to delete them.
///
/// Placement (design): exactly one plain jump in each hook of desired.jumps, before the first jump
/// to a chain of kube-proxy (is_kube_chain()). A jump in such a position stays there. A new one
/// goes before the first such jump in nat, on top in filter; a displaced one goes before the first
/// such jump. Jumps of a hook to other chains of ours are removed.
[[nodiscard]] TablePlan make_plan(TableId id, const DesiredTable& desired,
                                  const ObservedTable& observed,
                                  const std::set<ChainName>& leave = {});

/// Of a part (ObservedTable::left): the jumps if they have somewhere to go, and the chains that are
/// in it.
[[nodiscard]] TablePlan plan_part(TableId id, const DesiredTable& desired,
                                  const ObservedTable& observed);

/// The plan as equivalent iptables-restore --noflush text; empty for an empty plan.
/// Positions are those of `observed`. Used by `nmanager plan`, the log and tests.
[[nodiscard]] std::string to_restore_text(const TablePlan& plan);

}  // namespace nmanager::chains

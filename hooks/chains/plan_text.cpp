#include "hooks/chains/plan.h"
#include "hooks/chains/rule_text.h"

namespace nmanager::chains {

namespace {

void print_hook(std::string& text, const HookEdit& edit) {
  const std::string chain(to_string(edit.hook));
  for (auto position = edit.remove_positions.rbegin(); position != edit.remove_positions.rend();
       ++position) {
    text += "-D " + chain + ' ' + std::to_string(*position + 1) + '\n';
  }
  if (!edit.insert) return;
  text +=
      "-I " + chain + ' ' + std::to_string(edit.position + 1) + " -j " + edit.jump_to.str() + '\n';
}

void print_edit(std::string& text, const ChainEdit& edit) {
  const std::string chain = edit.chain.str();
  std::size_t place = 1;
  for (const EditStep& step : edit.steps) {
    if (const auto* insert = std::get_if<Insert>(&step)) {
      text += edit.create ? "-A " + chain : "-I " + chain + ' ' + std::to_string(place);
      text += ' ' + to_string(insert->rule) + '\n';
      ++place;
    } else if (std::holds_alternative<Remove>(step)) {
      text += "-D " + chain + ' ' + std::to_string(place) + '\n';
    } else {
      ++place;
    }
  }
}

}  // namespace

std::string to_restore_text(const TablePlan& plan) {
  if (plan.empty()) return {};
  std::string text = '*' + std::string(to_string(plan.id.table)) + '\n';
  for (const ChainEdit& edit : plan.edits) {
    if (edit.create) text += ':' + edit.chain.str() + " - [0:0]\n";
  }
  for (const HookEdit& edit : plan.hooks) print_hook(text, edit);
  for (const ChainEdit& edit : plan.edits) print_edit(text, edit);
  for (const ChainName& chain : plan.remove_chains) text += "-F " + chain.str() + '\n';
  for (const ChainName& chain : plan.remove_chains) text += "-X " + chain.str() + '\n';
  return text + "COMMIT\n";
}

}  // namespace nmanager::chains

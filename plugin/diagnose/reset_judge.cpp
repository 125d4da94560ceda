#include "plugin/diagnose/reset_judge.h"

namespace nmanager::diagnose {

namespace {

/// A port scan causes more RSTs than are useful to keep.
constexpr std::size_t kMostKept = 10'000;

}  // namespace

void ResetJudge::take(const Tuple& reset, bool outgoing, WallTime when) {
  ++seen_;
  if (!outgoing) {
    if (came_in_.size() >= kMostKept) came_in_.clear();
    came_in_.insert(reset);
  }
  const auto flow = find_(reset.reversed());
  if (!flow) {
    if (flow.error().kind != ErrorKind::kAbsent) problem_ = flow.error().message;
    return;
  }
  // Only the direction of the answers: the other one has the addresses that the client knows.
  if (flow->reply != reset.reversed() || known_.size() >= kMostKept) return;
  if (outgoing) {
    const bool by_originator = came_in_.contains(flow->original);
    if (!flow->source_translated() || by_originator) return;
    if (known_.insert(*flow).second) by_node_.push_back({*flow, when});
  } else if (flow->destination_translated() && !flow->source_translated()) {
    if (known_.insert(*flow).second) by_client_.push_back({*flow, when});
  }
}

void ResetJudge::take_of_pod(const Tuple& segment, WallTime when) {
  const auto flow = find_(segment);
  if (!flow || flow->reply != segment || known_untranslated_.size() >= kMostKept) return;
  if (!flow->destination_translated() || flow->source_translated()) return;
  if (known_untranslated_.insert(*flow).second) untranslated_.push_back({*flow, when});
}

}  // namespace nmanager::diagnose

// Compares each captured RST with conntrack: does it result from problem 1 or 3? Pure, given an
// interface to query conntrack.
//
// Problem 1: this node answers a segment of a translated connection with RST, since conntrack did
// not translate that segment back. The RST leaves with the translated address. The pod's own RST
// looks the same when it leaves, but it has entered the node untranslated just before.
// Problem 3: a client answers a segment that arrived with the pod's own address. The RST arrives
// with that address, which a client that knows only the Service cannot know.
#pragma once

#include <functional>
#include <set>
#include <vector>

#include "hooks/values/flow.h"
#include "hooks/values/result.h"
#include "plugin/diagnose/evidence.h"

namespace nmanager::diagnose {

class ResetJudge {
 public:
  /// The connection with the tuple as one of its directions; kAbsent: there is none.
  using Find = std::function<Result<Flow>(const Tuple&)>;

  explicit ResetJudge(Find find) : find_(std::move(find)) {}

  /// In the order of capture.
  void take(const Tuple& reset, bool outgoing, WallTime when);

  /// A segment of a pod that leaves the node with the pod's own address.
  void take_of_pod(const Tuple& segment, WallTime when);

  [[nodiscard]] std::size_t seen() const { return seen_; }
  [[nodiscard]] const std::vector<ResetHit>& by_node() const { return by_node_; }
  [[nodiscard]] const std::vector<ResetHit>& by_client() const { return by_client_; }
  /// Connections with an answer of a pod that left untranslated, whether or not the client has
  /// reset them.
  [[nodiscard]] const std::vector<ResetHit>& untranslated() const { return untranslated_; }
  /// Why conntrack could not be queried; empty: it could.
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  Find find_;
  std::set<Tuple> came_in_;
  std::set<Flow> known_;  // each connection is reported once
  std::vector<ResetHit> by_node_;
  std::vector<ResetHit> by_client_;
  std::set<Flow> known_untranslated_;
  std::vector<ResetHit> untranslated_;
  std::size_t seen_ = 0;
  std::string problem_;
};

}  // namespace nmanager::diagnose

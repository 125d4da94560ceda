// What the world is shown, as pure functions of the snapshot.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "plugin/model/explanation.h"
#include "plugin/model/paint.h"
#include "plugin/model/snapshot.h"

namespace nmanager::status {

/// In the style of kube-apiserver: "ok", or with `verbose` (and always when not ready) a line for
/// each check. Lines that do not decide are marked [i].
[[nodiscard]] std::string render_readyz(const Snapshot& snapshot, bool verbose);

struct StatusStyle {
  bool settings = false;  // every setting too
  bool colour = false;
};

/// For people; what `nmanager status` prints. The first three lines are the cures; the next one
/// begins with "ready" or "not ready".
[[nodiscard]] std::string render_status(const Snapshot& snapshot, WallTime now,
                                        const StatusStyle& style);

/// For programs, by docs/status.schema.json; its first member is "ready".
[[nodiscard]] std::string render_status_json(const Snapshot& snapshot);

/// What `nmanager explain` prints: for people, or as JSON by docs/explain.schema.json, whose first
/// member is "has_rules".
[[nodiscard]] std::string render_explanation(const Explanation& answer, const Paint& paint);
[[nodiscard]] std::string render_explanation_json(const Explanation& answer);

/// Of this process, read when the metrics are asked for.
struct ProcessStats {
  double start_time = 0;  // seconds since 1970
  double cpu_seconds = 0;
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  std::uint64_t open_fds = 0;
  std::uint64_t threads = 0;
};

/// Prometheus text format 0.0.4.
[[nodiscard]] std::string render_metrics(const Snapshot& snapshot, const ProcessStats& process);

}  // namespace nmanager::status

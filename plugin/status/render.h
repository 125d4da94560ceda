// Renders the snapshot for the endpoints. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "plugin/model/explanation.h"
#include "plugin/model/paint.h"
#include "plugin/model/snapshot.h"

namespace nmanager::status {

/// In the style of kube-apiserver: "ok", or with `verbose` (and always when not ready) a line for
/// each check. Informational lines are marked [i].
[[nodiscard]] std::string render_readyz(const Snapshot& snapshot, bool verbose);

struct StatusStyle {
  bool settings = false;  // also every setting
  bool colour = false;
};

/// The text of `nmanager status`. The first three lines are the cures; the next one begins with
/// "ready" or "not ready".
[[nodiscard]] std::string render_status(const Snapshot& snapshot, WallTime now,
                                        const StatusStyle& style);

/// JSON as in docs/status.schema.json; its first member is "ready".
[[nodiscard]] std::string render_status_json(const Snapshot& snapshot);

/// The output of `nmanager explain`: text, or JSON as in docs/explain.schema.json, whose first
/// member is "has_rules".
[[nodiscard]] std::string render_explanation(const Explanation& answer, const Paint& paint);
[[nodiscard]] std::string render_explanation_json(const Explanation& answer);

/// Of this process, read at each request for metrics.
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

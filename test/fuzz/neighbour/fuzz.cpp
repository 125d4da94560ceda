// Any text as kube-proxy's response to /proxyMode and /metrics.
#include <cmath>
#include <cstdint>
#include <string_view>

#include "plugin/neighbour/metrics_text.h"
#include "test/fuzz/require.h"

using nmanager::test::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto mode = nmanager::neighbour::parse_proxy_mode(text);
  if (!mode) require(nmanager::test::one_line(mode.error().message));
  const nmanager::neighbour::ProxyMetrics metrics = nmanager::neighbour::parse_proxy_metrics(text);
  if (metrics.last_sync) require(std::isfinite(*metrics.last_sync) && *metrics.last_sync > 0);
  for (const auto& own : metrics.last_sync_of) {
    if (own) require(metrics.by_family && *own > 0 && metrics.last_sync >= own);
  }
  for (const auto& failures : metrics.restore_failures) {
    if (failures) require(std::isfinite(*failures) && *failures >= 0);
  }
  if (metrics.version) require(!metrics.version->empty() && metrics.version->size() <= 64);
  return 0;
}

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
  for (const auto& seconds : {metrics.last_sync, metrics.last_sync_ipv4, metrics.last_sync_ipv6}) {
    if (seconds) require(std::isfinite(*seconds) && *seconds > 0);
  }
  if (metrics.last_sync_ipv4) require(metrics.last_sync >= metrics.last_sync_ipv4);
  if (metrics.version) require(!metrics.version->empty() && metrics.version->size() <= 64);
  return 0;
}

// Any text as kube-proxy's configuration: it is refused, or the parsed values are within their
// bounds.
#include <cstdint>
#include <string_view>

#include "plugin/settings/definitions.h"
#include "plugin/settings/merge.h"
#include "test/fuzz/require.h"

using nmanager::test::one_line;
using nmanager::test::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  nmanager::settings::KubeProxyFiles files;
  files.config = nmanager::settings::parse_kube_proxy_config(text);
  if (!files.config) require(one_line(files.config.error().message));
  const nmanager::Settings settings = nmanager::settings::merge_kube_proxy_files({}, files);
  require(settings.masquerade_bit.value >= 0 && settings.masquerade_bit.value <= 31);
  for (const auto& cidr : {settings.pod_cidr_ipv4.value, settings.pod_cidr_ipv6.value}) {
    if (cidr) require(cidr->length() > 0);
  }
  for (const auto& note : settings.notes) require(one_line(note.text));
  for (const auto& remark : settings.remarks) require(one_line(remark));
  require(one_line(nmanager::settings::settings_line(settings)));
  return 0;
}

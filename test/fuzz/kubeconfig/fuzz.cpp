// Any text as a kubeconfig: it is refused with a one-line error, or the result is consistent.
#include <cstdint>
#include <string_view>

#include "plugin/api/api_access.h"
#include "test/fuzz/require.h"

using nmanager::test::one_line;
using nmanager::test::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto access = nmanager::api::parse_kubeconfig(text, "/folder/kubeconfig");
  if (!access) {
    require(one_line(access.error().message));
    require(access.error().message.starts_with("/folder/kubeconfig: "));
    return 0;
  }
  require(access->server.starts_with("http") && !access->server.ends_with('/'));
  require(access->client_certificate.given() == access->client_key.given());
  for (const auto* pem : {&access->ca, &access->client_certificate, &access->client_key}) {
    require(pem->file.empty() || pem->data.empty());
    require(pem->file.empty() || pem->file.front() == '/');
  }
  return 0;
}

// Any bytes as a page of Services or as a Status: they are refused, or the result can be used.
#include <cstdint>
#include <string>

#include "plugin/services/decode.h"
#include "plugin/services/store.h"
#include "test/fuzz/require.h"

using nmanager::test::one_line;
using nmanager::test::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  require(one_line(nmanager::services::decode_status(text).message));
  auto page = nmanager::services::decode_list(text);
  nmanager::services::PageDecoder pieces;  // the same result from pieces
  for (std::size_t at = 0; at < text.size(); at += 7) {
    if (!pieces.add(std::string_view(text).substr(at, 7))) break;
  }
  const auto same = pieces.end();
  require(same.ok() == page.ok() && (!same.ok() || same->services == page->services));
  if (!page) {
    require(one_line(page.error().message));
    return 0;
  }
  for (const nmanager::services::Undecodable& bad : page->undecodable)
    require(one_line(bad.reason));
  nmanager::services::ServiceStore store;
  auto list = store.changes_to(std::move(page->services), {});
  for (nmanager::Service& service : list.changed) require(store.upsert(std::move(service)));
  for (const nmanager::Service& service : store.services()) require(!service.key.empty());
  for (const bool any_policy : {false, true}) {
    nmanager::services::QualifySettings settings;
    settings.any_external_policy = any_policy;
    const nmanager::services::Qualified qualified =
        nmanager::services::qualify_all(store, settings);
    for (const auto& address : qualified.addresses) {
      require(address.external.family() == address.cluster.family());
      require(!address.ports.empty() && store.services().contains(address.owner));
    }
    for (const std::string& example : qualified.examples) require(one_line(example));
  }
  return 0;
}

// Any bytes as the stream of a watch. The first byte is the size of the chunks: the lines do not
// depend on it, and each line is an event or refused.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "plugin/api/line_splitter.h"
#include "plugin/services/decode.h"
#include "test/fuzz/require.h"

using nmanager::test::one_line;
using nmanager::test::require;

namespace {

void decode(const std::string& line) {
  const auto event = nmanager::services::decode_watch_line(line);
  if (!event) {
    require(one_line(event.error().message));
    return;
  }
  if (const auto* changed = std::get_if<nmanager::services::WatchAddedOrModified>(&event->body)) {
    require(!changed->service.key.empty());
  } else if (const auto* deleted = std::get_if<nmanager::services::WatchDeleted>(&event->body)) {
    require(!deleted->key.empty());
  } else if (const auto* error = std::get_if<nmanager::services::ApiStatus>(&event->body)) {
    require(one_line(error->message) && one_line(error->reason));
  } else if (const auto* bad = std::get_if<nmanager::services::Undecodable>(&event->body)) {
    require(one_line(bad->reason));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t chunk = std::max<std::size_t>(*data, 1);
  const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
  nmanager::api::LineSplitter whole;
  std::vector<std::string> lines;
  require(whole.add(stream, lines));
  nmanager::api::LineSplitter cut;
  std::vector<std::string> same;
  for (std::size_t at = 0; at < stream.size(); at += chunk) {
    require(cut.add(stream.substr(at, chunk), same));
  }
  require(lines == same && whole.partial() == cut.partial());
  for (const std::string& line : lines) {
    require(!line.empty() && one_line(line));
    decode(line);
  }
  return 0;
}

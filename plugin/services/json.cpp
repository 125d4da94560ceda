#include "plugin/services/json.h"

#include <algorithm>

namespace nmanager::services::json {

Document::Document(std::string_view text) {
  simdjson::error_code error = parser_.allocate(std::max<std::size_t>(text.size(), 1), kMaxDepth);
  if (!error) error = parser_.parse(text.data(), text.size()).get(root_);
  if (error) problem_ = printable(simdjson::error_message(error));
}

std::optional<Value> find(Value object, std::string_view name) {
  Value value;
  if (!object.is_object() || object.at_key(name).get(value) || value.is_null()) return std::nullopt;
  return value;
}

std::optional<std::string_view> text(Value value) {
  std::string_view result;
  if (value.get(result)) return std::nullopt;
  return result;
}

std::optional<std::int64_t> integer(Value value) {
  std::int64_t result = 0;
  if (value.get(result)) return std::nullopt;
  return result;
}

std::optional<Array> array(Value value) {
  Array result;
  if (value.get(result)) return std::nullopt;
  return result;
}

std::string_view text(Value object, std::string_view name) {
  const auto value = find(object, name);
  return value ? text(*value).value_or(std::string_view()) : std::string_view();
}

std::string printable(std::string_view text) {
  constexpr std::size_t kMost = 200;
  std::string result(text.substr(0, kMost));
  std::ranges::replace_if(
      result, [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return result;
}

}  // namespace nmanager::services::json

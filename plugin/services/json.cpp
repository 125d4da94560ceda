#include "plugin/services/json.h"

#include <rapidjson/error/en.h>

#include <algorithm>

namespace nmanager::services::json {

namespace {

/// Whether brackets nest deeper than kMaxDepth; strings are stepped over.
bool too_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (depth > kMaxDepth) return true;
  }
  return false;
}

}  // namespace

Document::Document(std::string text) : text_(std::move(text)) {
  // The in-situ parser reads up to the first zero byte: one inside the text would hide the rest.
  if (text_.find('\0') != std::string::npos) {
    problem_ = "a zero byte in the text";
    return;
  }
  if (too_deep(text_)) {
    problem_ = "nested deeper than " + std::to_string(kMaxDepth);
    return;
  }
  // Its check of a character of several bytes looks at all of them, also behind the end of a text
  // that was cut within one.
  text_.append(4, '\0');
  constexpr unsigned kFlags =
      rapidjson::kParseValidateEncodingFlag | rapidjson::kParseIterativeFlag;
  document_.ParseInsitu<kFlags>(text_.data());
  if (!document_.HasParseError()) return;
  problem_ = std::string(rapidjson::GetParseError_En(document_.GetParseError())) + " at byte " +
             std::to_string(document_.GetErrorOffset());
}

const Value* find(const Value& object, const char* name) {
  if (!object.IsObject()) return nullptr;
  const auto found = object.FindMember(name);
  if (found == object.MemberEnd() || found->value.IsNull()) return nullptr;
  return &found->value;
}

std::string_view view(const Value& value) {
  return {value.GetString(), value.GetStringLength()};
}

std::string_view text(const Value& object, const char* name) {
  const Value* value = find(object, name);
  return value != nullptr && value->IsString() ? view(*value) : std::string_view();
}

std::string printable(std::string_view text) {
  constexpr std::size_t kMost = 200;
  std::string result(text.substr(0, kMost));
  std::ranges::replace_if(
      result, [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return result;
}

}  // namespace nmanager::services::json

// RapidJSON (in situ DOM: 345 MB/s on pages of Services, plain code; nlohmann 30, cpprestsdk's own
// 55, simdjson 1035 but with a build of its own to maintain) behind a few functions that never
// throw.
#pragma once

// An assertion inside RapidJSON would be a crash on bad input; accessors are only used after a
// check.
#include <rapidjson/document.h>

#include <optional>
#include <string>
#include <string_view>

namespace nmanager::services::json {

using Value = rapidjson::Value;

/// Owns the text it was parsed from; values point into it.
class Document {
 public:
  /// Nesting is bounded (kMaxDepth), so that no input exhausts the stack.
  explicit Document(std::string text);

  /// Nothing: root() may be used.
  [[nodiscard]] const std::optional<std::string>& problem() const { return problem_; }
  [[nodiscard]] const Value& root() const { return document_; }

 private:
  std::string text_;
  rapidjson::Document document_;
  std::optional<std::string> problem_;
};

inline constexpr int kMaxDepth = 64;

/// The member `name` of an object; nullptr: absent, or null.
[[nodiscard]] const Value* find(const Value& object, const char* name);
/// Precondition: value.IsString().
[[nodiscard]] std::string_view view(const Value& value);
/// The text member `name`; empty when absent or no text.
[[nodiscard]] std::string_view text(const Value& object, const char* name);
/// Fit for one line of a message: cut at 200 characters, others than printable ASCII replaced.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace nmanager::services::json

// simdjson behind a few functions that never throw: bounded in depth and size.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nmanager::services::json {

using Value = simdjson::dom::element;  // points into its Document
using Array = simdjson::dom::array;

inline constexpr std::size_t kMaxDepth = 64;
/// One object of the API: a Service is at most 1.5 MiB in etcd; its event is little more.
inline constexpr std::size_t kMaxText = std::size_t{4} << 20;

class Document {
 public:
  explicit Document(std::string_view text);
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

  /// Nothing: root() may be used.
  [[nodiscard]] const std::optional<std::string>& problem() const { return problem_; }
  [[nodiscard]] Value root() const { return root_; }

 private:
  simdjson::dom::parser parser_{kMaxText};
  Value root_;
  std::optional<std::string> problem_;
};

/// The member `name` of an object; nothing: absent, null, or no object.
[[nodiscard]] std::optional<Value> find(Value object, std::string_view name);
[[nodiscard]] std::optional<std::string_view> text(Value value);
[[nodiscard]] std::optional<std::int64_t> integer(Value value);
[[nodiscard]] std::optional<Array> array(Value value);
/// The text member `name`; empty when absent or no text.
[[nodiscard]] std::string_view text(Value object, std::string_view name);
/// Fit for one line of a message: cut at 200 characters, others than printable ASCII replaced.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace nmanager::services::json

// A few functions over simdjson that do not throw on bad input; depth and size are limited.
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
/// Limit of one API object in bytes: a Service is at most 1.5 MiB in etcd, and its event is only
/// slightly larger.
inline constexpr std::size_t kMaxText = std::size_t{4} << 20;

class Document {
 public:
  explicit Document(std::string_view text);
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

  /// nullopt: root() may be used.
  [[nodiscard]] const std::optional<std::string>& problem() const { return problem_; }
  [[nodiscard]] Value root() const { return root_; }

 private:
  simdjson::dom::parser parser_{kMaxText};
  Value root_;
  std::optional<std::string> problem_;
};

/// The member `name` of an object; nullopt if it is absent or null, or if `object` is not an
/// object.
[[nodiscard]] std::optional<Value> find(Value object, std::string_view name);
[[nodiscard]] std::optional<std::string_view> text(Value value);
[[nodiscard]] std::optional<std::int64_t> integer(Value value);
[[nodiscard]] std::optional<Array> array(Value value);
/// The string member `name`; empty if it is absent or not a string.
[[nodiscard]] std::string_view text(Value object, std::string_view name);
/// `text` for one line of a message: truncated to 200 bytes, with '?' for each byte that is not
/// printable ASCII.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace nmanager::services::json

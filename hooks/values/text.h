// Makes text from outside safe to show; the only place that does so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace nmanager {

/// `text` for a one-line message: in quotes, with '?' for each byte that is not printable ASCII,
/// truncated to 80 bytes.
[[nodiscard]] std::string in_quotes(std::string_view text);

/// Without control characters, so that it fits in one line.
[[nodiscard]] bool is_printable(std::string_view text);

/// `text` without white space at both ends.
[[nodiscard]] std::string_view trimmed(std::string_view text);

[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b);

/// `text` as the content of a JSON string; bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string json_escaped(std::string_view text);

/// `text` with line breaks and other control characters escaped.
[[nodiscard]] std::string one_line(std::string_view text);

/// `number` with at least `width` digits and no prefix.
[[nodiscard]] std::string hexadecimal(std::uint64_t number, std::size_t width = 1,
                                      bool upper_case = false);

}  // namespace nmanager

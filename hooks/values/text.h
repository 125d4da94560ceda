// Text from outside made fit to be shown: the one place where that is done.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace nmanager {

/// `text` fit for a one-line message: in quotes, what is not printable ASCII replaced, long ones
/// cut.
[[nodiscard]] std::string in_quotes(std::string_view text);

/// Free of control characters, so that it can stand in a line.
[[nodiscard]] bool is_printable(std::string_view text);

/// Without blanks at both ends.
[[nodiscard]] std::string_view trimmed(std::string_view text);

[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b);

/// `text` as the inside of a JSON string; bytes that are no UTF-8 become U+FFFD.
[[nodiscard]] std::string json_escaped(std::string_view text);

/// Line breaks and other control characters escaped.
[[nodiscard]] std::string one_line(std::string_view text);

/// `number` with at least `width` digits and no prefix.
[[nodiscard]] std::string hexadecimal(std::uint64_t number, std::size_t width = 1,
                                      bool upper_case = false);

}  // namespace nmanager

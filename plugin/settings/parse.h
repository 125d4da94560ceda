// Parses the text of one setting's value. An error's message is written after the setting's name:
// "is not a CIDR such as 10.244.0.0/16". Pure.
#pragma once

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "hooks/intent/drop_invalid.h"
#include "hooks/values/address.h"
#include "hooks/values/result.h"
#include "hooks/values/text.h"
#include "plugin/model/endpoint.h"

namespace nmanager::settings {

/// The same, but only a loopback address is allowed.
[[nodiscard]] Result<Endpoint> parse_loopback_endpoint(std::string_view text);

/// A block of `family`; length 0 is refused, since it would match every host. Host bits are
/// cleared.
[[nodiscard]] Result<Prefix> parse_pod_cidr(Family family, std::string_view text);
/// True when `text`, which parses as `prefix`, has host bits that were cleared.
[[nodiscard]] bool has_host_bits(std::string_view text, const Prefix& prefix);

/// "iface:cali+,src:192.0.2.0/24,dst:2001:db8::1"
[[nodiscard]] Result<Exemptions> parse_exemptions(std::string_view text);
[[nodiscard]] std::string to_string(const Exemptions& settings);

/// "500ms", "5s", "1m"; more than 0, at most one hour.
[[nodiscard]] Result<std::chrono::milliseconds> parse_duration(std::string_view text);
/// The same, at most 15 s: the loop is blocked during the wait, and /livez fails after 30 s.
[[nodiscard]] Result<std::chrono::milliseconds> parse_lock_wait(std::string_view text);
[[nodiscard]] std::string to_string(std::chrono::milliseconds duration);

/// A decimal number without sign, `low`..`high`.
[[nodiscard]] Result<int> parse_number(std::string_view text, int low, int high);

/// The spelling of one value of an enumeration. A value may have several spellings: the first one
/// is shown.
template <class E>
struct Word {
  std::string_view text;
  E value;
};

template <class E>
[[nodiscard]] Result<E> parse_word(std::span<const Word<E>> words, std::string_view text) {
  for (const Word<E>& word : words) {
    if (equal_ignoring_case(word.text, text)) return word.value;
  }
  std::string known;
  for (const Word<E>& word : words) {
    if (!known.empty()) known += '|';
    known += word.text;
  }
  return Error{ErrorKind::kBadInput, in_quotes(text) + " is none of " + known};
}

template <class E>
[[nodiscard]] std::string show_word(std::span<const Word<E>> words, E value) {
  const auto found = std::find_if(words.begin(), words.end(),
                                  [&](const auto& word) { return word.value == value; });
  return found == words.end() ? std::string("?") : std::string(found->text);
}

}  // namespace nmanager::settings

// Names of the locations of rules: families, tables, hooks, chains.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "hooks/values/address.h"

namespace nmanager {

enum class Table : std::uint8_t { kFilter, kNat };

/// The built-in chains from which our rules can be reached, in the order in which a packet
/// traverses them.
enum class Hook : std::uint8_t { kPrerouting, kInput, kForward, kOutput };
inline constexpr std::array kHooks{Hook::kPrerouting, Hook::kInput, Hook::kForward, Hook::kOutput};

struct TableId {
  Family family = Family::kIpv4;
  Table table = Table::kFilter;
  auto operator<=>(const TableId&) const = default;
};

inline constexpr std::array kTables{
    TableId{Family::kIpv4, Table::kFilter}, TableId{Family::kIpv4, Table::kNat},
    TableId{Family::kIpv6, Table::kFilter}, TableId{Family::kIpv6, Table::kNat}};

/// The hook of an nf_tables base chain. Its policy is accept.
struct BaseChain {
  Hook hook = Hook::kInput;
  Table type = Table::kFilter;  // chain type: filter or nat
  int priority = 0;
  bool operator==(const BaseChain&) const = default;
};

[[nodiscard]] std::string_view to_string(Table table);  // "filter", "nat"
[[nodiscard]] std::string_view to_string(Hook hook);    // "PREROUTING", "INPUT", ...
[[nodiscard]] std::string to_string(TableId id);        // "IPv4 nat"

/// A chain's name: 1..28 characters. The kernel accepts 31, libiptc truncates to 29 (libiptc.c,
/// TC_CREATE_CHAIN copies sizeof(chainname)-1 of a 30 byte field); every tool can show 28.
class ChainName {
 public:
  static constexpr std::size_t kMaxLength = 28;

  ChainName() = default;
  /// Precondition: 1..28 characters; checked by an assertion, since names are never input from
  /// outside.
  explicit ChainName(std::string_view name);

  [[nodiscard]] std::string_view view() const { return {name_.data(), size_}; }
  [[nodiscard]] std::string str() const { return std::string(view()); }
  auto operator<=>(const ChainName& other) const { return view() <=> other.view(); }
  bool operator==(const ChainName& other) const { return view() == other.view(); }

 private:
  // In place: 40,000 Services have 20,000 chains, each of them in several maps.
  std::array<char, kMaxLength> name_{};
  std::uint8_t size_ = 0;
};

/// We own every chain whose name starts with this and is not longer than a ChainName: it may be
/// changed and deleted. This program never writes a longer name.
inline constexpr std::string_view kOwnChainPrefix = "NMANAGER_";
[[nodiscard]] bool is_own_chain(std::string_view name);

/// The hooks of `table` that rule families use. The one list of them: whoever looks at hooks asks
/// here.
[[nodiscard]] std::span<const Hook> hooks_of(Table table);

/// Our chain that `hook` of `table` jumps to, e.g. NMANAGER_PREROUTING; nullopt if the hook is not
/// in hooks_of(table).
[[nodiscard]] std::optional<ChainName> hook_chain(Table table, Hook hook);

}  // namespace nmanager

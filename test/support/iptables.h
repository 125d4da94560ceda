// One variant of the iptables commands, and helpers for chain backends.
#pragma once

#include <string>

#include "hooks/chains/chain_backend.h"
#include "test/support/command.h"

namespace nmanager::test {

/// Each call fails the test if the command fails.
class Iptables {
 public:
  /// `variant`: "legacy" or "nft". Legacy tools wait 10 s for the lock.
  explicit Iptables(std::string variant);

  /// For example "iptables-legacy -w 10 -t nat"; the command of the table's family.
  [[nodiscard]] std::string command(TableId id) const;
  /// iptables-*-save of one table without its comment lines.
  [[nodiscard]] std::string save(TableId id, bool counters = true) const;
  /// iptables-*-restore --noflush of `lines` into the table; COMMIT is added.
  void restore(TableId id, const std::string& lines) const;

 private:
  std::string variant_;
  std::string wait_;
};

/// The variant of the room that is tested; its sandbox.cpp defines it. The functions are its calls.
const Iptables& tool();
inline std::string iptables(TableId id) {
  return tool().command(id);
}
inline std::string save(TableId id, bool counters = true) {
  return tool().save(id, counters);
}
inline void restore(TableId id, const std::string& lines) {
  tool().restore(id, lines);
}

/// Commits the plan for `desired`; the test fails if that fails.
chains::Commit apply(chains::ChainBackend& backend, TableId id,
                     const chains::DesiredTable& desired);
/// The present content of the table as the backend reads it.
chains::ObservedTable look(chains::ChainBackend& backend, TableId id);

Rule jump_to(const std::string& chain);
Prefix prefix(const std::string& text);
Address address(const std::string& text);

}  // namespace nmanager::test

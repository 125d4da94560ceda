// A network namespace of one's own, and iptables-nft in it.
#pragma once

#include <string>
#include <vector>

#include "hooks/nft/netlink.h"
#include "hooks/nft/nft_backend.h"

namespace nmanager::test {

struct CommandResult {
  int exit_code = -1;
  std::string output;  // stdout and stderr
};

/// Runs `command` by the shell in the calling thread's namespace; `input` is its stdin.
CommandResult run(const std::string& command, const std::string& input = {});

/// As run(), but the test fails with the output unless the exit code is 0.
std::string must(const std::string& command, const std::string& input = {});

/// Moves the calling thread to a fresh network namespace until the end of the object.
class Sandbox {
 public:
  Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;
  ~Sandbox();

  /// False, with the reason printed, where namespaces cannot be made (not root).
  [[nodiscard]] bool usable() const { return usable_; }

 private:
  UniqueFd before_;
  bool usable_ = false;
};

/// "iptables-nft -t nat" of the table's family.
std::string iptables(TableId id);
/// iptables-nft-save of one table without its comment lines.
std::string save(TableId id, bool counters = true);
/// iptables-nft-restore --noflush of `lines` into the table; COMMIT is added.
void restore(TableId id, const std::string& lines);

/// A fresh backend, the test fails when there is none.
NftBackend backend(NftOptions options = {});
/// The commit of make_plan(desired, observed); the test fails when it fails.
Commit apply(Backend& backend, TableId id, const DesiredTable& desired);
/// What stands there now.
ObservedTable look(Backend& backend, TableId id);
/// True when nothing would have to be done.
bool in_place(Backend& backend, TableId id, const DesiredTable& desired);

/// The expressions of each rule of a chain, as the kernel dumps them, in hexadecimal.
std::vector<std::string> expressions(Netlink& netlink, TableId id, const std::string& chain);

/// A small table of each kind: jumps from every hook, a chain with content.
DesiredTable desired(TableId id);
Rule jump_to(const std::string& chain);
Prefix prefix(const std::string& text);
Address address(const std::string& text);

}  // namespace nmanager::test

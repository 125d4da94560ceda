// A small kernel in memory: tables with chains, rules, references and counters behind the interface
// of the real backends. It can produce faults that the real kernel does not show on demand.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "hooks/chains/chain_backend.h"

namespace nmanager::test {

/// How a rival's commit between our read and our write is detected.
enum class Semantics {
  kLegacy,  // by the number of entries only: our commit overwrites a change that keeps the number
  kNft,     // by the generation, always
};

struct FakeRule {
  std::uint64_t handle = 0;
  std::variant<Rule, std::string>
      body;  // a string: a rule that we do not write, as iptables-save text
  std::uint64_t packets = 0;

  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::string jump_target() const;  // empty if none
};

struct FakeChain {
  bool built_in = false;
  std::string policy = "ACCEPT";
  std::vector<FakeRule> rules;
};

using FakeTable = std::map<std::string, FakeChain>;

class FakeKernel : public chains::ChainBackend {
 public:
  explicit FakeKernel(Semantics semantics);

  [[nodiscard]] std::string_view name() const override { return "fake"; }
  [[nodiscard]] std::chrono::nanoseconds now() const override {
    return clock ? clock() : std::chrono::nanoseconds(0);
  }
  [[nodiscard]] Result<std::unique_ptr<chains::Transaction>> begin(TableId id) override;
  [[nodiscard]] Result<KubeStamp> kube_stamp(Family family) override;
  [[nodiscard]] Result<KubeChecksum> kube_checksum(Family family) override;

  // Changes by an administrator or kube-proxy. The chain in a jump must exist.
  void add_chain(TableId id, const std::string& chain);
  void append(TableId id, const std::string& chain, std::variant<Rule, std::string> body);
  void insert(TableId id, const std::string& chain, std::size_t position,
              std::variant<Rule, std::string> body);
  void erase(TableId id, const std::string& chain, std::size_t position);
  void flush(TableId id, const std::string& chain);
  void delete_chain(TableId id, const std::string& chain);  // with every rule that jumps to it
  void swap(TableId id, const std::string& chain, std::size_t a, std::size_t b);
  void count_packet(TableId id, const std::string& chain, std::size_t position);

  [[nodiscard]] const FakeTable& table(TableId id) const { return tables_.at(id); }
  /// Everything that is not ours, including counters, without our jumps.
  [[nodiscard]] std::string foreign_text(TableId id) const;
  [[nodiscard]] std::string text(TableId id) const;

  std::function<std::chrono::nanoseconds()> clock;  // empty: time does not pass

  // Faults.
  std::function<void()> before_commit;    // called between our read and our write
  std::optional<Error> fail_next_commit;  // one commit returns this error ...
  bool failed_commit_is_applied = false;  // ... but is applied
  std::optional<Error> fail_begin;        // every begin() returns this error
  std::optional<Error> fail_kube;         // reads of KUBE-* chains return this error
  int interrupted_reads = 0;  // number of begin() calls that a commit interrupts (NLM_F_DUMP_INTR)
  std::set<TableId> missing;  // tables that do not exist
  std::set<TableId> large;    // tables that take long to read and to write

  [[nodiscard]] int commits() const { return commits_; }
  [[nodiscard]] int reads() const { return reads_; }

 private:
  friend class FakeTransaction;
  [[nodiscard]] bool is_large(const Goal& goal) override { return large.contains(goal.id); }
  FakeChain& chain(TableId id, const std::string& name) { return tables_.at(id).at(name); }
  FakeRule make_rule(std::variant<Rule, std::string> body);
  Status apply(FakeTable& table, const chains::TablePlan& plan, chains::Commit& done);

  Semantics semantics_;
  std::map<TableId, FakeTable> tables_;
  std::map<TableId, std::uint64_t> generation_;
  std::uint64_t next_handle_ = 1;
  int commits_ = 0;
  int reads_ = 0;
};

}  // namespace nmanager::test

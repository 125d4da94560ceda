// What stands in tables of kube-proxy's that are none of our business otherwise: evidence of its
// mode, and of what it would notice. Makes no table and loads no module. Owner thread only.
#pragma once

#include <memory>
#include <optional>

namespace nmanager::run {

class TableEvidence {
 public:
  TableEvidence();
  ~TableEvidence();
  TableEvidence(const TableEvidence&) = delete;
  TableEvidence& operator=(const TableEvidence&) = delete;

  /// nftables' table "kube-proxy", which it keeps in nftables mode, of either family. Nothing:
  /// could not be told.
  [[nodiscard]] std::optional<bool> nft_table();

  /// KUBE-PROXY-CANARY in mangle, of either variant and family.
  [[nodiscard]] std::optional<bool> canary();

 private:
  struct Memory;
  std::unique_ptr<Memory> memory_;
};

}  // namespace nmanager::run

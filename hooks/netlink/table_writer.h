// The messages that create and delete the objects in one table of nf_tables.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "hooks/netlink/batch.h"
#include "hooks/netlink/handles.h"
#include "hooks/values/edit_script.h"
#include "hooks/values/table.h"

namespace nmanager::netlink {

/// Appends to the batch in the order of the calls.
class TableWriter {
 public:
  /// `family`: NFPROTO_*.
  TableWriter(Batch& batch, std::uint8_t family, std::string_view table)
      : batch_(batch), family_(family), table_(table) {}

  /// The kernel refuses it (EEXIST) if the chain exists.
  void create_chain(std::string_view chain, const std::optional<BaseChain>& base = {});
  void flush_chain(std::string_view chain);
  void delete_chain(std::string_view chain);
  /// Inserts before the rule `before`, or appends. The caller sets the expressions of `rule`; table
  /// and chain are set here.
  void insert_rule(std::string_view chain, nftnl_rule& rule, std::optional<RuleRef> before);
  void delete_rule(std::string_view chain, RuleRef rule);

  void flush_set(std::string_view set);
  void delete_set(std::string_view set);
  /// `type`: NFT_OBJECT_*.
  void delete_object(std::string_view object, std::uint32_t type);
  void delete_flowtable(std::string_view flowtable);

 protected:
  Batch& batch_;
  const std::uint8_t family_;
  const std::string table_;

 private:
  /// A message of this type that names one object. The numbers of the table and name attributes
  /// depend on the type.
  void by_name(int type, int table_attribute, int name_attribute, std::string_view name);
};

}  // namespace nmanager::netlink

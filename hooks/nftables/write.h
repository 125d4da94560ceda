// Steps of a plan as the messages of a transaction.
#pragma once

#include <cstdint>

#include "hooks/netlink/table_writer.h"
#include "hooks/nftables/plan.h"

namespace nmanager::nftables {

class StepWriter : private netlink::TableWriter {
 public:
  explicit StepWriter(netlink::Batch& batch);

  /// In the order of the calls. Elements may take several messages, everything else takes one.
  void write(const Step& step);

 private:
  void put(Verb verb, const OwnTable& table);
  void put(Verb verb, const ChainObject& chain);
  void put(Verb verb, const RuleObject& rule);
  void put(Verb verb, const SetObject& set);
  void put(Verb verb, const ElementsObject& some);
  void put(Verb verb, const OtherObject& object);

  std::uint32_t sets_ = 0;
};

}  // namespace nmanager::nftables

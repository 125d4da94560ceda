#include "hooks/nftables/write.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include "hooks/nftables/codec.h"

namespace nmanager::nftables {

namespace {

/// The number of elements in one message, which has 4 KiB; the longest elements have 250 bytes.
constexpr std::size_t kElementsAtOnce = 12;

}  // namespace

StepWriter::StepWriter(netlink::Batch& batch) : TableWriter(batch, NFPROTO_INET, kTableName) {}

void StepWriter::write(const Step& step) {
  std::visit([&](const auto& object) { put(step.verb, object); }, step.object);
}

void StepWriter::put(Verb verb, const OwnTable& table) {
  if (verb != Verb::kAdd) {
    netlink::Message message(NFT_MSG_DELTABLE, family_, 0);
    message.text(NFTA_TABLE_NAME, table_);
    batch_.add(message);
    return;
  }
  netlink::Message message(NFT_MSG_NEWTABLE, family_,
                           NLM_F_CREATE | (table.exists ? 0 : NLM_F_EXCL));
  message.text(NFTA_TABLE_NAME, table_).be32(NFTA_TABLE_FLAGS, 0);
  if (!table.exists) message.bytes(NFTA_TABLE_USERDATA, comment_data(kTableComment));
  batch_.add(message);
}

void StepWriter::put(Verb verb, const ChainObject& chain) {
  if (verb == Verb::kAdd) {
    create_chain(chain.name, chain.base);
  } else if (verb == Verb::kFlush) {
    flush_chain(chain.name);
  } else {
    delete_chain(chain.name);
  }
}

void StepWriter::put(Verb verb, const RuleObject& rule) {
  if (verb == Verb::kAdd) {
    insert_rule(rule.chain, *encode(*rule.rule), rule.ref);
  } else {
    delete_rule(rule.chain, *rule.ref);
  }
}

void StepWriter::put(Verb verb, const SetObject& set) {
  if (verb == Verb::kFlush) return flush_set(set.name);
  if (verb == Verb::kDelete) return delete_set(set.name);
  netlink::Message message(NFT_MSG_NEWSET, family_, NLM_F_CREATE | NLM_F_EXCL);
  message.text(NFTA_SET_TABLE, table_).text(NFTA_SET_NAME, set.name);
  put_shape(message, *set_of(set.name), ++sets_);
  batch_.add(message);
}

void StepWriter::put(Verb verb, const ElementsObject& some) {
  const bool adds = verb == Verb::kAdd;
  const Elements& elements = *some.elements;
  for (std::size_t first = 0; first < elements.size(); first += kElementsAtOnce) {
    netlink::Message message(adds ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, family_,
                             adds ? NLM_F_CREATE | NLM_F_EXCL : 0);
    message.text(NFTA_SET_ELEM_LIST_TABLE, table_).text(NFTA_SET_ELEM_LIST_SET, name_of(some.set));
    nlattr* const list = message.begin(NFTA_SET_ELEM_LIST_ELEMENTS);
    for (std::size_t i = first; i < elements.size() && i < first + kElementsAtOnce; ++i) {
      put_element(message, some.set, elements[i]);
    }
    message.end(list);
    batch_.add(message);
  }
}

void StepWriter::put(Verb /*verb*/, const OtherObject& object) {
  if (object.type == OtherObject::kFlowtable) {
    delete_flowtable(object.name);
  } else {
    delete_object(object.name, object.type);
  }
}

}  // namespace nmanager::nftables

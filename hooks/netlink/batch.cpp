#include "hooks/netlink/batch.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/uio.h>

#include <cstdint>
#include <cstring>

namespace nmanager::netlink {

namespace {

/// BEGIN and END name the subsystem in res_id (nfnetlink.c, nfnetlink_rcv_batch).
void name_subsystem(Message& message) {
  auto* const generic = static_cast<nfgenmsg*>(mnl_nlmsg_get_payload(message.header()));
  generic->res_id = htons(NFNL_SUBSYS_NFTABLES);
}

/// Control messages have no subsystem in their type, so the type is set afterwards.
void make_control(Message& message, int type) {
  message.header()->nlmsg_type = static_cast<std::uint16_t>(type);
  name_subsystem(message);
}

}  // namespace

Batch::Batch(Generation generation) : generation_(generation) {
  Message begin(0, AF_UNSPEC, 0);
  make_control(begin, NFNL_MSG_BATCH_BEGIN);
  begin.be32(NFNL_BATCH_GENID, generation);
  append(begin);
}

std::uint32_t Batch::add(Message& message) {
  append(message);
  ++messages_;
  last_sequence_ = sequence_;
  return sequence_;
}

void Batch::finish() {
  last_->nlmsg_flags |= NLM_F_ACK;
  Message end(0, AF_UNSPEC, 0);
  make_control(end, NFNL_MSG_BATCH_END);
  append(end);
}

void Batch::abandon() {
  last_->nlmsg_flags |= NLM_F_ACK;
}

void Batch::append(Message& message) {
  const std::size_t size = message.header()->nlmsg_len;
  if (pieces_.empty() || pieces_.back().used + size > kPiece) {
    pieces_.push_back({std::unique_ptr<char[]>(new char[kPiece]), 0});
  }
  Piece& piece = pieces_.back();
  message.header()->nlmsg_seq = ++sequence_;
  std::memcpy(piece.bytes.get() + piece.used, message.header(), size);
  last_ = reinterpret_cast<nlmsghdr*>(piece.bytes.get() + piece.used);
  piece.used += size;
}

std::size_t Batch::size() const {
  std::size_t sum = 0;
  for (const Piece& piece : pieces_) sum += piece.used;
  return sum;
}

std::vector<iovec> Batch::pieces() const {
  std::vector<iovec> result;
  result.reserve(pieces_.size());
  for (const Piece& piece : pieces_) result.push_back({piece.bytes.get(), piece.used});
  return result;
}

const nlmsghdr* Batch::find(std::uint32_t sequence) const {
  for (const Piece& piece : pieces_) {
    std::size_t at = 0;
    while (at < piece.used) {
      const auto* const message = reinterpret_cast<const nlmsghdr*>(piece.bytes.get() + at);
      if (message->nlmsg_seq == sequence) return sequence == 1 ? nullptr : message;
      at += message->nlmsg_len;
    }
  }
  return nullptr;
}

std::string describe(const nlmsghdr* message) {
  if (message == nullptr) return "transaction";
  const Attributes attributes(*message);
  const int type = message->nlmsg_type & 0xff;
  switch (type) {
    case NFT_MSG_NEWRULE:
      return "rule in " + std::string(attributes.text(NFTA_RULE_CHAIN));
    case NFT_MSG_DELRULE:
      return "deletion of a rule in " + std::string(attributes.text(NFTA_RULE_CHAIN));
    case NFT_MSG_NEWCHAIN:
      return "chain " + std::string(attributes.text(NFTA_CHAIN_NAME));
    case NFT_MSG_DELCHAIN:
      return "deletion of chain " + std::string(attributes.text(NFTA_CHAIN_NAME));
    case NFT_MSG_NEWTABLE:
      return "table " + std::string(attributes.text(NFTA_TABLE_NAME));
    case NFT_MSG_DELTABLE:
      return "deletion of table " + std::string(attributes.text(NFTA_TABLE_NAME));
    case NFT_MSG_NEWSET:
      return "set " + std::string(attributes.text(NFTA_SET_NAME));
    case NFT_MSG_DELSET:
      return "deletion of set " + std::string(attributes.text(NFTA_SET_NAME));
    case NFT_MSG_NEWSETELEM:
      return "elements of " + std::string(attributes.text(NFTA_SET_ELEM_LIST_SET));
    case NFT_MSG_DELSETELEM:
      return "deletion of elements of " + std::string(attributes.text(NFTA_SET_ELEM_LIST_SET));
    default:
      return "message";
  }
}

}  // namespace nmanager::netlink

#include "hooks/netlink/filter.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <array>
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "hooks/values/table.h"

namespace nmanager::netlink {

namespace {

constexpr std::uint32_t kPass = 0xffffffff;
constexpr std::uint32_t kDrop = 0;

/// Offsets in a message.
constexpr std::uint32_t kType = 4;
constexpr std::uint32_t kPort = 12;
constexpr std::uint32_t kFirstAttribute = NLMSG_HDRLEN + sizeof(nfgenmsg);
constexpr std::uint32_t kPayload = NLA_HDRLEN;
/// The two low bytes of nlmsg_len (a datagram has less than 64 KiB), in host byte order.
constexpr bool kLittle = std::endian::native == std::endian::little;
constexpr std::uint32_t kLengthLow = kLittle ? 0 : 3;
constexpr std::uint32_t kLengthHigh = kLittle ? 1 : 2;

/// Scratch memory of the program.
constexpr std::uint32_t kBase = 0;  // offset of the current message
constexpr std::uint32_t kScratch = 1;

/// The type as the program loads it: BPF reads in network byte order, netlink writes in host order.
std::uint32_t loaded_type(int message) {
  return htons(static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message));
}

/// Four characters as BPF loads them.
constexpr std::uint32_t loaded_text(std::string_view text) {
  std::uint32_t value = 0;
  for (const char c : text.substr(0, 4)) value = value << 8 | static_cast<std::uint8_t>(c);
  return value;
}

/// Assembles the code for one message. Jumps refer to labels, which are resolved at the end.
class Block {
 public:
  enum Label : std::uint8_t { kOn, kRule, kChain, kFind, kPassAll, kDropAll, kNext, kLabels };

  void put(int code, std::uint32_t k = 0) { add(code, k, kOn, kOn); }
  void jump(int condition, std::uint32_t k, Label yes, Label no = kOn) {
    add(BPF_JMP | condition, k, yes, no);
  }
  void label(Label label) { places_[label] = code_.size(); }

  void append_to(std::vector<sock_filter>& program) {
    for (std::size_t i = 0; i < code_.size(); ++i) {
      code_[i].jt = distance(i, targets_[i].yes);
      code_[i].jf = distance(i, targets_[i].no);
    }
    program.insert(program.end(), code_.begin(), code_.end());
  }

 private:
  struct Targets {
    Label yes;
    Label no;
  };

  void add(int code, std::uint32_t k, Label yes, Label no) {
    code_.push_back({static_cast<std::uint16_t>(code), 0, 0, k});
    targets_.push_back({yes, no});
  }
  [[nodiscard]] std::uint8_t distance(std::size_t from, Label label) const {
    return label == kOn ? std::uint8_t{0} : static_cast<std::uint8_t>(places_[label] - from - 1);
  }

  std::vector<sock_filter> code_;
  std::vector<Targets> targets_;
  std::array<std::size_t, kLabels> places_{};
};

/// Passes the datagram when the attribute at X begins with `text`.
void match_text(Block& block, std::string_view text) {
  using enum Block::Label;
  std::uint32_t at = kPayload;
  for (; text.size() >= 4; text.remove_prefix(4), at += 4) {
    block.put(BPF_LD | BPF_W | BPF_IND, at);
    block.jump(BPF_JEQ, loaded_text(text), kOn, kNext);
  }
  for (; !text.empty(); text.remove_prefix(1), ++at) {
    block.put(BPF_LD | BPF_B | BPF_IND, at);
    block.jump(BPF_JEQ, static_cast<std::uint8_t>(text.front()), kOn, kNext);
  }
}

/// Finds the attribute whose number is in A; afterwards X is its offset.
void find_attribute(Block& block, std::uint32_t own_port) {
  using enum Block::Label;
  block.put(BPF_ST, kScratch);
  block.put(BPF_LD | BPF_W | BPF_IND, kPort);
  block.jump(BPF_JEQ, htonl(own_port), kNext);
  block.put(BPF_MISC | BPF_TXA);
  block.put(BPF_ALU | BPF_ADD | BPF_K, kFirstAttribute);
  block.put(BPF_LDX | BPF_MEM, kScratch);
  block.put(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_NLATTR));
  block.jump(BPF_JEQ, 0, kNext);
  block.put(BPF_MISC | BPF_TAX);
}

/// Begins the message at offset X. Drops the datagram if it ends there; passes it if the message is
/// NEWGEN.
void begin_message(Block& block) {
  using enum Block::Label;
  block.put(BPF_STX, kBase);
  block.put(BPF_LD | BPF_W | BPF_LEN);
  block.jump(BPF_JGT | BPF_X, 0, kOn, kDropAll);  // no more messages
  block.put(BPF_LD | BPF_H | BPF_IND, kType);
  block.jump(BPF_JEQ, loaded_type(NFT_MSG_NEWGEN), kPassAll);
}

/// Falling through passes the datagram; kNext continues with the next message: X = X + nlmsg_len,
/// aligned.
void end_message(Block& block) {
  using enum Block::Label;
  block.label(kPassAll);
  block.put(BPF_RET | BPF_K, kPass);
  block.label(kDropAll);
  block.put(BPF_RET | BPF_K, kDrop);

  block.label(kNext);
  block.put(BPF_LDX | BPF_MEM, kBase);
  block.put(BPF_LD | BPF_B | BPF_IND, kLengthHigh);
  block.put(BPF_ALU | BPF_LSH | BPF_K, 8);
  block.put(BPF_ST, kScratch);
  block.put(BPF_LD | BPF_B | BPF_IND, kLengthLow);
  block.put(BPF_LDX | BPF_MEM, kScratch);
  block.put(BPF_ALU | BPF_OR | BPF_X);
  block.put(BPF_ALU | BPF_ADD | BPF_K, NLMSG_ALIGNTO - 1);
  block.put(BPF_ALU | BPF_AND | BPF_K, ~std::uint32_t{NLMSG_ALIGNTO - 1});
  block.put(BPF_LDX | BPF_MEM, kBase);
  block.put(BPF_ALU | BPF_ADD | BPF_X);
  block.put(BPF_MISC | BPF_TAX);
}

Block own_chain_block(std::uint32_t own_port) {
  using enum Block::Label;
  Block block;
  begin_message(block);
  block.jump(BPF_JEQ, loaded_type(NFT_MSG_NEWRULE), kRule);
  block.jump(BPF_JEQ, loaded_type(NFT_MSG_DELRULE), kRule);
  block.jump(BPF_JEQ, loaded_type(NFT_MSG_NEWCHAIN), kChain);
  block.jump(BPF_JEQ, loaded_type(NFT_MSG_DELCHAIN), kChain, kNext);

  block.label(kRule);
  block.put(BPF_LD | BPF_IMM, NFTA_RULE_CHAIN);
  block.jump(BPF_JEQ, NFTA_RULE_CHAIN, kFind);
  block.label(kChain);
  block.put(BPF_LD | BPF_IMM, NFTA_CHAIN_NAME);

  block.label(kFind);
  find_attribute(block, own_port);
  match_text(block, kOwnChainPrefix);
  end_message(block);
  return block;
}

/// The attribute that names the table has the same number in every message about an object.
Block table_block(std::string_view table, std::uint32_t own_port) {
  static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 &&
                NFTA_SET_TABLE == 1 && NFTA_SET_ELEM_LIST_TABLE == 1 && NFTA_OBJ_TABLE == 1 &&
                NFTA_FLOWTABLE_TABLE == 1);
  Block block;
  begin_message(block);
  block.put(BPF_LD | BPF_IMM, NFTA_TABLE_NAME);
  find_attribute(block, own_port);
  match_text(block, std::string(table) + '\0');
  end_message(block);
  return block;
}

std::vector<sock_filter> repeated(Block block, std::size_t messages) {
  std::vector<sock_filter> program;
  program.push_back({BPF_LDX | BPF_IMM, 0, 0, 0});
  for (std::size_t i = 0; i < messages; ++i) block.append_to(program);
  program.push_back({BPF_RET | BPF_K, 0, 0, kPass});
  return program;
}

}  // namespace

std::vector<sock_filter> own_chain_filter(std::uint32_t own_port, std::size_t messages) {
  return repeated(own_chain_block(own_port), messages);
}

std::vector<sock_filter> table_filter(std::string_view table, std::uint32_t own_port,
                                      std::size_t messages) {
  return repeated(table_block(table, own_port), messages);
}

bool attach_filter(int socket, std::uint32_t own_port, const FilterMaker& make) {
  // A datagram of 4 KiB holds 60 of the smallest messages. Kernels before 6.7 limit a socket to 20
  // KiB (net.core.optmem_max), which is enough for about 50.
  for (const std::size_t messages : {80U, 48U, 24U, 8U}) {
    std::vector<sock_filter> program = make(own_port, messages);
    const sock_fprog attached{static_cast<std::uint16_t>(program.size()), program.data()};
    if (::setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &attached, sizeof attached) == 0) {
      return true;
    }
  }
  return false;
}

}  // namespace nmanager::netlink

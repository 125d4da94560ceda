#include "hooks/capture/segment_filter.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "hooks/capture/tcp_header.h"

namespace nmanager::capture {

namespace {

constexpr std::uint32_t kWhole = 0xffff;
/// Pods of a node are in one block of each family, rarely two: BPF jumps reach 255 instructions.
constexpr std::size_t kMostBlocks = 4;

/// A family's headers.
struct Layout {
  Family family;
  std::uint32_t ether_type;
  std::uint32_t protocol;  // offset of the transport protocol's number
  std::uint32_t source;
  std::uint32_t destination;
};
constexpr Layout kLayouts[] = {{Family::kIpv4, ETH_P_IP, 9, 12, 16},
                               {Family::kIpv6, ETH_P_IPV6, 6, 8, 24}};

std::uint32_t ancillary(int what) {
  return static_cast<std::uint32_t>(SKF_AD_OFF + what);
}

/// Assembles a program whose forward jumps have targets that are set later.
class Program {
 public:
  using Place = std::size_t;

  Place place() {
    places_.push_back(0);
    return places_.size() - 1;
  }
  void set(Place place) { places_[place] = code_.size(); }

  void put(int code, std::uint32_t k) {
    code_.push_back({static_cast<std::uint16_t>(code), 0, 0, k});
    jumps_.emplace_back();
  }
  /// nullopt: continue with the next instruction.
  void jump(int condition, std::uint32_t k, std::optional<Place> yes, std::optional<Place> no) {
    put(BPF_JMP | condition | BPF_K, k);
    jumps_.back() = {yes, no, std::nullopt};
  }
  void jump_always(Place to) {
    put(BPF_JMP | BPF_JA, 0);
    jumps_.back().always = to;
  }

  [[nodiscard]] std::vector<sock_filter> finished() {
    for (std::size_t i = 0; i < code_.size(); ++i) {
      const Jump& jump = jumps_[i];
      if (jump.yes) code_[i].jt = static_cast<std::uint8_t>(distance(i, *jump.yes));
      if (jump.no) code_[i].jf = static_cast<std::uint8_t>(distance(i, *jump.no));
      if (jump.always) code_[i].k = static_cast<std::uint32_t>(distance(i, *jump.always));
    }
    return std::move(code_);
  }

 private:
  struct Jump {
    std::optional<Place> yes;
    std::optional<Place> no;
    std::optional<Place> always;
  };
  [[nodiscard]] std::size_t distance(std::size_t from, Place to) const {
    return places_[to] - from - 1;
  }

  std::vector<sock_filter> code_;
  std::vector<Jump> jumps_;
  std::vector<std::size_t> places_;
};

/// Falls through if the address at `offset` is in the block, else jumps.
void match_block(Program& program, const Prefix& block, std::uint32_t offset,
                 Program::Place otherwise) {
  constexpr int kWordBits = 32;
  const auto bytes = block.address().bytes();
  for (int bit = 0; bit < block.length(); bit += kWordBits) {
    const auto at = static_cast<std::size_t>(bit / 8);
    std::uint32_t word = 0;
    for (std::size_t i = 0; i < 4; ++i) word = word << 8 | bytes[at + i];
    const int rest = std::min(block.length() - bit, kWordBits);
    const std::uint32_t mask = rest == kWordBits ? 0xffffffff : ~(0xffffffff >> rest);
    program.put(BPF_LD | BPF_W | BPF_ABS, offset + static_cast<std::uint32_t>(at));
    program.put(BPF_ALU | BPF_AND | BPF_K, mask);
    program.jump(BPF_JEQ, word, std::nullopt, otherwise);
  }
}

/// Ends the program for packets of the family that are not RSTs.
void match_pods(Program& program, const Layout& layout, std::span<const Prefix> pods,
                Program::Place pass) {
  const auto other = program.place();
  const auto from_pod = program.place();
  program.put(BPF_LD | BPF_W | BPF_ABS, ancillary(SKF_AD_PKTTYPE));
  program.jump(BPF_JEQ, PACKET_OUTGOING, std::nullopt, other);
  const auto each_block = [&](std::uint32_t offset, auto&& matched) {
    for (const Prefix& block : pods) {
      if (block.family() != layout.family) continue;
      const auto next = program.place();
      match_block(program, block, offset, next);
      matched();
      program.set(next);
    }
  };
  each_block(layout.source, [&] { program.jump_always(from_pod); });
  program.set(other);
  program.put(BPF_RET | BPF_K, 0);
  program.set(from_pod);
  each_block(layout.destination, [&] { program.put(BPF_RET | BPF_K, 0); });
  program.jump_always(pass);
}

}  // namespace

std::vector<sock_filter> segment_filter(std::span<const Prefix> pods) {
  pods = pods.first(std::min(pods.size(), kMostBlocks));
  Program program;
  const auto pass = program.place();
  for (const Layout& layout : kLayouts) {
    const auto other_family = program.place();
    const auto drop = program.place();
    const auto is_tcp = program.place();
    const auto is_reset = program.place();
    const auto is_none = program.place();
    program.put(BPF_LD | BPF_H | BPF_ABS, ancillary(SKF_AD_PROTOCOL));
    program.jump(BPF_JEQ, layout.ether_type, std::nullopt, other_family);
    program.put(BPF_LD | BPF_B | BPF_ABS, layout.protocol);
    program.jump(BPF_JEQ, IPPROTO_TCP, is_tcp, drop);
    program.set(other_family);
    const auto next = program.place();
    program.jump_always(next);
    program.set(drop);
    program.put(BPF_RET | BPF_K, 0);
    program.set(is_tcp);
    if (layout.family == Family::kIpv4) {
      const auto first = program.place();
      const auto later = program.place();
      program.put(BPF_LD | BPF_H | BPF_ABS, 6);  // fragment offset
      program.jump(BPF_JSET, 0x1fff, later, first);
      program.set(later);
      program.put(BPF_RET | BPF_K, 0);
      program.set(first);
      program.put(BPF_LDX | BPF_B | BPF_MSH, 0);  // length of the header
    } else {
      program.put(BPF_LDX | BPF_W | BPF_IMM, kIpv6Header);
    }
    program.put(BPF_LD | BPF_B | BPF_IND, kTcpFlagsAt);
    program.jump(BPF_JSET, kRstFlag, is_reset, is_none);
    program.set(is_reset);
    program.jump_always(pass);
    program.set(is_none);
    match_pods(program, layout, pods, pass);
    program.set(next);
  }
  program.put(BPF_RET | BPF_K, 0);
  program.set(pass);
  program.put(BPF_RET | BPF_K, kWhole);
  return program.finished();
}

}  // namespace nmanager::capture

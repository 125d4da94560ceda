// An nf_tables transaction: BEGIN with the generation that it was planned on, the messages, END.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "hooks/netlink/generation.h"
#include "hooks/netlink/message.h"

struct iovec;

namespace nmanager::netlink {

/// Grows in pieces, so that a batch of many megabytes is never copied or held twice. Throws
/// std::bad_alloc.
class Batch {
 public:
  explicit Batch(Generation generation);

  /// Appends a copy of `message` and returns the sequence number that it was given.
  std::uint32_t add(Message& message);
  /// Requests an acknowledgement of the last message and closes the batch. Call it once, after at
  /// least one add().
  void finish();
  /// Like finish(), but the kernel only validates the messages and then drops them: without END
  /// nothing is committed (nfnetlink.c, nfnetlink_rcv_batch).
  void abandon();

  [[nodiscard]] bool empty() const { return messages_ == 0; }
  [[nodiscard]] Generation generation() const { return generation_; }
  [[nodiscard]] std::uint32_t last_sequence() const { return last_sequence_; }
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] std::vector<iovec> pieces() const;
  /// The message with that number; nullptr if there is none or if it is BEGIN.
  [[nodiscard]] const nlmsghdr* find(std::uint32_t sequence) const;

 private:
  static constexpr std::size_t kPiece = std::size_t{256} << 10;
  struct Piece {
    std::unique_ptr<char[]> bytes;
    std::size_t used = 0;
  };

  void append(Message& message);

  Generation generation_;
  std::vector<Piece> pieces_;
  nlmsghdr* last_ = nullptr;
  std::size_t messages_ = 0;
  std::uint32_t sequence_ = 0;
  std::uint32_t last_sequence_ = 0;
};

/// The object of a message of a batch, for error texts: "rule in NMANAGER_INPUT", "chain
/// NMANAGER_X".
[[nodiscard]] std::string describe(const nlmsghdr* message);

}  // namespace nmanager::netlink

// A transaction as one buffer: BEGIN with the generation it was planned on, messages, END.
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

/// Grows in pieces, so that a batch of many megabytes is never copied or held twice.
class Batch {
 public:
  explicit Batch(Generation generation);

  /// Appends `message` and gives it its sequence number.
  std::uint32_t add(Message& message);
  /// Asks for an acknowledgement of the last message and closes the batch; to be called once.
  void finish();
  /// As finish(), but the kernel only validates the messages and then drops them: without END
  /// nothing is committed (nfnetlink.c, nfnetlink_rcv_batch).
  void abandon();

  [[nodiscard]] bool empty() const { return messages_ == 0; }
  [[nodiscard]] Generation generation() const { return generation_; }
  [[nodiscard]] std::uint32_t last_sequence() const { return last_sequence_; }
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] std::vector<iovec> pieces() const;
  /// The message with that number; nullptr: none, or BEGIN.
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

/// "rule in NMANAGER_INPUT", "chain NMANAGER_X": what a message of a batch is about.
[[nodiscard]] std::string describe(const nlmsghdr* message);

}  // namespace nmanager::netlink

// What a backend and its watch share of one network namespace: the socket, our own generations, and
// what others did. Owner thread only.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "hooks/netlink/events.h"
#include "hooks/netlink/generation.h"
#include "hooks/netlink/socket.h"

namespace nmanager::netlink {

/// Something read, and the generation that all of it is of.
template <class T>
struct Reading {
  Generation generation = 0;
  T content;
};

class Session {
 public:
  /// `poll_only`: no listening, which costs bulk writers nothing. `filter`: which objects' events
  /// come through.
  Session(bool poll_only, FilterMaker filter) : poll_only_(poll_only), filter_(std::move(filter)) {}
  virtual ~Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// kUnsupported, kDenied: there is no working with this kernel.
  Status open();

  [[nodiscard]] Netlink& netlink() { return netlink_; }
  [[nodiscard]] const OwnGenerations& own() const { return own_; }
  /// nullptr: polling only.
  [[nodiscard]] Events* events() { return events_ ? &*events_ : nullptr; }

  /// Takes in what others did up to `generation`; forgets everything when that cannot be had.
  void catch_up(Generation generation);
  /// A commit of ours was applied.
  void committed(Generation generation);

  /// Calls `read` until nobody commits meanwhile: all that it returns is of one generation. `read`
  /// gets that generation, and its errors count only when nobody committed. `what` is for the
  /// message.
  template <class Read>
  [[nodiscard]] auto read_consistently(const std::string& what, Read&& read)
      -> Result<Reading<std::decay_t<decltype(*read(Generation{}))>>>;

  /// Everything believed is doubtful, and there may be more than is known.
  virtual void forget() = 0;
  /// Somebody committed something: whatever is believed of our objects is to be looked at again.
  virtual void sweep_all() {}
  /// A few of them; true: something was not as believed.
  virtual bool sweep(std::size_t /*count*/) { return false; }

 protected:
  /// What was read just now may be of two generations.
  virtual void overtaken() {}
  /// A message about an object that somebody else changed.
  virtual void touched(const nlmsghdr& message) = 0;

 private:
  /// Reads overtaken by commits of others before the caller is told.
  static constexpr int kReads = 10;

  bool poll_only_;
  FilterMaker filter_;
  Netlink netlink_;
  OwnGenerations own_;
  std::optional<Events> events_;
};

template <class Read>
auto Session::read_consistently(const std::string& what, Read&& read)
    -> Result<Reading<std::decay_t<decltype(*read(Generation{}))>>> {
  using Content = std::decay_t<decltype(*read(Generation{}))>;
  Error last;
  for (int attempt = 0; attempt < kReads; ++attempt) {
    const auto before = netlink_.generation();
    if (!before && before.error().kind != ErrorKind::kRetry) return before.error();
    if (!before) {
      last = before.error();
      continue;
    }
    catch_up(*before);
    auto content = read(*before);
    const auto after = netlink_.generation();
    const bool undisturbed = after && *before == *after;
    if (undisturbed && content) return Reading<Content>{*before, std::move(*content)};
    // An object that somebody deletes and makes again is missing for a moment: no answer.
    if (undisturbed && content.error().kind != ErrorKind::kRetry) return content.error();
    overtaken();
    last = content ? Error{ErrorKind::kRetry, "it changes faster than it can be read"}
                   : content.error();
  }
  return Error{ErrorKind::kRetry, what + ": " + last.message};
}

}  // namespace nmanager::netlink

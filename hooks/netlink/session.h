// State that a backend and its watch share for one network namespace: the socket, our own
// generations, and the changes of other processes. Owner thread only.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "hooks/netlink/events.h"
#include "hooks/netlink/generation.h"
#include "hooks/netlink/socket.h"

namespace nmanager::netlink {

/// Content that was read, and the one generation that all of it belongs to.
template <class T>
struct Reading {
  Generation generation = 0;
  T content;
};

class Session {
 public:
  /// `poll_only`: do not subscribe to events, so that bulk writers pay no cost for them. `filter`:
  /// the objects whose events are received.
  Session(bool poll_only, FilterMaker filter) : poll_only_(poll_only), filter_(std::move(filter)) {}
  virtual ~Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// kUnsupported, kDenied: this kernel cannot be used.
  Status open();

  [[nodiscard]] Netlink& netlink() { return netlink_; }
  [[nodiscard]] const OwnGenerations& own() const { return own_; }
  /// nullptr when polling only.
  [[nodiscard]] Events* events() { return events_ ? &*events_ : nullptr; }

  /// Processes the events up to `generation`; calls forget() when they were lost.
  void catch_up(Generation generation);
  /// Our commit was applied and created `generation`. `learn` notes in the cache what it made; it
  /// is called before any later event is processed, since another process may have changed it
  /// already.
  template <class Learn>
  void committed(Generation generation, Learn&& learn);

  /// Calls `read` until no process commits in the meantime, so that all its content is of one
  /// generation. `read` receives that generation; its errors count only when no process committed,
  /// except that kRetry is always tried again. kRetry after kReads attempts. `what` begins the
  /// error text.
  template <class Read>
  [[nodiscard]] auto read_consistently(const std::string& what, Read&& read)
      -> Result<Reading<std::decay_t<decltype(*read(Generation{}))>>>;

  /// All cached state may be wrong, and there may be objects that are not in the cache.
  virtual void forget() = 0;
  /// Another process committed: the cached state of all our objects must be checked again.
  virtual void sweep_all() {}
  /// Checks `count` of our objects; true if one differs from the cached state.
  virtual bool sweep(std::size_t /*count*/) { return false; }

 protected:
  /// The content that was just read may be of two generations.
  virtual void overtaken() {}
  /// A message about an object that another process changed.
  virtual void touched(const nlmsghdr& message) = 0;

 private:
  /// Attempts before read_consistently() returns kRetry.
  static constexpr int kReads = 10;

  bool poll_only_;
  FilterMaker filter_;
  Netlink netlink_;
  OwnGenerations own_;
  std::optional<Events> events_;
};

template <class Learn>
void Session::committed(Generation generation, Learn&& learn) {
  own_.add(generation);
  std::forward<Learn>(learn)();
  // Removes our own NEWGEN from the queue, so that it does not wake the loop.
  if (events_) events_->receive();
}

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
    // An object that another process deletes and creates again is missing for a moment: an error
    // that a commit overtook is not an answer.
    if (undisturbed && content.error().kind != ErrorKind::kRetry) return content.error();
    overtaken();
    last = content ? Error{ErrorKind::kRetry, "it changes faster than it can be read"}
                   : content.error();
  }
  return Error{ErrorKind::kRetry, what + ": " + last.message};
}

}  // namespace nmanager::netlink

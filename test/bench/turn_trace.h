// The turns of a thread that waits in ppoll(2), recorded by the kernel (tracefs), from outside of
// the process: what the thread itself took, without system calls and without the time that other
// threads had the processor.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "hooks/sys/fd.h"

namespace nmanager::bench {

struct Turn {
  double own = 0;     // microseconds in user space
  double kernel = 0;  // microseconds in system calls, blocked or not
};

/// Records from its construction on. Throws std::runtime_error if the kernel cannot trace system
/// calls here.
class TurnTrace {
 public:
  explicit TurnTrace(pid_t thread);
  TurnTrace(const TurnTrace&) = delete;
  TurnTrace& operator=(const TurnTrace&) = delete;
  ~TurnTrace();

  /// The turns that have ended since the last call.
  [[nodiscard]] std::vector<Turn> take();

  /// A process that is killed leaves its trace, and the kernel goes on with it: every system call
  /// of every process then takes longer. Ends those of processes that do not exist any more.
  static void end_left();

 private:
  void read_line(const std::string& line, std::vector<Turn>& turns);
  void account(double now);

  enum class Where { kUser, kKernel, kWaiting };

  std::string folder_;
  sys::Fd pipe_;      // each event is read once
  std::string rest_;  // the begin of a line
  std::string thread_;
  std::optional<Turn> turn_;  // nullopt: before the first wait
  Where where_ = Where::kWaiting;
  bool running_ = true;  // has a processor
  double since_ = 0;     // microseconds
};

}  // namespace nmanager::bench

#include "test/bench/turn_trace.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string_view>

namespace nmanager::bench {

namespace {

constexpr const char* kTracefs = "/sys/kernel/tracing";
constexpr const char* kInstances = "/sys/kernel/tracing/instances/";
constexpr std::string_view kPrefix = "nmanager-bench-";  // and the process

void write(const std::string& path, const std::string& value) {
  std::ofstream file(path);
  file << value << std::flush;
  if (!file) throw std::runtime_error("cannot write to " + path);
}

/// The number after `name` in `line`; -1 if `name` is not there.
long number_after(const std::string& line, const char* name) {
  const std::size_t at = line.find(name);
  return at == std::string::npos
             ? -1
             : std::strtol(line.c_str() + at + std::string(name).size(), nullptr, 10);
}

}  // namespace

TurnTrace::TurnTrace(pid_t thread)
    : folder_(kInstances + std::string(kPrefix) + std::to_string(::getpid())),
      thread_(std::to_string(thread)) {
  if (!std::filesystem::exists(std::string(kTracefs) + "/events/raw_syscalls")) {
    throw std::runtime_error("no tracefs with raw_syscalls at " + std::string(kTracefs));
  }
  std::filesystem::create_directory(folder_);
  write(folder_ + "/buffer_size_kb", "16384");
  write(folder_ + "/trace_clock", "mono");
  write(folder_ + "/set_event_pid", thread_);
  pipe_ = sys::Fd(::open((folder_ + "/trace_pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!pipe_.valid()) throw std::runtime_error("cannot read " + folder_ + "/trace_pipe");
  write(folder_ + "/events/raw_syscalls/enable", "1");
  write(folder_ + "/events/sched/sched_switch/enable", "1");
}

TurnTrace::~TurnTrace() {
  pipe_.reset();
  std::error_code ignored;
  std::filesystem::remove(folder_, ignored);
}

void TurnTrace::end_left() {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(kInstances, ignored)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kPrefix)) continue;
    if (std::filesystem::exists("/proc/" + name.substr(kPrefix.size()))) continue;
    std::filesystem::remove(entry.path(), ignored);
  }
}

std::vector<Turn> TurnTrace::take() {
  std::vector<Turn> turns;
  std::array<char, std::size_t{64} << 10> buffer{};
  for (ssize_t size = 0; (size = ::read(pipe_.get(), buffer.data(), buffer.size())) > 0;) {
    rest_.append(buffer.data(), static_cast<std::size_t>(size));
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = rest_.find('\n', begin)) != std::string::npos;) {
      read_line(rest_.substr(begin, end - begin), turns);
      begin = end + 1;
    }
    rest_.erase(0, begin);
  }
  return turns;
}

void TurnTrace::account(double now) {
  if (turn_ && running_ && where_ == Where::kUser) turn_->own += now - since_;
  if (turn_ && where_ == Where::kKernel) turn_->kernel += now - since_;
  since_ = now;
}

// nmanager-815     [001] .....   123.456789: sys_enter: NR 271 (7f..., 3, ...)
// nmanager-815     [001] d..2.   123.456801: sched_switch: prev_comm=nmanager prev_pid=815 ...
void TurnTrace::read_line(const std::string& line, std::vector<Turn>& turns) {
  const std::size_t colon = line.find(": ");
  const std::size_t blank = colon == std::string::npos ? colon : line.rfind(' ', colon);
  if (line.starts_with("CPU:")) throw std::runtime_error("events were lost: " + line);
  if (blank == std::string::npos) return;
  account(std::strtod(line.c_str() + blank, nullptr) * 1'000'000);
  const std::string event = line.substr(colon + 2);
  const bool waits = number_after(event, "NR ") == SYS_ppoll;
  if (event.starts_with("sys_enter:")) {
    if (waits && turn_) turns.push_back(*turn_);
    if (waits) turn_.reset();
    where_ = waits ? Where::kWaiting : Where::kKernel;
  } else if (event.starts_with("sys_exit:")) {
    if (waits) turn_.emplace();
    where_ = Where::kUser;
  } else if (event.starts_with("sched_switch:")) {
    running_ = number_after(event, "next_pid=") == std::strtol(thread_.c_str(), nullptr, 10);
  }
}

}  // namespace nmanager::bench

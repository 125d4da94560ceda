#include "plugin/status/process_stats.h"

#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

namespace nmanager::status {

namespace {

/// "VmRSS:     1234 kB" -> 1234
std::uint64_t number_in(const std::string& line) {
  const auto start = line.find_first_of("0123456789");
  if (start == std::string::npos) return 0;
  std::uint64_t value = 0;
  std::from_chars(line.data() + start, line.data() + line.size(), value);
  return value;
}

std::uint64_t count_fds() {
  std::error_code error;
  std::uint64_t count = 0;
  for (auto entry = std::filesystem::directory_iterator("/proc/self/fd", error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    ++count;
  }
  return count;
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

ProcessStats read_process_stats(double start_time) {
  ProcessStats stats;
  stats.start_time = start_time;
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) == 0) {
    stats.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) stats.resident_bytes = number_in(line) * 1024;
    if (line.starts_with("VmSize:")) stats.virtual_bytes = number_in(line) * 1024;
    if (line.starts_with("Threads:")) stats.threads = number_in(line);
  }
  stats.open_fds = count_fds();
  return stats;
}

}  // namespace nmanager::status

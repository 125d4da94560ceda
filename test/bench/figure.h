// Measurement and output.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

namespace nmanager::bench {

using Clock = std::chrono::steady_clock;
using Micros = std::chrono::duration<double, std::micro>;

inline double quantile(std::vector<double> values, double q) {
  std::ranges::sort(values);
  return values[std::min(values.size() - 1, static_cast<std::size_t>(q * double(values.size())))];
}
inline double median(std::vector<double> values) {
  return quantile(std::move(values), 0.5);
}

template <class Work>
double micros(Work&& work) {
  const auto start = Clock::now();
  work();
  return Micros(Clock::now() - start).count();
}

inline void print_ratio(const std::string& name, double ours, const std::string& reference,
                        double theirs, double wanted) {
  const double ratio = ours / theirs;
  std::printf("%-34s ours %10.1f us   %s %10.1f us   ratio %5.2f (<= %.2f) %s\n", name.c_str(),
              ours, reference.c_str(), theirs, ratio, wanted, ratio <= wanted ? "ok" : "MISSED");
  std::fflush(stdout);
}

inline void print_bound(const std::string& name, double ours, double wanted, const char* unit) {
  std::printf("%-34s %10.2f %s (<= %.2f) %s\n", name.c_str(), ours, unit, wanted,
              ours <= wanted ? "ok" : "MISSED");
  std::fflush(stdout);
}

}  // namespace nmanager::bench

// nmanager_bench [--small] [--only NAME] [--backend NAME] [--services N]: see README.md.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "test/bench/benches.h"
#include "test/bench/turn_trace.h"

using namespace nmanager::chains;

int main(int argc, char** argv) {
  using namespace nmanager::bench;
  bool small = false;
  std::string only;
  std::vector<std::string> backends{"iptables-nft", "nftables"};
  int many = 40'000;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--small") == 0) small = true;
    if (std::strcmp(argv[i], "--only") == 0 && i + 1 < argc) only = argv[++i];
    if (std::strcmp(argv[i], "--backend") == 0 && i + 1 < argc) backends = {argv[++i]};
    if (std::strcmp(argv[i], "--services") == 0 && i + 1 < argc) many = std::atoi(argv[++i]);
  }
  // The tests' shared helpers use doctest checks; here a failed check becomes an exception.
  doctest::Context context;
  context.setAsDefaultForAssertsOutOfTestCases();
  context.setAssertHandler([](const doctest::AssertData& data) {
    if (data.m_failed) throw std::runtime_error(data.m_expr);
  });
  TurnTrace::end_left();
  const auto lock = std::filesystem::temp_directory_path() /
                    ("nmanager-bench-lock-" + std::to_string(::getpid()));
  ::setenv("XTABLES_LOCKFILE", lock.c_str(), 1);
  const auto wanted = [&](const char* name) { return only.empty() || only == name; };
  const auto measure = [](const std::function<void()>& figure) {
    try {
      figure();
    } catch (const std::exception& error) {
      std::printf("failed: %s\n", error.what());
    }
  };
  for (const Variant variant : {Variant::kLegacy, Variant::kNft}) {
    if (wanted("fill")) measure([&] { bench_fill(variant); });
    if (wanted("repair")) measure([&] { bench_big(variant, 1000); });
    if (wanted("repair") && !small) measure([&] { bench_big(variant, 10'000); });
    if (wanted("change")) measure([&] { bench_change(variant); });
    if (wanted("back")) measure([&] { bench_back(variant); });
    if (wanted("idle")) measure([&] { bench_idle(variant); });
    if (wanted("connect"))
      measure([&] { bench_connect(variant, variant == Variant::kLegacy ? 10'000 : 40'000); });
    if (wanted("forward")) measure([&] { bench_forward(variant); });
    for (const int services : {100, 1000, 10'000, 40'000}) {
      const bool large = services > (variant == Variant::kLegacy ? 10'000 : 40'000);
      if (!wanted("service") || large || (small && services > 1000)) continue;
      measure([&] { bench_service(variant, services); });
    }
  }
  if (wanted("fill")) measure(bench_fill_native);
  if (wanted("change")) measure(bench_change_native);
  if (wanted("connect")) measure([] { bench_connect_native(40'000); });
  if (wanted("forward")) measure(bench_forward_native);
  for (const int services : {100, 1000, 10'000, 40'000}) {
    if (wanted("service")) measure([&] { bench_service_native(services); });
  }
  if (wanted("listen")) measure(bench_listen);
  for (const std::string& backend : backends) {
    if (wanted("stream")) measure([&] { bench_stream(backend); });
    const bool native = backend == "nftables";
    if (wanted("memory")) measure([&] { bench_memory(backend, 10'000, native ? 90 : 160, 20); });
    if (wanted("memory")) measure([&] { bench_memory(backend, 40'000, native ? 90 : 160, 40); });
    if (wanted("turns")) measure([&] { bench_turns(backend, many, Kind::kTcp4); });
    if (wanted("turns6")) measure([&] { bench_turns(backend, many, Kind::kUdp6); });
    if (wanted("turns46")) measure([&] { bench_turns(backend, many, Kind::kTcpBoth); });
  }
  if (wanted("moves")) measure([&] { bench_moves(many); });
  if (wanted("unneeded")) {
    measure([] { bench_unneeded("iptables-legacy", "iptables"); });
    measure([] { bench_unneeded("iptables-nft", "iptables"); });
    measure([] { bench_unneeded("nftables", "nftables"); });
  }
  std::filesystem::remove(lock);
  return 0;
}

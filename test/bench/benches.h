// The benchmarks; each prints its results. They throw std::runtime_error on failure.
#pragma once

#include <string>
#include <vector>

#include "test/bench/program.h"
#include "test/bench/tables.h"

namespace nmanager::bench {

void bench_fill(Variant variant);
void bench_big(Variant variant, int services);  // verify and repair
void bench_change(Variant variant);
void bench_back(Variant variant);
void bench_listen();
void bench_idle(Variant variant);
void bench_unneeded(const std::string& backend, const std::string& mode);
/// 200 changes a second among 10,000 Services for a minute.
void bench_stream(const std::string& backend);
/// From the start, in MiB.
void bench_memory(const std::string& backend, int services, double peak, double rest);
/// The longest turns of the owner thread.
void bench_turns(const std::string& backend, int services, Kind kind);
/// The same, while `auto` follows kube-proxy to another backend.
void bench_moves(int services);
void bench_connect(Variant variant, int services);
void bench_forward(Variant variant);

/// One changed Service of `services`.
void bench_service(Variant variant, int services);
void bench_service_native(int services);

// The native table.
/// The kernel's time for the commit of one changed Service of `services`.
[[nodiscard]] std::vector<double> native_commits(int services);
void bench_fill_native();
void bench_change_native();
void bench_connect_native(int services);
void bench_forward_native();

}  // namespace nmanager::bench

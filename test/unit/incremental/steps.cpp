#include "test/unit/incremental/steps.h"

namespace {
std::uint64_t counted = 0;
}

/// Called in each basic block (gcc, -fsanitize-coverage=trace-pc).
extern "C" void __sanitizer_cov_trace_pc();
extern "C" void __sanitizer_cov_trace_pc() {
  ++counted;
}

std::uint64_t nmanager::test::steps() {
  return counted;
}

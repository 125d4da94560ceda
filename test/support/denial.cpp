#include "test/support/denial.h"

#include <doctest/doctest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <thread>

namespace nmanager::test {

namespace {

std::uint32_t number_of(Call call) {
  switch (call) {
    case Call::kSocket:
      return __NR_socket;
    case Call::kGetsockopt:
      return __NR_getsockopt;
    case Call::kSetsockopt:
      return __NR_setsockopt;
  }
  return 0;
}

sock_filter load(std::size_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}

/// Skips `otherwise` instructions unless the loaded word is `value`.
sock_filter expect(std::uint32_t value, std::uint8_t otherwise) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, otherwise);
}

void install(const std::vector<Denial>& denials) {
  std::vector<sock_filter> program;
  for (const Denial& denial : denials) {
    const std::size_t argument = denial.call == Call::kSocket ? 0 : 2;
    const auto error = static_cast<std::uint32_t>(denial.error);
    program.push_back(load(offsetof(seccomp_data, nr)));
    program.push_back(expect(number_of(denial.call), 3));
    program.push_back(load(offsetof(seccomp_data, args) + 8 * argument));
    program.push_back(expect(static_cast<std::uint32_t>(denial.argument), 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
}

}  // namespace

void in_thread_denied(const std::vector<Denial>& denials, const std::function<void()>& body) {
  std::exception_ptr failure;  // from a REQUIRE, which throws
  std::thread thread([&] {
    try {
      install(denials);
      body();
    } catch (...) {
      failure = std::current_exception();
    }
  });
  thread.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace nmanager::test

#include "test/support/sends.h"

#include <doctest/doctest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <future>
#include <thread>

#include "hooks/sys/fd.h"

namespace nmanager::test {

namespace {

/// Both calls of the calling thread are reported to the descriptor that is returned.
int report_sends() {
  constexpr std::uint32_t kNumber = offsetof(seccomp_data, nr);
  std::array<sock_filter, 5> program{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kNumber),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_sendto, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_sendmsg, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return static_cast<int>(
      syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter));
}

/// Through the kernel: the threads share this memory without a lock.
template <class T>
T read_at(std::uint64_t address) {
  T value{};
  iovec to{&value, sizeof value};
  iovec from{reinterpret_cast<void*>(address), sizeof value};
  REQUIRE(process_vm_readv(getpid(), &to, 1, &from, 1, 0) == ssize_t{sizeof value});
  return value;
}

int type_of(const seccomp_data& call) {
  std::uint64_t bytes = call.args[1];
  if (call.nr == __NR_sendmsg) {
    const auto message = read_at<msghdr>(call.args[1]);
    const auto first = read_at<iovec>(reinterpret_cast<std::uint64_t>(message.msg_iov));
    bytes = reinterpret_cast<std::uint64_t>(first.iov_base);
  }
  return read_at<nlmsghdr>(bytes).nlmsg_type;
}

/// False: the thread has ended.
bool let_one_pass(int reports, const std::function<void(int)>& before) {
  pollfd ready{reports, POLLIN, 0};
  if (poll(&ready, 1, -1) < 0) return errno == EINTR;
  if ((ready.revents & POLLIN) == 0) return false;
  seccomp_notif request{};
  if (ioctl(reports, SECCOMP_IOCTL_NOTIF_RECV, &request) != 0) return errno == EINTR;
  before(type_of(request.data));
  seccomp_notif_resp answer{};
  answer.id = request.id;
  answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  return ioctl(reports, SECCOMP_IOCTL_NOTIF_SEND, &answer) == 0;
}

}  // namespace

void before_sends(const std::function<void(int type)>& before, const std::function<void()>& body) {
  // From a REQUIRE, which throws.
  std::exception_ptr of_body;
  std::exception_ptr of_before;
  std::promise<int> listener;
  std::thread thread([&] {
    const int reports = report_sends();
    listener.set_value(reports);
    if (reports < 0) return;
    try {
      body();
    } catch (...) {
      of_body = std::current_exception();
    }
  });
  {
    const sys::Fd reports(listener.get_future().get());
    try {
      while (reports.valid() && let_one_pass(reports.get(), before)) {
      }
    } catch (...) {
      of_before = std::current_exception();
    }
    CHECK(reports.valid());
    // Closed here: a call that nobody lets pass fails.
  }
  thread.join();
  for (const std::exception_ptr& failure : {of_before, of_body}) {
    if (failure) std::rethrow_exception(failure);
  }
}

}  // namespace nmanager::test

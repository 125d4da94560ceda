// Evidence from the real kernel: what is found, and that the check creates nothing.
#include "hooks/detect/evidence.h"

#include "test/support/capabilities.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <string>

namespace nmanager::test {
using namespace nmanager::detect;
namespace {

/// Moves the calling thread to a new network namespace with its own lock file.
class Sandbox {
 public:
  Sandbox() : before_(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
    usable_ = before_ >= 0 && unshare(CLONE_NEWNET) == 0;
    if (!usable_) {
      std::cout << "skipped: cannot create a network namespace: " << std::strerror(errno) << '\n';
    }
    lock_ = "/tmp/nmanager-variant-" + std::to_string(getpid()) + ".lock";
    setenv("XTABLES_LOCKFILE", lock_.c_str(), 1);
  }
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;
  ~Sandbox() {
    if (before_ >= 0) {
      static_cast<void>(setns(before_, CLONE_NEWNET));
      close(before_);
    }
    unlink(lock_.c_str());
    unsetenv("XTABLES_LOCKFILE");
  }
  [[nodiscard]] bool usable() const { return usable_; }

 private:
  int before_;
  bool usable_ = false;
  std::string lock_;
};

void must(const std::string& command) {
  CAPTURE(command);
  REQUIRE(std::system(command.c_str()) == 0);
}

std::string legacy_tables() {
  std::string result;
  for (const char* const names : {"ip_tables_names", "ip6_tables_names"}) {
    std::ifstream file(std::string("/proc/thread-self/net/") + names);
    for (std::string line; std::getline(file, line);) result += line + ' ';
  }
  return result;
}

bool nft_is_empty() {
  return std::system("test -z \"$(nft list tables)\"") == 0;
}

TEST_CASE("in an empty namespace nothing is found and nothing is created") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  VariantLook look;
  for (int i = 0; i < 2; ++i) {
    const VariantEvidence evidence = look.gather();
    CHECK(evidence.nft == VariantTraces{false, false});
    CHECK(evidence.legacy == VariantTraces{false, false});
    CHECK(evidence.nft_possible);
    CHECK(evidence.problem.empty());
  }
  CHECK(legacy_tables().empty());
  CHECK(nft_is_empty());
}

struct TraceCase {
  const char* command;  // VARIANT is replaced
  VariantTraces expected;
};

const TraceCase kTraceCases[] = {
    {"iptables-VARIANT -t mangle -N KUBE-IPTABLES-HINT", {true, false}},
    {"iptables-VARIANT -t mangle -N KUBE-KUBELET-CANARY", {true, false}},
    {"ip6tables-VARIANT -t mangle -N KUBE-PROXY-CANARY", {true, false}},
    {"iptables-VARIANT -t nat -N KUBE-SERVICES", {false, true}},
    {"ip6tables-VARIANT -t nat -N KUBE-SERVICES", {false, true}},
    {"iptables-VARIANT -t nat -N KUBE-SERVICES; iptables-VARIANT -t mangle -N KUBE-IPTABLES-HINT",
     {true, true}},
    {"iptables-VARIANT -t nat -N KUBE-KUBELET-CANARY", {false, false}},
    {"iptables-VARIANT -N KUBE-SERVICES", {false, false}},
    {"iptables-VARIANT -t mangle -N KUBE-IPTABLES-HINT-X", {false, false}},
    {"iptables-VARIANT -t nat -A PREROUTING -m comment --comment KUBE-SERVICES -j RETURN",
     {false, false}},
};

std::string with_variant(std::string command, const std::string& variant) {
  for (std::size_t at; (at = command.find("VARIANT")) != std::string::npos;) {
    command.replace(at, 7, variant);
  }
  return command;
}

TEST_CASE("traces of kubelet and kube-proxy are found in either variant and family") {
  for (const std::string variant : {"nft", "legacy"}) {
    for (const TraceCase& test : kTraceCases) {
      const Sandbox sandbox;
      if (!sandbox.usable()) return;
      const std::string command = with_variant(test.command, variant);
      CAPTURE(command);
      VariantLook look;
      static_cast<void>(look.gather());
      must(command);
      const std::string tables = legacy_tables();
      VariantEvidence evidence = look.gather();
      VariantTraces& here = variant == "nft" ? evidence.nft : evidence.legacy;
      CHECK((here.stamp != 0) == here.services.value_or(false));
      here.stamp = 0;
      CHECK(here == test.expected);
      CHECK((variant == "nft" ? evidence.legacy : evidence.nft) == VariantTraces{false, false});
      CHECK(legacy_tables() == tables);
      CHECK(nft_is_empty() == (variant == "legacy"));
    }
  }
}

TEST_CASE("added and removed traces in legacy tables are found by the next check") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  VariantLook look;
  must("iptables-legacy -t nat -N OTHER");
  CHECK(look.gather().legacy == VariantTraces{false, false});
  // At most 1 % of a core: a look that took long is followed by a longer pause.
  const auto becomes = [&](const VariantTraces& wanted) {
    for (int tries = 0; tries < 6'000; ++tries) {
      VariantTraces seen = look.gather().legacy;
      seen.stamp = 0;
      if (seen == wanted) return true;
      usleep(10'000);
    }
    return false;
  };
  must("iptables-legacy -t nat -N KUBE-SERVICES");
  CHECK(becomes({false, true}));
  must("iptables-legacy -t nat -X KUBE-SERVICES");
  CHECK(becomes({false, false}));
}

TEST_CASE("a legacy table that cannot be read is reported with the missing capability") {
  for (const auto& [capability, name] :
       {std::pair(CAP_NET_ADMIN, "CAP_NET_ADMIN"), std::pair(CAP_NET_RAW, "CAP_NET_RAW")}) {
    const Sandbox sandbox;
    if (!sandbox.usable()) return;
    must("iptables-legacy -t nat -N KUBE-SERVICES");
    bool ran = false;
    in_thread_without(static_cast<unsigned>(capability), [&, missing = name] {
      VariantLook look;
      const VariantEvidence evidence = look.gather();
      CHECK_FALSE(evidence.legacy.services.has_value());
      CHECK(evidence.legacy.hint == false);  // known, because there is no mangle table
      CHECK(evidence.problem.find(missing) != std::string::npos);
      CHECK(evidence.nft_possible);
      CHECK_FALSE(decide_variant(evidence, {}).certain);
      CHECK(decide_variant(evidence, {}).reason.starts_with("cannot be determined: "));
      ran = true;
    });
    CHECK(ran);
  }
}

}  // namespace
}  // namespace nmanager::test

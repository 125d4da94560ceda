// Bad days: a port in use, no reader, no descriptors left, a second nmanager; with the real
// process on the real kernel.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <string>
#include <vector>

#include "test/scenarios/node.h"
#include "test/support/denial.h"

namespace nmanager::test {
namespace {

/// A TCP socket that holds a port of loopback until its end.
class HeldPort {
 public:
  explicit HeldPort(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd_, 1) == 0);
  }
  HeldPort(const HeldPort&) = delete;
  HeldPort& operator=(const HeldPort&) = delete;
  ~HeldPort() { ::close(fd_); }

 private:
  int fd_;
};

bool in_place(const Node& node) {
  return drop_invalid(node.our_rules()) && node.misplaced().empty();
}

std::string flags_of(const Node& node) {
  std::string flags;
  for (const std::string& flag : base_flags(node)) flags += ' ' + flag;
  return flags;
}

}  // namespace

TEST_CASE("the port is in use: rules first, and the port is served when it is free") {
  Node node;
  if (!node.usable()) return;
  std::optional<HeldPort> holder(std::in_place, std::uint16_t{10261});
  const Sidecar sidecar(node);
  CHECK(eventually([&] { return in_place(node); }));
  CHECK(eventually([&] { return sidecar.log().find("port 10261") != std::string::npos; }));
  CHECK(sidecar.alive());
  holder.reset();
  CHECK(eventually([&] { return sidecar.get("/livez") == "ok"; }));
}

TEST_CASE("a second nmanager changes nothing, names the first, and takes over when that ends") {
  Node node;
  if (!node.usable()) return;
  std::optional<Sidecar> first(std::in_place, node);
  REQUIRE_MESSAGE(eventually([&] { return first->settled(); }), first->log());
  const Sidecar second(node, {}, 10262);
  CHECK(eventually([&] {
    return second.get("/readyz?verbose").find("[-]only-instance failed: another nmanager") !=
           std::string::npos;
  }));
  CHECK(second.get("/livez") == "ok");
  first.reset();
  CHECK(eventually([&] { return second.settled(); }));
}

TEST_CASE("cleanup refuses while nmanager runs, and removes everything afterwards") {
  Node node;
  if (!node.usable()) return;
  std::optional<Sidecar> sidecar(std::in_place, node);
  REQUIRE_MESSAGE(eventually([&] { return sidecar->settled(); }), sidecar->log());
  const std::string ours = node.our_rules();
  const auto refused = nmanager(node, "cleanup");
  CHECK(refused.exit_code == 1);
  CHECK(refused.output.find("another nmanager") != std::string::npos);
  CHECK(node.our_rules() == ours);
  sidecar.reset();
  CHECK(nmanager(node, "cleanup").exit_code == 0);
  CHECK(node.our_rules().empty());
}

TEST_CASE("cleanup without the capability names what is missing, and fails") {
  Node node;
  if (!node.usable()) return;
  {
    const Sidecar sidecar(node);
    REQUIRE(eventually([&] { return in_place(node); }));
  }
  const std::string ours = node.our_rules();
  const auto result = run("capsh --drop=cap_net_admin,cap_net_raw -- -c '" +
                          std::string(NMANAGER_BINARY) + " cleanup' 2>&1");
  CHECK(result.exit_code == 1);
  CHECK_MESSAGE(result.output.find("CAP_NET_") != std::string::npos, result.output);
  CHECK(node.our_rules() == ours);
}

TEST_CASE("no process reads standard error: repairs continue, and nmanager ends on SIGTERM") {
  Node node;
  if (!node.usable()) return;
  std::array<int, 2> pipe_ends{};
  REQUIRE(::pipe2(pipe_ends.data(), O_CLOEXEC) == 0);
  const std::string command = std::string(NMANAGER_BINARY) +
                              " run --listen 127.0.0.1:10261 --log-level debug" + flags_of(node);
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    ::dup2(pipe_ends[1], STDERR_FILENO);
    ::execl("/bin/sh", "sh", "-c", ("exec " + command).c_str(), nullptr);
    ::_exit(127);
  }
  REQUIRE(eventually([&] { return in_place(node); }));
  const std::string flush = Node::flush_command("filter", "NMANAGER_INPUT");
  for (int i = 0; i < 400; ++i) run(flush + " 2>/dev/null");  // each one that succeeds is logged
  CHECK(eventually([&] { return in_place(node); }, std::chrono::seconds(30)));
  CHECK(run("curl -s -m 5 http://127.0.0.1:10261/livez").output == "ok");
  ::kill(pid, SIGTERM);
  int status = 0;
  CHECK(eventually([&] { return ::waitpid(pid, &status, WNOHANG) == pid; }));
  CHECK(WIFEXITED(status));
  ::close(pipe_ends[0]);
  ::close(pipe_ends[1]);
}

TEST_CASE("no descriptors left: no busy loop, the rules are kept, and it answers again") {
  Node node;
  if (!node.usable()) return;
  const Sidecar sidecar(node);
  REQUIRE_MESSAGE(eventually([&] { return sidecar.settled(); }), sidecar.log());
  const std::string pid = std::to_string(sidecar.pid());
  const auto ticks = [&] {
    return std::stol(run("awk '{print $14 + $15}' /proc/" + pid + "/stat").output);
  };
  REQUIRE(run("prlimit --nofile=1:4096 --pid " + pid).exit_code == 0);
  const long before = ticks();
  // A connection that waits in the kernel's queue: each try to accept it fails at once.
  CHECK(run("curl -s -m 3 http://127.0.0.1:10261/livez").exit_code != 0);
  // 300 ticks have passed. A busy loop uses nearly all of them.
  CHECK(ticks() - before < 150);
  REQUIRE(run("prlimit --nofile=4096:4096 --pid " + pid).exit_code == 0);
  CHECK_MESSAGE(eventually([&] { return sidecar.get("/livez") == "ok"; }), sidecar.log());
  node.flush("filter", "NMANAGER_INPUT");
  CHECK(eventually([&] { return in_place(node); }));
}

TEST_CASE("plan --services: directories, nothing, YAML, a List and standard input") {
  Node node;
  if (!node.usable()) return;
  const std::string plan =
      std::string(NMANAGER_BINARY) + " plan --proxy-mode ipvs --backend " + backend();
  const auto with = [&](const std::string& file) {
    return run(plan + " --services " + file + " 2>&1");
  };
  for (const std::string& bad :
       {node.folder(), node.folder() + "/absent", std::string("/dev/null")}) {
    CAPTURE(bad);
    const auto result = with(bad);
    CHECK(result.exit_code == 1);
    CHECK(result.output.find('\n') == result.output.size() - 1);
    CHECK(result.output.find(bad) != std::string::npos);
  }
  const std::string yaml = node.folder() + "/services.yaml";
  std::ofstream(yaml) << "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n"
                         "- apiVersion: v1\n  kind: Service\n  metadata:\n    name: web\n"
                         "    namespace: default\n  spec:\n    type: LoadBalancer\n"
                         "    clusterIP: 10.96.0.10\n    externalTrafficPolicy: Local\n    ports:\n"
                         "    - port: 80\n  status:\n    loadBalancer:\n      ingress:\n"
                         "      - ip: 192.0.2.10\n";
  for (const std::string& file : {yaml, "- < " + yaml}) {
    CAPTURE(file);
    const auto result = with(file);
    CHECK(result.exit_code == 0);
    CHECK(result.output.find("192.0.2.10") != std::string::npos);
    CHECK(result.output.find("ConfigMap") != std::string::npos);  // reported as skipped
  }
}

TEST_CASE("backends changed by hand between two runs leave nothing behind") {
  Node node;
  if (!node.usable()) return;
  {
    const Sidecar sidecar(node);
    REQUIRE(eventually([&] { return in_place(node); }));
  }
  const std::string other = native() ? "iptables-nft" : "nftables";
  const Sidecar sidecar(node, {"--backend", other, "--proxy-mode", "ipvs"});
  CHECK_MESSAGE(
      eventually([&] {
        const std::string legacy = node.sh("iptables-legacy-save 2>/dev/null || true");
        const std::string nft = node.sh("iptables-nft-save 2>/dev/null || true");
        const std::string table = node.sh("nft list table inet nmanager 2>/dev/null || true");
        const bool old_gone =
            native() ? table.empty() : (legacy + nft).find("NMANAGER_") == std::string::npos;
        const bool new_there =
            native() ? nft.find("NMANAGER_INPUT") != std::string::npos : !table.empty();
        return old_gone && new_there;
      }),
      sidecar.log());
}

}  // namespace nmanager::test

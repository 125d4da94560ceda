// What the drop in FORWARD costs a good packet.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>

#include "hooks/nftables/nftables_backend.h"
#include "test/bench/benches.h"
#include "test/bench/figure.h"
#include "test/bench/tables.h"
#include "test/support/command.h"
#include "test/support/net_namespace.h"
#include "test/support/tables.h"

namespace nmanager::bench {

namespace {

using test::kFilter4;

constexpr const char* kReceiver = "10.99.0.2";
constexpr std::uint16_t kDiscard = 9;  // RFC 863

sockaddr_in receiver() {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(kDiscard);
  ::inet_pton(AF_INET, kReceiver, &to.sin_addr);
  return to;
}

/// A socket in the named namespace; a namespace belongs to a thread.
int socket_in(const std::string& name, int type) {
  int made = -1;
  std::thread([&] {
    const int fd = ::open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && ::setns(fd, CLONE_NEWNET) == 0) made = ::socket(AF_INET, type, 0);
    ::close(fd);
  }).join();
  if (made < 0) throw std::runtime_error("no socket in " + name);
  return made;
}

/// A sender, the node, and a receiver; kube-proxy's nftables mode on the node, as far as a
/// forwarded packet of an established flow meets it.
class Path {
 public:
  Path() {
    for (const std::string side : {"s", "r"}) {
      const std::string inside = "ip -n " + name(side) + " ";
      const std::string net = side == "s" ? "10.244.0" : "10.99.0";
      test::must("ip netns add " + name(side) + " && ip link add " + side +
                 "0 type veth peer name eth0 netns " + name(side) + " && ip addr add " + net +
                 ".1/24 dev " + side + "0 && ip link set " + side + "0 up && " + inside +
                 "addr add " + net + ".2/24 dev eth0 && " + inside + "link set eth0 up && " +
                 inside + "route add default via " + net + ".1");
    }
    test::must("sysctl -qw net.ipv4.ip_forward=1; ip netns exec " + name("r") + " nft -f -",
               "table ip d {\nchain c {\ntype filter hook prerouting priority -300\nudp dport 9 "
               "drop\n}\n}\n");
    test::must("nft -f -",
               "table ip kube-proxy {\nchain services {\n}\nchain nat-prerouting {\ntype nat hook "
               "prerouting priority -100\njump services\n}\nchain filter-forward {\ntype filter "
               "hook forward priority 0\nct state new jump services\n}\n}\n");
    const sockaddr_in to = receiver();
    const auto* address = reinterpret_cast<const sockaddr*>(&to);
    const int listener = socket_in(name("r"), SOCK_STREAM);
    packets_ = socket_in(name("s"), SOCK_DGRAM);
    stream_ = socket_in(name("s"), SOCK_STREAM);
    if (::bind(listener, address, sizeof to) != 0 || ::listen(listener, 1) != 0 ||
        ::connect(packets_, address, sizeof to) != 0 ||
        ::connect(stream_, address, sizeof to) != 0) {
      throw std::runtime_error("the receiver is not reachable");
    }
    accepted_ = ::accept(listener, nullptr, nullptr);
    ::close(listener);
  }
  Path(const Path&) = delete;
  Path& operator=(const Path&) = delete;
  ~Path() {
    for (const int fd : {packets_, stream_, accepted_}) ::close(fd);
    for (const char* side : {"s", "r"}) test::run("ip netns del " + name(side));
  }

  /// Microseconds for each small packet, which is forwarded within the call that sends it.
  [[nodiscard]] double small_packets() const {
    constexpr int kPackets = 20'000;
    const std::array<char, 64> payload{};
    const double time = micros([&] {
      for (int i = 0; i < kPackets; ++i) {
        (void)::send(packets_, payload.data(), payload.size(), 0);
      }
    });
    return time / kPackets;
  }

  /// Microseconds for each MiB of a connection that sends as fast as it can.
  [[nodiscard]] double stream() const {
    constexpr std::size_t kMib = std::size_t{1} << 20;
    constexpr std::size_t kMibs = 64;
    std::thread sender([this] {
      const std::string data(kMib, 'x');
      for (std::size_t i = 0; i < kMibs; ++i) {
        for (std::size_t sent = 0; sent < kMib;) {
          const ssize_t count = ::send(stream_, data.data() + sent, kMib - sent, MSG_NOSIGNAL);
          if (count <= 0) return;
          sent += std::size_t(count);
        }
      }
    });
    const double time = micros([&] {
      for (std::size_t got = 0; got < kMibs * kMib;) {
        const ssize_t count = ::recv(accepted_, nullptr, kMib, MSG_TRUNC);  // without a copy
        if (count <= 0) return;
        got += std::size_t(count);
      }
    });
    sender.join();
    return time / kMibs;
  }

 private:
  static std::string name(const std::string& side) {
    return "nmb" + std::to_string(::getpid()) + side;
  }

  int packets_ = -1;
  int stream_ = -1;
  int accepted_ = -1;
};

void keep(Backend& backend, const TableSpec& spec) {
  const Goal goal{kFilter4, std::make_shared<const TableSpec>(spec)};
  const auto report = backend.sync({&goal, 1}, {}).front();
  if (!report.verified) throw std::runtime_error(report.error->message);
}

/// Rounds with and without the rules alternate, so that other load on the machine affects both.
void compare(const std::string& name, Backend& backend, const char* pods,
             const std::function<double()>& flood) {
  const TableSpec rules(drop_invalid_forward(InvalidAction::kDrop, *Prefix::parse(pods), {}));
  std::vector<double> with, without;
  for (int round = 0; round < 60; ++round) {
    keep(backend, {});
    without.push_back(flood());
    keep(backend, rules);
    with.push_back(flood());
  }
  print_ratio("forward " + name, quantile(with, 0.25), "no rule", quantile(without, 0.25), 1.01);
}

void bench(const std::string& name, Backend& backend) {
  const Path path;
  (void)path.small_packets();
  constexpr const char* kPods = "10.244.0.0/16";
  compare(name + ", a pod's stream", backend, kPods, [&] { return path.stream(); });
  compare(name + ", a pod's small packets", backend, kPods, [&] { return path.small_packets(); });
  compare(name + ", small packets not from a pod", backend, "10.245.0.0/16",
          [&] { return path.small_packets(); });
}

}  // namespace

void bench_forward(Variant variant) {
  const test::NetNamespace space;
  if (!space.usable()) return;
  Door door = open_door(variant);
  bench(name_of(variant), *door.backend);
}

void bench_forward_native() {
  const test::NetNamespace space;
  if (!space.usable()) return;
  auto native = nftables::make_nftables_backend({});
  if (!native) throw std::runtime_error(native.error().message);
  bench("nftables", *native->backend);
}

}  // namespace nmanager::bench

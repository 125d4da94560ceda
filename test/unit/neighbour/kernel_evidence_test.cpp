// The kernel evidence of a new network namespace: devices, sysctl and routes.
#include "plugin/neighbour/kernel_evidence.h"
#include "test/support/skip.h"

#include <doctest/doctest.h>
#include <sched.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace nmanager {
using namespace nmanager::neighbour;
namespace {

PodRoute route(const std::string& prefix, const std::string& device) {
  return {*Prefix::parse(prefix), device};
}

/// Runs `body` on a thread in a new network namespace, which ends with the thread. Commands that
/// the body starts also run there.
void in_new_namespace(const std::function<void()>& body) {
  std::thread([&] {
    if (::unshare(CLONE_NEWNET) != 0) {
      test::skip(std::string("cannot create a network namespace: ") + std::strerror(errno));
      return;
    }
    body();
  }).join();
}

void run(const std::string& command) {
  REQUIRE_MESSAGE(std::system(command.c_str()) == 0, command);
}

TEST_CASE("an empty namespace") {
  in_new_namespace([] {
    const KernelEvidence evidence = gather_kernel_evidence();
    CHECK(evidence.ipvs_device == false);
    CHECK(evidence.pod_routes.empty());
    CHECK(evidence.pod_routes_complete);
    CHECK_FALSE(evidence.kube_chains.has_value());
    CHECK_FALSE(evidence.nft_table.has_value());
  });
}

TEST_CASE("kube-ipvs0, and the routes to pods") {
  in_new_namespace([] {
    run("ip link add kube-ipvs0 type veth peer name cali1");
    run("ip link set kube-ipvs0 up && ip link set cali1 up");
    run("ip link add cni0 type bridge && ip link set cni0 up");
    run("ip link add eth0 type bridge && ip link set eth0 up");
    run("ip addr add 10.244.1.1/24 dev cni0 && ip addr add 192.0.2.1/24 dev eth0");
    run("ip route add 10.99.0.7/32 dev cali1");
    run("ip route add 10.98.0.0/16 via 10.244.1.9 dev cni0");  // to another node
    run("ip route add 10.97.0.1/32 dev cali1 table 100");      // not the main table
    run("ip route add blackhole 10.96.0.0/16");
    run("ip -6 route add fd00:1::7/128 dev cali1");
    const KernelEvidence evidence = gather_kernel_evidence();
    CHECK(evidence.ipvs_device == true);
    CHECK(evidence.pod_routes_complete);
    CHECK(evidence.pod_routes == std::vector{route("10.99.0.7/32", "cali1"),
                                             route("10.244.1.0/24", "cni0"),
                                             route("fd00:1::7/128", "cali1")});
  });
}

TEST_CASE("more routes than are kept: the list is reported as incomplete") {
  in_new_namespace([] {
    run("ip link add cali1 type veth peer name other && ip link set cali1 up && ip link set other "
        "up");
    run("for i in $(seq 0 299); do echo route add 10.5.$((i / 250)).$((i % 250))/32 dev cali1; done"
        " | ip -batch -");
    const KernelEvidence evidence = gather_kernel_evidence();
    CHECK_FALSE(evidence.pod_routes_complete);
    CHECK(evidence.pod_routes.size() == kMaxPodRoutes);
  });
}

TEST_CASE("nf_conntrack_tcp_be_liberal") {
  in_new_namespace([] {
    const std::string path = "/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal";
    if (!std::ifstream(path).good()) {
      CHECK_FALSE(gather_kernel_evidence().be_liberal.has_value());
      return;
    }
    for (const bool liberal : {false, true, false}) {
      std::ofstream(path) << (liberal ? "1" : "0") << std::flush;
      CHECK(gather_kernel_evidence().be_liberal == liberal);
    }
  });
}

TEST_CASE("routes that the pod CIDR does not cover") {
  const std::vector<PodRoute> routes{route("10.244.1.0/24", "cni0"), route("10.9.0.1/32", "cali1"),
                                     route("fd00:1::/64", "cni0"), route("fd99::1/128", "cali1")};
  const auto v4 = Prefix::parse("10.244.0.0/16");
  const auto v6 = Prefix::parse("fd00::/16");
  using Routes = std::vector<PodRoute>;
  CHECK(uncovered_routes(routes, v4, v6) == Routes{routes[1], routes[3]});
  CHECK(uncovered_routes(routes, v4, std::nullopt) == Routes{routes[1]});
  CHECK(uncovered_routes(routes, std::nullopt, v6) == Routes{routes[3]});
  CHECK(uncovered_routes(routes, std::nullopt, std::nullopt).empty());
  // A CIDR that is only this node's part or is too small.
  CHECK(uncovered_routes(routes, Prefix::parse("10.244.1.0/25"), std::nullopt).size() == 2);
  CHECK(uncovered_routes(routes, Prefix::parse("10.0.0.0/8"), v6) == Routes{routes[3]});
}

TEST_CASE("devices of pods") {
  for (const char* name : {"cni0", "cali0123456789a", "veth12ab34cd", "lxc_health", "lxcabc"}) {
    CHECK_MESSAGE(is_pod_device(name), name);
  }
  for (const char* name : {"eth0", "lo", "docker0", "flannel.1", "kube-ipvs0", "wg0", ""}) {
    CHECK_FALSE_MESSAGE(is_pod_device(name), name);
  }
}

}  // namespace
}  // namespace nmanager

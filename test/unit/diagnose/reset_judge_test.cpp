// Classification of RSTs by problem.
#include "plugin/diagnose/reset_judge.h"

#include <doctest/doctest.h>

#include "hooks/capture/reset_capture.h"

namespace nmanager::test {
using namespace nmanager::diagnose;
namespace {

Tuple tuple(const char* source, std::uint16_t source_port, const char* destination,
            std::uint16_t destination_port) {
  return {*Address::parse(source), source_port, *Address::parse(destination), destination_port};
}

const Tuple kPodToServer = tuple("10.244.1.7", 43626, "203.0.113.9", 443);
const Tuple kServerToNode = tuple("203.0.113.9", 443, "198.51.100.1", 50000);
/// A pod's connection behind masquerade.
const Flow kOut{kPodToServer, kServerToNode};

const Tuple kClientToNode = tuple("192.0.2.5", 3333, "198.51.100.1", 30080);
const Tuple kPodToClient = tuple("10.244.1.8", 80, "192.0.2.5", 3333);
/// A client of a NodePort, its address kept.
const Flow kIn{kClientToNode, kPodToClient};

struct Rig {
  std::vector<Flow> flows;
  ResetJudge judge{[this](const Tuple& asked) -> Result<Flow> {
    for (const Flow& flow : flows) {
      if (flow.original == asked || flow.reply == asked) return flow;
    }
    return Error{ErrorKind::kAbsent, "no such connection"};
  }};
  void out(const Tuple& reset) { judge.take(reset, true, {}); }
  void in(const Tuple& reset) { judge.take(reset, false, {}); }
  [[nodiscard]] std::pair<std::size_t, std::size_t> found() const {
    return {judge.by_node().size(), judge.by_client().size()};
  }
};

using Found = std::pair<std::size_t, std::size_t>;

}  // namespace

TEST_CASE("the node answers for a pod: problem 1, once per connection") {
  Rig rig{{kOut, kIn}};
  rig.out(kServerToNode.reversed());
  rig.out(kServerToNode.reversed());
  CHECK(rig.found() == Found{1, 0});
  CHECK(rig.judge.by_node()[0].flow == kOut);
  CHECK(rig.judge.seen() == 2);
}

TEST_CASE("the pod's own RST, the server's, and one of an unknown connection") {
  Rig rig{{kOut}};
  rig.in(kPodToServer);
  rig.out(kServerToNode.reversed());  // the same one, translated
  rig.in(kServerToNode);
  rig.out(kPodToServer.reversed());
  rig.out(tuple("198.51.100.1", 22, "192.0.2.7", 5));
  CHECK(rig.found() == Found{0, 0});
}

TEST_CASE("a client that answers the pod itself: problem 3") {
  Rig rig{{kOut, kIn}};
  rig.in(kPodToClient.reversed());
  CHECK(rig.found() == Found{0, 1});
  CHECK(rig.judge.by_client()[0].flow == kIn);
}

TEST_CASE("regular RSTs of client and pod") {
  Rig rig{{kIn}};
  rig.in(kClientToNode);
  rig.out(kPodToClient.reversed());  // the same one, translated
  rig.in(kPodToClient);
  rig.out(kClientToNode.reversed());
  CHECK(rig.found() == Found{0, 0});
}

TEST_CASE("a connection that is not translated is not a problem") {
  const Tuple there = tuple("10.244.1.7", 1, "10.244.2.2", 80);
  Rig rig{{Flow{there, there.reversed()}}};
  rig.in(there);
  rig.out(there);
  rig.in(there.reversed());
  rig.out(there.reversed());
  CHECK(rig.found() == Found{0, 0});
}

TEST_CASE("a masqueraded NodePort: the node answers its own pod, which is problem 1") {
  const Flow masqueraded{kClientToNode, tuple("10.244.1.8", 80, "10.244.1.1", 41000)};
  Rig rig{{masqueraded}};
  rig.out(masqueraded.reply.reversed());
  CHECK(rig.found() == Found{1, 0});
  Rig own{{masqueraded}};
  own.in(kClientToNode);
  own.out(masqueraded.reply.reversed());
  CHECK(own.found() == Found{0, 0});
}

TEST_CASE("an answer of a pod that leaves untranslated, once per connection") {
  Rig rig{{kOut, kIn}};
  rig.judge.take_of_pod(kPodToClient, {});
  rig.judge.take_of_pod(kPodToClient, {});
  rig.judge.take_of_pod(kPodToServer, {});                             // a request, not an answer
  rig.judge.take_of_pod(tuple("10.244.1.8", 80, "192.0.2.9", 1), {});  // of no connection
  REQUIRE(rig.judge.untranslated().size() == 1);
  CHECK(rig.judge.untranslated()[0].flow == kIn);
  CHECK(rig.found() == Found{0, 0});
}

TEST_CASE("a failing query of conntrack is reported") {
  ResetJudge judge([](const Tuple&) -> Result<Flow> {
    return Error{ErrorKind::kDenied, "CAP_NET_ADMIN is needed"};
  });
  judge.take(kServerToNode.reversed(), true, {});
  CHECK(judge.problem() == "CAP_NET_ADMIN is needed");
  CHECK(judge.by_node().empty());
}

TEST_CASE("parsing the bytes of an RST") {
  std::vector<std::uint8_t> v4(40, 0);
  v4[0] = 0x45;
  v4[9] = 6;
  v4[12] = 10, v4[15] = 1, v4[16] = 192, v4[19] = 2;  // 10.0.0.1, 192.0.0.2
  v4[20] = 0x01, v4[21] = 0xbb, v4[22] = 0x10, v4[23] = 0x00;
  v4[33] = 0x14;  // RST, ACK
  const auto reset = capture::parse_segment(Family::kIpv4, v4, true);
  REQUIRE(reset.has_value());
  CHECK(to_string(reset->tuple) == "10.0.0.1:443 -> 192.0.0.2:4096");
  CHECK(reset->outgoing);
  const auto refused = [&](std::size_t at, std::uint8_t value) {
    auto bytes = v4;
    bytes[at] = value;
    return !capture::parse_segment(Family::kIpv4, bytes, true).has_value();
  };
  CHECK(reset->reset);
  auto data = v4;
  data[33] = 0x10;
  CHECK_FALSE(capture::parse_segment(Family::kIpv4, data, true)->reset);
  CHECK(refused(9, 17));    // UDP
  CHECK(refused(7, 1));     // a later fragment
  CHECK(refused(0, 0x4f));  // options beyond the end
  CHECK(refused(0, 0x42));  // a header that is too short
  for (std::size_t size = 0; size < 34; ++size) {
    CHECK_FALSE(capture::parse_segment(Family::kIpv4, std::span(v4).first(size), true));
  }
  std::vector<std::uint8_t> v6(60, 0);
  v6[0] = 0x60, v6[6] = 6, v6[8] = 0xfd, v6[23] = 1, v6[24] = 0xfd, v6[39] = 2;
  v6[41] = 80, v6[43] = 99, v6[53] = 4;
  const auto other = capture::parse_segment(Family::kIpv6, v6, false);
  REQUIRE(other.has_value());
  CHECK(to_string(other->tuple) == "[fd00::1]:80 -> [fd00::2]:99");
  for (std::size_t size = 0; size < 54; ++size) {
    CHECK_FALSE(capture::parse_segment(Family::kIpv6, std::span(v6).first(size), true));
  }
}

}  // namespace nmanager::test

// Indexing of the kernel's bytes: malformed bytes are refused, and nothing outside of them is read
// (each attempt uses a heap block of the exact size, so that ASan detects it).
#include "hooks/iptables_legacy/blob.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "hooks/iptables_legacy/codec.h"
#include "hooks/iptables_legacy/family.h"
#include "hooks/iptables_legacy/kernel.h"
#include "hooks/iptables_legacy/observe.h"
#include "hooks/values/hook_number.h"
#include "test/unit/iptables_legacy/sandbox.h"

namespace nmanager::test {
using namespace nmanager::chains;
using namespace nmanager::iptables_legacy;
namespace {

using iptables_legacy::BlobChain;
using iptables_legacy::BlobIndex;
using iptables_legacy::Span;
using iptables_legacy::TableShape;

struct Raw {
  std::vector<std::uint8_t> bytes;
  TableShape shape;
};

Raw raw_of(TableId id) {
  const auto socket = iptables_legacy::TableSocket::open(id.family);
  REQUIRE(socket.ok());
  const auto copy = socket->read(to_string(id.table));
  REQUIRE(copy.ok());
  return {{copy->entries().begin(), copy->entries().end()}, copy->shape()};
}

/// Visits every rule; returns whether the bytes were accepted as a table.
template <class F>
bool visit_all(const Raw& raw) {
  const std::vector<std::uint8_t> exact(raw.bytes);
  const auto blob = BlobIndex<F>::build(exact, raw.shape);
  if (!blob) {
    CHECK(blob.error().kind == ErrorKind::kUnsupported);
    return false;
  }
  const auto visit = [](Span entry, std::string_view jump_to) {
    (void)iptables_legacy::decode_rule(F::kFamily, entry, jump_to);
  };
  for (const BlobChain& chain : blob->user_chains()) blob->for_each_rule(chain, visit);
  for (std::size_t hook = 0; hook < iptables_legacy::kHookCount + 2; ++hook) {
    if (const auto chain = blob->hook_chain(hook)) blob->for_each_rule(*chain, visit);
  }
  return true;
}

bool visit_all(TableId id, const Raw& raw) {
  return iptables_legacy::with_family(id.family, [&]<class F>(F) { return visit_all<F>(raw); });
}

void fill(TableId id) {
  restore(
      id,
      ":NMANAGER_OUTPUT - [0:0]\n:KUBE-SVC-A - [0:0]\n:EMPTY - [0:0]\n-A OUTPUT -j "
      "NMANAGER_OUTPUT\n"
      "-A OUTPUT -j KUBE-SVC-A\n-A NMANAGER_OUTPUT -p tcp -m tcp --dport 80 -m comment --comment "
      "\"a b\" -j KUBE-SVC-A\n-A NMANAGER_OUTPUT -p udp -m multiport --dports 1,2:3 -j RETURN\n"
      "-A NMANAGER_OUTPUT -m addrtype --src-type LOCAL -g EMPTY\n-A KUBE-SVC-A -j MARK --set-xmark "
      "0x1/0x1\n-A NMANAGER_OUTPUT -m conntrack --ctstate INVALID -j RETURN\n");
}

}  // namespace

TEST_CASE("chains, rules and jumps of a real table are found") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  for (const TableId id : kTables) {
    fill(id);
    const Raw raw = raw_of(id);
    iptables_legacy::with_family(id.family, [&]<class F>(F) {
      const auto blob = BlobIndex<F>::build(raw.bytes, raw.shape);
      REQUIRE(blob.ok());
      std::string text;
      const auto print = [&](Span, std::string_view jump_to) {
        text += jump_to.empty() ? " -" : " " + std::string(jump_to);
      };
      for (const BlobChain& chain : blob->user_chains()) {
        text += std::string(chain.name) + ':';
        blob->for_each_rule(chain, print);
        text += '\n';
      }
      text += "OUTPUT:";
      const auto output = blob->hook_chain(hook_number(Hook::kOutput));
      REQUIRE(output.has_value());
      blob->for_each_rule(*output, print);
      CHECK(text ==
            "EMPTY:\nKUBE-SVC-A: -\nNMANAGER_OUTPUT: KUBE-SVC-A - EMPTY -\nOUTPUT: NMANAGER_OUTPUT "
            "KUBE-SVC-A");
      const bool has_prerouting = blob->hook_chain(hook_number(Hook::kPrerouting)).has_value();
      CHECK(has_prerouting == (id.table == Table::kNat));
      CHECK(!blob->hook_chain(iptables_legacy::kHookCount).has_value());
    });
  }
}

TEST_CASE("a table truncated at any byte is refused") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  for (const TableId id : kTables) {
    fill(id);
    const Raw whole = raw_of(id);
    CHECK(visit_all(id, whole));
    for (std::size_t size = 0; size < whole.bytes.size(); ++size) {
      Raw cut = whole;
      cut.bytes.resize(size);
      CHECK(!visit_all(id, cut));
      cut.shape.size = static_cast<std::uint32_t>(size);  // and with a matching shape
      CHECK(!visit_all(id, cut));
    }
    Raw longer = whole;
    longer.bytes.resize(whole.bytes.size() + 8);
    longer.shape.size += 8;
    CHECK(!visit_all(id, longer));
  }
}

TEST_CASE("a shape that does not fit the entries is refused") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  const TableId id = kTables[1];
  fill(id);
  const Raw whole = raw_of(id);
  const auto refuses = [&](auto change) {
    Raw raw = whole;
    change(raw.shape);
    return !visit_all(id, raw);
  };
  CHECK(refuses([](TableShape& shape) { ++shape.num_entries; }));
  CHECK(refuses([](TableShape& shape) { --shape.num_entries; }));
  CHECK(refuses([](TableShape& shape) { shape.hook_entry[0] += 8; }));
  CHECK(refuses([](TableShape& shape) { shape.underflow[0] += 8; }));
  CHECK(refuses([](TableShape& shape) { shape.underflow[3] = 0xfffffff8; }));
  CHECK(refuses([](TableShape& shape) { std::swap(shape.hook_entry[3], shape.underflow[3]); }));
}

TEST_CASE("a corrupted table is refused or read within its bounds") {
  const Sandbox sandbox;
  if (!sandbox.usable()) return;
  std::mt19937 random(20260701);  // fixed, so that a failure is reproducible
  for (const TableId id : kTables) {
    fill(id);
    const Raw whole = raw_of(id);
    std::size_t refused = 0;
    for (int round = 0; round < 20000; ++round) {
      Raw broken = whole;
      for (auto count = 1 + random() % 3; count > 0; --count) {
        broken.bytes[random() % broken.bytes.size()] = static_cast<std::uint8_t>(random());
      }
      if (!visit_all(id, broken)) ++refused;
    }
    CHECK(refused > 0);
  }
}

}  // namespace nmanager::test

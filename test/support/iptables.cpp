#include "test/support/iptables.h"

#include <doctest/doctest.h>

#include <sstream>
#include <utility>

#include "hooks/chains/rule_text.h"

namespace nmanager::test {
using namespace nmanager::chains;

Iptables::Iptables(std::string variant)
    : variant_(std::move(variant)), wait_(variant_ == "legacy" ? " -w 10" : "") {}

std::string Iptables::command(TableId id) const {
  return std::string(iptables_command(id.family)) + "-" + variant_ + wait_ + " -t " +
         std::string(to_string(id.table));
}

std::string Iptables::save(TableId id, bool counters) const {
  const std::string text =
      must(std::string(iptables_command(id.family)) + "-" + variant_ + "-save -t " +
           std::string(to_string(id.table)) + (counters ? " -c" : ""));
  CHECK_MESSAGE(text.find("incompatible") == std::string::npos, text);
  std::istringstream lines(text);
  std::string result;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with('#')) result += line + '\n';
  }
  return result;
}

void Iptables::restore(TableId id, const std::string& lines) const {
  must(std::string(iptables_command(id.family)) + "-" + variant_ + "-restore" + wait_ +
           " --noflush --counters",
       "*" + std::string(to_string(id.table)) + "\n" + lines + "COMMIT\n");
}

Commit apply(ChainBackend& backend, TableId id, const DesiredTable& desired) {
  auto transaction = backend.begin(id);
  if (!transaction) FAIL(transaction.error().message);
  auto commit = (*transaction)->commit(make_plan(id, desired, (*transaction)->observed()));
  if (!commit) FAIL(commit.error().message);
  return *commit;
}

ObservedTable look(ChainBackend& backend, TableId id) {
  auto transaction = backend.begin(id);
  if (!transaction) FAIL(transaction.error().message);
  return (*transaction)->observed();
}

Rule jump_to(const std::string& chain) {
  Rule rule;
  rule.target = Jump{ChainName(chain)};
  return rule;
}

Prefix prefix(const std::string& text) {
  const auto value = Prefix::parse(text);
  REQUIRE(value.has_value());
  return *value;
}

Address address(const std::string& text) {
  const auto value = Address::parse(text);
  REQUIRE(value.has_value());
  return *value;
}

}  // namespace nmanager::test

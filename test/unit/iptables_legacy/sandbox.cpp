#include "test/unit/iptables_legacy/sandbox.h"

#include "hooks/chains/rule_text.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

namespace nmanager::test {
using namespace nmanager::chains;
using namespace nmanager::iptables_legacy;

Sandbox::Sandbox() {
  std::array<char, 64> name{"/tmp/nmanager-legacy-XXXXXX"};
  REQUIRE(mkdtemp(name.data()) != nullptr);
  directory_ = name.data();
  lock_file_ = directory_ + "/xtables.lock";
  REQUIRE(std::filesystem::create_directory(directory_ + "/rival"));
  setenv("XTABLES_LOCKFILE", lock_file_.c_str(), 1);
}

Sandbox::~Sandbox() {
  unsetenv("XTABLES_LOCKFILE");
  std::filesystem::remove_all(directory_);
}

LegacyOptions Sandbox::options() const {
  LegacyOptions options;
  options.lock_file = lock_file_;
  options.create_tables = true;
  return options;
}

std::string lockless(const std::string& command) {
  return "XTABLES_LOCKFILE=$(dirname $XTABLES_LOCKFILE)/rival/lock " + command;
}

std::string iptables(TableId id) {
  return std::string(chains::iptables_command(id.family)) + "-legacy -w 10 -t " +
         std::string(to_string(id.table));
}

std::string save(TableId id, bool counters) {
  const std::string text =
      must(std::string(chains::iptables_command(id.family)) + "-legacy-save -t " +
           std::string(to_string(id.table)) + (counters ? " -c" : ""));
  std::istringstream lines(text);
  std::string result;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with('#')) result += line + '\n';
  }
  return result;
}

void restore(TableId id, const std::string& lines) {
  must(std::string(chains::iptables_command(id.family)) +
           "-legacy-restore -w 10 --noflush --counters",
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

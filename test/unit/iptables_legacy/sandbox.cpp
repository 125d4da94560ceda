#include "test/unit/iptables_legacy/sandbox.h"

#include <doctest/doctest.h>

#include <array>
#include <cstdlib>
#include <filesystem>

namespace nmanager::test {
using namespace nmanager::iptables_legacy;

const Iptables& tool() {
  static const Iptables legacy("legacy");
  return legacy;
}

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

}  // namespace nmanager::test

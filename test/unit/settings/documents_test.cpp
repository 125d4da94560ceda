// The documents describe the program's commands and warnings completely.
#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "plugin/model/cure.h"
#include "plugin/model/skip_reason.h"
#include "plugin/model/warning.h"
#include "plugin/settings/commands.h"

namespace nmanager::test {
namespace {

std::string read(const std::string& name) {
  std::ifstream in(std::string(NMANAGER_SOURCE_DIR) + "/" + name);
  REQUIRE_MESSAGE(in.good(), name);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::size_t times(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

std::string section(const std::string& text, const std::string& title) {
  const auto begin = text.find("\n## " + title + "\n");
  REQUIRE_MESSAGE(begin != std::string::npos, title);
  return text.substr(begin, text.find("\n## ", begin + 1) - begin);
}

}  // namespace

TEST_CASE("the runbook has every warning code, and no other") {
  const std::string table = section(read("docs/runbooks.md"), "NmanagerWarnings");
  for (const WarningCode code : kWarningCodes) {
    const std::string row = "\n| `" + std::string(to_string(code)) + "` | ";
    CHECK_MESSAGE(times(table, row) == 1, row);
  }
  CHECK(times(table, "\n| `") == kWarningCodes.size());
}

TEST_CASE("the schemas have every code and reason") {
  const std::string schema = read("docs/status.schema.json");
  const auto warnings = schema.find("\n  \"warnings\": {");
  REQUIRE(warnings != std::string::npos);
  const std::string status = schema.substr(warnings, schema.find("\n  },", warnings) - warnings);
  for (const WarningCode code : kWarningCodes) {
    CHECK_MESSAGE(times(status, "\"" + std::string(to_string(code)) + "\"") == 1, to_string(code));
  }
  const std::string explain = read("docs/explain.schema.json");
  for (const SkipReason reason : kSkipReasons) {
    CHECK_MESSAGE(times(explain, "\"" + std::string(to_string(reason)) + "\"") == 1,
                  to_string(reason));
  }
}

TEST_CASE("README's table of commands: names, flags, exit codes") {
  const std::string table = section(read("README.md"), "Commands");
  for (const settings::CommandDefinition& command : settings::command_definitions()) {
    const std::string name = "`nmanager " + std::string(command.name);
    const auto at = table.find(name);
    REQUIRE_MESSAGE(at != std::string::npos, name);
    const auto begin = table.rfind('\n', at);
    const std::string row = table.substr(begin, table.find('\n', at) - begin);
    for (const auto& exit_code : command.exit_codes) {
      const int code = exit_code.first;
      if (code == 2 && command.command != Command::kDiagnose) continue;  // below the table
      const auto codes = row.substr(row.rfind("| ", row.size() - 3));
      CHECK_MESSAGE(codes.find(std::to_string(code)) != std::string::npos,
                    row << " lacks " << code);
    }
  }
}

}  // namespace nmanager::test

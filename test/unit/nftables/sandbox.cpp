#include "test/unit/nftables/sandbox.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <regex>
#include <sstream>

namespace nmanager::test {

NftablesBackend native_backend(NftablesOptions options) {
  auto made = make_nftables_backend(options);
  if (!made) FAIL(made.error().message);
  return std::move(made.value());
}

ExternalAddress external(const std::string& external, const std::string& cluster,
                         const std::string& owner) {
  return {*Address::parse(external),
          *Address::parse(cluster),
          owner,
          {{Protocol::kTcp, {80}}, {Protocol::kUdp, {53}}},
          {}};
}

std::vector<Goal> goals(const Wishes& wishes) {
  std::vector<Goal> result;
  for (const TableId id : kTables) {
    TableSpec spec = NoRules{};
    if (id.table == Table::kFilter && wishes.drop) spec = wishes.exemptions;
    if (id.table == Table::kNat && wishes.external) {
      ExternalClusterSettings settings = wishes.settings;
      if (!settings.pod_cidr) {
        settings.pod_cidr =
            Prefix::parse(id.family == Family::kIpv4 ? "10.244.0.0/16" : "fd44::/48");
      }
      spec = external_cluster(id.family, wishes.addresses, settings);
    }
    result.push_back({id, std::make_shared<const TableSpec>(std::move(spec))});
  }
  return result;
}

Outcome sync(Backend& backend, const std::vector<Goal>& goals) {
  Outcome outcome;
  for (const SyncReport& report :
       backend.sync(goals, {.max_attempts = 10, .keep_plan_text = true})) {
    CAPTURE(report.plan_text);
    if (!report.verified) FAIL(report.error->message);
    outcome.committed = outcome.committed || report.committed;
    outcome.findings.insert(outcome.findings.end(), report.findings.begin(), report.findings.end());
  }
  return outcome;
}

namespace {

/// "elements = { b, a }": the kernel shows them in the order of a hash with a random seed.
std::string with_sorted_elements(std::string text) {
  static const std::string kStart = "elements = {";
  for (auto at = text.find(kStart); at != std::string::npos; at = text.find(kStart, at + 1)) {
    const auto first = at + kStart.size();
    const auto end = text.find('}', first);
    std::string list = std::regex_replace(text.substr(first, end - first), std::regex("\\s+"), " ");
    std::vector<std::string> elements;
    for (std::size_t comma = 0; comma != std::string::npos;) {
      const std::size_t next = list.find(',', comma);
      elements.push_back(list.substr(comma, next - comma));
      if (elements.back().starts_with(' ')) elements.back().erase(0, 1);
      if (elements.back().ends_with(' ')) elements.back().pop_back();
      comma = next == std::string::npos ? next : next + 1;
    }
    std::ranges::sort(elements);
    list = " ";
    for (const std::string& element : elements) list += element + ", ";
    text.replace(first, end - first, list);
  }
  return text;
}

}  // namespace

std::string listed() {
  const std::string text = with_sorted_elements(run("nft list table inet nmanager").output);
  return std::regex_replace(text, std::regex("counter packets [0-9]+ bytes [0-9]+"), "counter");
}

std::set<std::string> content() {
  std::istringstream text(listed());
  std::set<std::string> lines;
  std::string chain;
  for (std::string line; std::getline(text, line);) {
    if (line.find("chain ") != std::string::npos || line.find("set ") == 1) chain = line;
    if (line.size() > 2) lines.insert(chain + line);
  }
  return lines;
}

}  // namespace nmanager::test

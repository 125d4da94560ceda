#include "plugin/reconciler/explain.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "hooks/intent/table_spec.h"
#include "plugin/reconciler/wants.h"
#include "plugin/services/qualify.h"

namespace nmanager::reconciler {

namespace {

/// "tcp 80,443 udp 53"
std::string ports_text(const std::vector<ServicePort>& ports, MatchBy match) {
  if (match == MatchBy::kAddress) return "any port";
  std::string text;
  auto last = Protocol::kAny;
  for (const auto& [protocol, port] : ports) {
    if (protocol == last) {
      text += ',';
    } else {
      text += (text.empty() ? "" : " ") + std::string(to_string(protocol)) + ' ';
    }
    text += std::to_string(port);
    last = protocol;
  }
  return text;
}

std::string allowed_text(const std::vector<Prefix>& sources) {
  std::string text;
  for (const Prefix& source : sources) text += (text.empty() ? "" : ", ") + to_string(source);
  return text;
}

std::string for_whom(const Settings& settings, Family family) {
  const auto& cidr = pod_cidr(settings, family).value;
  return cidr ? "pods in " + to_string(*cidr) + " and this node"
              : "this node only, no pod CIDR is known";
}

/// Why the table of the family does not have them in place; empty: it has.
std::string held_up(const State& state, Family family) {
  const auto table = std::ranges::find_if(state.tables, [&](const TableState& one) {
    return one.id == TableId{family, Table::kNat};
  });
  if (table == state.tables.end() || table->want != Want::kRules) return "not wanted here";
  if (table->status.error) return table->status.error->message;
  if (!table->status.note.empty()) return table->status.note;
  return table->status.in_sync && !table->changed_at ? "" : "not verified since the last change";
}

RulesShown shown(const State& state, const ExternalAddress& entry) {
  const Family family = entry.external.family();
  return {to_string(entry.external),
          to_string(entry.cluster),
          ports_text(entry.ports, state.settings.external_match.value),
          allowed_text(entry.allowed_sources),
          for_whom(state.settings, family),
          held_up(state, family)};
}

struct Everybody {
  std::vector<ExternalAddress> given;  // as in the rules
  std::vector<SkippedShown> skipped;
};

using Port = std::pair<Address, ServicePort>;

/// The owners of addresses and ports in the present rules.
class Holders {
 public:
  explicit Holders(const std::vector<ExternalAddress>& given) {
    for (const ExternalAddress& entry : given) {
      counts_[{entry.external, entry.owner}] += entry.ports.size();
      addresses_.try_emplace(entry.external, entry.owner);
      each_port(entry, [&](const Port& port) { ports_.try_emplace(port, entry.owner); });
    }
  }

  [[nodiscard]] bool has_all_of(const ExternalAddress& entry) const {
    const auto count = counts_.find({entry.external, entry.owner});
    return count != counts_.end() && count->second == entry.ports.size();
  }
  /// Another Service with a port of `entry`, or with the address if matched by address.
  [[nodiscard]] std::string other(const ExternalAddress& entry) const {
    std::string found;
    each_port(entry, [&](const Port& port) {
      const auto holder = ports_.find(port);
      const bool another = holder != ports_.end() && holder->second != entry.owner;
      if (found.empty() && another) found = holder->second;
    });
    if (!found.empty() || !addresses_.contains(entry.external)) return found;
    return addresses_.at(entry.external);
  }

 private:
  template <class Each>
  static void each_port(const ExternalAddress& entry, Each each) {
    for (const ServicePort& port : entry.ports) each({entry.external, port});
  }

  std::map<std::pair<Address, std::string>, std::size_t> counts_;  // of ports
  std::map<Address, std::string> addresses_;
  std::map<Port, std::string> ports_;
};

/// Addresses and ports that a Service requests but another one has.
void add_conflicts(const std::vector<ExternalAddress>& asked, Everybody& all) {
  const Holders holders(all.given);
  for (const ExternalAddress& entry : asked) {
    if (holders.has_all_of(entry)) continue;
    all.skipped.push_back(
        {entry.owner, to_string(entry.external), SkipReason::kConflict, holders.other(entry)});
  }
}

Everybody qualify_everybody(const State& state) {
  const services::QualifySettings settings = qualify_settings(state);
  Everybody all;
  std::vector<ExternalAddress> asked;
  for (const Service& service : state.store.services()) {
    services::Qualification one = qualify(service, settings);
    for (const services::Skip& skip : one.skipped) {
      all.skipped.push_back({service.key, skip.address, skip.reason, {}});
    }
    std::ranges::move(one.addresses, std::back_inserter(asked));
  }
  for (const Family family : kFamilies) {
    for (const auto& one : state.store.addresses(family).map()) {
      std::ranges::copy(*one.second, std::back_inserter(all.given));
    }
  }
  add_conflicts(asked, all);
  return all;
}

}  // namespace

Explanation explain(const State& state, const ServiceQuestion& question) {
  Explanation answer;
  answer.question = question;
  if (!services_wanted(state)) {
    answer.nobody = why_no_services(state);
    return answer;
  }
  if (!state.store.listed()) {
    answer.nobody = "the first list of Services is not complete";
    return answer;
  }
  answer.found = question.service.empty() || state.store.services().contains(question.service);
  const Everybody all = qualify_everybody(state);
  const auto meant = [&](const std::string& service) {
    return question.service.empty() || service == question.service;
  };
  for (const SkippedShown& skip : all.skipped) {
    const bool reason = !question.reason || skip.reason == *question.reason;
    if (meant(skip.service) && reason) answer.skipped.push_back(skip);
  }
  if (question.service.empty()) return answer;
  for (const ExternalAddress& entry : all.given) {
    if (entry.owner == question.service) answer.rules.push_back(shown(state, entry));
  }
  return answer;
}

}  // namespace nmanager::reconciler

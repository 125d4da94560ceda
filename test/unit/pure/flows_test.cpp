// Flows that begin anew with an answer that was under way are looked for again.
#include "plugin/reconciler/flows.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "plugin/reconciler/step.h"

namespace nmanager::reconciler {
namespace {

using namespace std::chrono_literals;

UdpRules rules(const std::string& external, const std::string& to = "10.96.0.10") {
  return {{*Address::parse(external), {53, 53}, std::nullopt, true, *Address::parse(to)}};
}

/// A state with a backend, whose actions are answered with addresses of deleted flows.
class Flows {
 public:
  using Deleted = std::vector<std::string>;

  Flows() : state_(initial_state(Settings{}, now_)) { state_.backend.name = "fake"; }

  void commit(const UdpChange& change, const Deleted& deleted) {
    std::vector<Action> actions;
    forget_flows(state_, Family::kIpv4, change, actions);
    answer(actions, deleted);
  }

  /// Lets time pass until the next look. nullopt: none within ten minutes.
  std::optional<std::chrono::seconds> look(const Deleted& deleted) {
    const TimePoint start = now_.mono;
    while (now_.mono < start + 600s) {
      now_.mono = std::max(wake_at(state_, now_.mono), now_.mono + 1ms);
      if (answer(step(state_, {Tick{}}, now_), deleted)) {
        return std::chrono::duration_cast<std::chrono::seconds>(now_.mono - start);
      }
    }
    return std::nullopt;
  }

  ForgetUdpFlows last;
  std::vector<std::string> lines;

 private:
  bool answer(const std::vector<Action>& actions, const Deleted& deleted) {
    bool found = false;
    for (const Action& action : actions) {
      const auto* flows = std::get_if<ForgetUdpFlows>(&action);
      if (flows == nullptr) continue;
      found = true;
      last = *flows;
      FlowsForgotten forgotten{flows->family, flows->change, flows->again};
      for (const std::string& one : deleted) forgotten.deleted->push_back(*Address::parse(one));
      std::vector<Event> events;
      events.emplace_back(std::move(forgotten));
      for (const Action& told : step(state_, std::move(events), now_)) {
        if (const auto* line = std::get_if<LogLine>(&told)) lines.push_back(line->text);
      }
    }
    return found;
  }

  Now now_;
  State state_;
};

}  // namespace

TEST_CASE("after flows were deleted it is looked again while IPVS knows them") {
  Flows flows;
  UdpChange change{{rules("192.0.2.10", "10.96.0.9")}, {rules("192.0.2.10")}};
  change.after.rules.merge(rules("192.0.2.11"));
  flows.commit(change, {"192.0.2.10", "192.0.2.10"});
  CHECK(flows.lines ==
        std::vector<std::string>{
            "IPv4: 2 UDP flows were forgotten, so that changed rules apply to them"});
  std::chrono::seconds together{};
  for (const auto pause : {1s, 2s, 4s, 8s, 16s, 32s, 64s, 128s, 256s}) {
    CHECK(flows.look({"192.0.2.10"}) == pause);
    CHECK(flows.last.change.before.empty());
    CHECK(flows.last.change.after.rules == rules("192.0.2.10"));
    together += pause;
  }
  CHECK(together > 300s);
  CHECK(flows.lines.size() == 10);
  CHECK_FALSE(flows.look({}).has_value());
}

TEST_CASE("it is not looked again if nothing was deleted, or rules were only removed") {
  Flows flows;
  flows.commit({{}, {rules("192.0.2.10")}}, {});
  CHECK_FALSE(flows.look({}).has_value());
  flows.commit({{rules("192.0.2.10")}, {}}, {"192.0.2.10"});
  CHECK_FALSE(flows.look({}).has_value());
}

TEST_CASE("a later change of an address replaces what is looked for") {
  Flows flows;
  flows.commit({{}, {rules("192.0.2.10")}}, {"192.0.2.10"});
  CHECK(flows.look({}) == 1s);
  flows.commit({{}, {rules("192.0.2.11")}}, {"192.0.2.11"});
  flows.commit({{rules("192.0.2.10")}, {}}, {"192.0.2.10"});
  CHECK(flows.look({}) == 1s);
  CHECK(flows.last.change.after.rules == rules("192.0.2.11"));
}

TEST_CASE("a kernel that does not tell its entries is named") {
  std::vector<Action> actions;
  State state = initial_state(Settings{}, {});
  const Error error{ErrorKind::kUnsupported, "no"};
  take_forgotten(state, {Family::kIpv6, {{}, {rules("192.0.2.10")}}, false, error}, {}, actions);
  REQUIRE(actions.size() == 1);
  CHECK(std::get<LogLine>(actions.front()).level == LogLine::Level::kWarning);
  CHECK(std::get<LogLine>(actions.front()).text.ends_with("keep their old translation: no"));
}

}  // namespace nmanager::reconciler

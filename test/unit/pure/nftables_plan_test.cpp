// The native table's plan: from any observed state, one plan leads to the wanted state and does not
// change anything else.
#include "hooks/nftables/plan.h"
#include "hooks/nftables/udp_change.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <utility>

#include "hooks/nftables/text.h"
#include "test/support/sanitized.h"

namespace nmanager::nftables {
namespace {

using Random = std::mt19937;

bool one_in(Random& random, unsigned n) {
  return random() % n == 0;
}

Address address(Family family, unsigned number) {
  const std::string text = family == Family::kIpv4 ? "192.0.2." + std::to_string(number)
                                                   : "2001:db8::" + std::to_string(number);
  return *Address::parse(text);
}

TableSpec random_spec(TableId part, Random& random) {
  if (one_in(random, 4)) return {};
  if (part.table == Table::kFilter) {
    Exemptions exempt;
    if (one_in(random, 2)) exempt.interfaces = {"eth1"};
    if (one_in(random, 2)) exempt.sources = {*Prefix::parse("10.0.0.0/8")};
    const auto action = one_in(random, 3) ? InvalidAction::kCount : InvalidAction::kDrop;
    TableSpec spec;
    if (one_in(random, 2)) spec.families.emplace_back(drop_invalid_input(action, exempt));
    if (one_in(random, 2)) {
      spec.families.emplace_back(
          drop_invalid_forward(action, Prefix(address(part.family, 9), 24), exempt));
    }
    return spec;
  }
  std::vector<ExternalAddress> addresses;
  for (unsigned i = 1; i < 6; ++i) {
    if (one_in(random, 2)) continue;
    addresses.push_back({address(part.family, i),
                         address(part.family, 100 + random() % 2),
                         "ns/s" + std::to_string(i),
                         {{Protocol::kTcp, 80}, {Protocol::kTcp, 443}},
                         {}});
    if (one_in(random, 3)) addresses.back().allowed_sources = {Prefix(address(part.family, 7), 24)};
  }
  ExternalClusterSettings settings;
  if (one_in(random, 2)) settings.pod_cidr = Prefix(address(part.family, 9), 24);
  if (one_in(random, 4)) settings.match = MatchBy::kAddress;
  return external_cluster(part.family, addresses, settings);
}

Wanted random_wanted(Random& random, bool all) {
  Wanted wanted;
  for (const TableId part : kTables) {
    if (!all && one_in(random, 3)) continue;
    wanted[part] = std::make_shared<const Ruleset>(render(part, random_spec(part, random)));
  }
  return wanted;
}

/// A model of the kernel, sufficient for plans.
class Model {
 public:
  Observed table;

  void apply(const Plan& plan) {
    if (!plan.evictions.empty()) REQUIRE(table.exists);
    for (const auto* steps : {&plan.evictions, &plan.steps}) {
      for (const Step& step : *steps) {
        std::visit([&](const auto& object) { change(step.verb, object); }, step.object);
      }
    }
    check_references();
  }

  /// Matches the observed rules against other wanted rules.
  void forget_meaning(const Wanted& wanted) {
    for (auto& [name, chain] : table.chains) {
      for (ObservedRule& rule : chain.rules) {
        const bool known = rule.rule && rule.part && wanted.contains(*rule.part) &&
                           stands_in(*wanted.at(*rule.part), *rule.rule);
        if (!known && rule.rule) hidden_[rule.ref] = *std::exchange(rule.rule, std::nullopt);
        const auto again = hidden_.find(rule.ref);
        if (!rule.rule && again != hidden_.end() && rule.part && wanted.contains(*rule.part) &&
            stands_in(*wanted.at(*rule.part), again->second)) {
          rule.rule = again->second;
        }
      }
    }
  }

  void damage(Random& random) {
    if (one_in(random, 20)) table = {};
    if (!table.exists) return;
    table.dormant = one_in(random, 10);
    table.old_layout = one_in(random, 30);
    if (one_in(random, 6)) table.chains["stranger"].rules.push_back({{}, {}, ++next_, 0});
    if (one_in(random, 6)) table.sets["stranger"].is_map = true;
    if (one_in(random, 6)) table.others.assign(1, {1, "stranger"});
    for (auto& [name, chain] : table.chains) {
      if (one_in(random, 4)) std::ranges::shuffle(chain.rules, random);
      if (one_in(random, 4) && !chain.rules.empty()) chain.rules.pop_back();
      if (one_in(random, 4)) chain.rules.insert(chain.rules.begin(), {{}, {}, ++next_, 0});
      if (one_in(random, 8) && chain.base) chain.drops = true;
      if (one_in(random, 8)) chain.base = BaseChain{Hook::kOutput, Table::kFilter, 7};
    }
    for (auto& [name, set] : table.sets) {
      set.strange = one_in(random, 8);
      set.as_made = !one_in(random, 8);
      if (!one_in(random, 3) || set.elements->empty()) continue;
      Elements fewer = *set.elements;
      fewer.erase(fewer.begin());
      set.elements = std::make_shared<const Elements>(fewer);
    }
  }

 private:
  static bool stands_in(const Ruleset& ruleset, const NativeRule& rule) {
    return std::ranges::any_of(ruleset.chains, [&](const auto& chain) {
      return std::ranges::find(chain.second, rule) != chain.second.end();
    });
  }

  void change(Verb verb, const OwnTable& own) {
    REQUIRE(table.exists == (own.exists || verb == Verb::kDelete));
    if (!own.exists) table = {};
    table.exists = verb == Verb::kAdd;
    table.dormant = false;
  }

  void change(Verb verb, const ChainObject& chain) {
    if (verb == Verb::kAdd) {
      REQUIRE(table.chains.emplace(chain.name, ObservedChain{chain.base, false, {}}).second);
    } else if (verb == Verb::kFlush) {
      table.chains.at(chain.name).rules.clear();
    } else {
      REQUIRE(table.chains.at(chain.name).rules.empty());
      table.chains.erase(chain.name);
    }
  }

  void change(Verb verb, const RuleObject& object) {
    auto& rules = table.chains.at(object.chain).rules;
    auto place = rules.end();
    if (object.ref) {
      place = std::ranges::find(rules, *object.ref, &ObservedRule::ref);
      REQUIRE(place != rules.end());
    }
    if (verb == Verb::kAdd) {
      rules.insert(place, {object.rule, object.rule->part, ++next_, 0});
    } else {
      rules.erase(place);
    }
  }

  void change(Verb verb, const SetObject& set) {
    if (verb == Verb::kAdd) {
      REQUIRE(table.sets.emplace(set.name, ObservedSet{}).second);
      table.sets.at(set.name).is_map = set.is_map;
    } else if (verb == Verb::kFlush) {
      table.sets.at(set.name).elements = std::make_shared<const Elements>();
      table.sets.at(set.name).strange = false;
    } else {
      REQUIRE(table.sets.erase(set.name) == 1);
    }
  }

  void change(Verb verb, const ElementsObject& some) {
    ObservedSet& set = table.sets.at(name_of(some.set));
    Elements elements = *set.elements;
    for (const Element& element : *some.elements) {
      const auto found = std::ranges::find(elements, element);
      REQUIRE((found == elements.end()) == (verb == Verb::kAdd));
      if (verb == Verb::kAdd) {
        elements.push_back(element);
      } else {
        elements.erase(found);
      }
    }
    std::ranges::sort(elements);
    set.elements = std::make_shared<const Elements>(elements);
  }

  void change(Verb verb, const OtherObject& object) {
    REQUIRE(verb == Verb::kDelete);
    REQUIRE(std::erase_if(table.others, [&](const OtherObject& other) {
              return other.name == object.name && other.type == object.type;
            }) == 1);
  }

  /// What the kernel would refuse: a rule that names a chain or a set that does not exist.
  void check_references() const {
    for (const auto& [name, chain] : table.chains) {
      for (const ObservedRule& rule : chain.rules) {
        if (!rule.rule) continue;
        if (rule.rule->among) REQUIRE(table.sets.contains(name_of(*rule.rule->among)));
        if (const auto* jump = std::get_if<Jump>(&rule.rule->verdict)) {
          REQUIRE(table.chains.contains(jump->chain.str()));
        }
      }
    }
  }

  RuleRef next_ = 0;
  std::map<RuleRef, NativeRule> hidden_;
};

std::vector<RuleRef> refs_of(const Observed& table, const Wanted& left_out) {
  std::vector<RuleRef> refs;
  for (const auto& [name, chain] : table.chains) {
    for (const ObservedRule& rule : chain.rules) {
      if (rule.part && !left_out.contains(*rule.part)) refs.push_back(rule.ref);
    }
  }
  return refs;
}

}  // namespace

TEST_CASE("native plan: apply(plan(wanted, observed)) == wanted, for random tables") {
  for (int seed = 0; seed < test::random_cases(4000); ++seed) {
    CAPTURE(seed);
    Random random(static_cast<unsigned>(seed));
    Model model;
    for (int round = 0; round < 4; ++round) {
      const Wanted wanted = random_wanted(random, one_in(random, 2));
      if (wanted.empty()) continue;
      model.forget_meaning(wanted);
      const bool chains_are_right = std::ranges::none_of(model.table.chains, [](const auto& chain) {
        return chain.first.starts_with("NMANAGER") &&
               (chain.second.drops || chain.second.base != base_of(chain.first));
      });
      const auto left_alone = refs_of(model.table, wanted);
      const bool keeps = chains_are_right && !model.table.old_layout;
      const Plan plan = make_plan(wanted, model.table);
      CAPTURE(to_text(plan));
      CHECK(plan.empty() == plan.findings.empty());
      CHECK(plan.empty() == to_text(plan).empty());
      model.apply(plan);
      CHECK(make_plan(wanted, model.table).empty());
      if (keeps) CHECK(refs_of(model.table, wanted) == left_alone);
      model.damage(random);
    }
  }
}

TEST_CASE("native plan: the same elements are not compared, and a kept rule stays") {
  const TableId part{Family::kIpv4, Table::kNat};
  const TableSpec spec = external_cluster(Family::kIpv4,
                                          {{address(Family::kIpv4, 1),
                                            address(Family::kIpv4, 100),
                                            "ns/a",
                                            {{Protocol::kUdp, 53}},
                                            {}}},
                                          {});
  const Wanted wanted{{part, std::make_shared<const Ruleset>(render(part, spec))}};
  Model model;
  const Plan first = make_plan(wanted, model.table);
  CHECK(first.table == TableFate::kMade);
  const Goal goal{part, std::make_shared<const TableSpec>(spec)};
  const UdpChange change = udp_change(goal, {wanted, model.table}, {}, first);
  CHECK(change.before.empty());
  CHECK(change.after.all == *external_of(spec));
  model.apply(first);
  for (auto& [name, set] : model.table.sets) {
    set.elements = wanted.at(part)->sets.at(*set_of(name));
  }
  CHECK(make_plan(wanted, model.table).empty());
  const Wanted nothing{{part, std::make_shared<const Ruleset>()}};
  const Plan last = make_plan(nothing, model.table);
  CHECK(last.table == TableFate::kDeleted);
  const Goal none{part, std::make_shared<const TableSpec>()};
  const Comparison compared{nothing, model.table};
  CHECK(udp_change(none, compared, {}, last).before.rules.size() == 2);  // any source
  const Standing standing{{{Family::kIpv4, SetKind::kCluster, MatchBy::kPort}, goal.spec}};
  CHECK(udp_change(none, compared, standing, last).before.all == *external_of(spec));
}

TEST_CASE("native plan: an undecided part stays as it is, other parts do not") {
  const auto wanted = [](InvalidAction for_ipv4, bool ipv6) {
    Wanted result;
    for (const Family family : kFamilies) {
      const TableId part{family, Table::kFilter};
      TableSpec spec;
      if (family == Family::kIpv4 || ipv6) {
        spec.families.emplace_back(
            drop_invalid_forward(family == Family::kIpv4 ? for_ipv4 : InvalidAction::kDrop,
                                 Prefix(address(family, 9), 24), {}));
      }
      result[part] = std::make_shared<const Ruleset>(render(part, spec));
    }
    return result;
  };
  const Wanted both = wanted(InvalidAction::kDrop, true);
  Model model;
  model.apply(make_plan(both, model.table));
  const auto rules = [&](Family family) {
    std::size_t count = 0;
    for (const auto& [name, chain] : model.table.chains) {
      for (const ObservedRule& rule : chain.rules) count += rule.part->family == family;
    }
    return count;
  };
  const std::size_t all = rules(Family::kIpv4);
  REQUIRE(all == 4);
  const Wanted left = wanted(InvalidAction::kLeave, false);
  model.forget_meaning(left);
  model.apply(make_plan(left, model.table));
  CHECK(rules(Family::kIpv4) == all);
  CHECK(rules(Family::kIpv6) == 0);
  CHECK(make_plan(left, model.table).empty());
  const Wanted ipv4 = wanted(InvalidAction::kDrop, false);
  model.forget_meaning(ipv4);
  CHECK(make_plan(ipv4, model.table).empty());
  const Wanted nothing{{{Family::kIpv4, Table::kFilter}, std::make_shared<const Ruleset>()},
                       {{Family::kIpv6, Table::kFilter}, std::make_shared<const Ruleset>()}};
  model.apply(make_plan(nothing, model.table));
  CHECK_FALSE(model.table.exists);
}

TEST_CASE("names of sets contain all their properties") {
  for (const Family family : kFamilies) {
    for (const SetKind kind : {SetKind::kExternal, SetKind::kRestricted, SetKind::kCluster}) {
      for (const MatchBy by : {MatchBy::kPort, MatchBy::kAddress}) {
        const SetId id{family, kind, by};
        CHECK(set_of(name_of(id)) == id);
        CHECK(name_of(id).size() < 32);  // NFT_SET_MAXNAMELEN of old kernels
      }
    }
  }
  CHECK_FALSE(set_of("external").has_value());
}

}  // namespace nmanager::nftables

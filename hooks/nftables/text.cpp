#include "hooks/nftables/text.h"

#include <cstdio>
#include <optional>

namespace nmanager::nftables {

namespace {

const std::string kTable = "inet " + std::string(kTableName);

std::string ip(Family family) {
  return family == Family::kIpv4 ? "ip" : "ip6";
}

/// The packet's fields that are looked for in a set.
std::string key_text(const SetId& id) {
  const std::string of = ip(id.family);
  std::string text = id.kind == SetKind::kRestricted ? of + " saddr . " : "";
  text += of + " daddr";
  return id.by == MatchBy::kPort ? text + " . meta l4proto . th dport" : text;
}

std::string type_text(const SetId& id) {
  const std::string address = id.family == Family::kIpv4 ? "ipv4_addr" : "ipv6_addr";
  std::string text = "type ";
  if (id.kind == SetKind::kRestricted) text += address + " . ";
  text += address;
  if (id.by == MatchBy::kPort) text += " . inet_proto . inet_service";
  if (id.kind == SetKind::kCluster) text += " : " + address;
  text += ";";
  if (id.kind == SetKind::kRestricted) text += " flags interval;";
  return text;
}

std::string hexadecimal(std::uint32_t number) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08x", number);
  return text;
}

std::string quoted(const std::string& text) {
  return '"' + text + '"';
}

std::string prefix_text(const std::string& field, const Prefix& prefix) {
  const bool host = prefix.length() == address_bits(prefix.family());
  return field + " " + (host ? to_string(prefix.address()) : to_string(prefix)) + " ";
}

struct VerdictText {
  std::string operator()(const Drop&) const { return "counter drop"; }
  std::string operator()(const Return&) const { return "return"; }
  std::string operator()(const Jump& jump) const {
    return (jump.go_to ? "goto " : "jump ") + jump.chain.str();
  }
  std::string operator()(const Translate& translate) const {
    return "dnat " + ip(translate.map.family) + " to " + key_text(translate.map) + " map @" +
           name_of(translate.map);
  }
};

std::string set_word(const std::optional<SetId>& id) {
  return id && id->kind == SetKind::kCluster ? "map" : "set";
}

void add_elements(std::string& text, std::string_view verb, const SetId& id,
                  const Elements& elements) {
  if (elements.empty()) return;
  text += std::string(verb) + " element " + kTable + " " + name_of(id) + " {\n";
  for (const Element& element : elements) text += "  " + to_text(id, element) + ",\n";
  text += "}\n";
}

void add_removals(std::string& text, const Plan& plan) {
  for (const RuleEdits& edits : plan.rules) {
    for (const auto& step : edits.steps) {
      if (const auto* remove = std::get_if<Remove>(&step)) {
        text += "delete rule " + kTable + " " + edits.chain + " handle " +
                std::to_string(remove->ref) + "\n";
      }
    }
  }
  const auto gone = [](Make make) { return make == Make::kDelete || make == Make::kReplace; };
  for (const ChainPlan& chain : plan.chains) {
    if (gone(chain.make)) text += "flush chain " + kTable + " " + chain.chain + "\n";
  }
  for (const ChainPlan& chain : plan.chains) {
    if (gone(chain.make)) text += "delete chain " + kTable + " " + chain.chain + "\n";
  }
  for (const SetPlan& set : plan.sets) {
    if (gone(set.make)) text += "delete " + set_word(set.id) + " " + kTable + " " + set.name + "\n";
    if (set.flush) text += "flush " + set_word(set.id) + " " + kTable + " " + set.name + "\n";
  }
}

void add_sets(std::string& text, const Plan& plan) {
  for (const SetPlan& set : plan.sets) {
    if (!set.id || set.make == Make::kDelete) continue;
    if (set.make != Make::kStay) {
      text += "add " + set_word(set.id) + " " + kTable + " " + set.name + " { " +
              type_text(*set.id) + " }\n";
    }
    add_elements(text, "delete", *set.id, set.remove);
    add_elements(text, "add", *set.id, set.add);
  }
}

void add_chains(std::string& text, const Plan& plan) {
  for (const ChainPlan& chain : plan.chains) {
    if (chain.make == Make::kDelete) continue;
    text += "add chain " + kTable + " " + chain.chain;
    if (chain.base) {
      text += " { type " + std::string(to_string(chain.base->type)) + " hook " +
              (chain.base->hook == Hook::kPrerouting ? "prerouting"
               : chain.base->hook == Hook::kInput    ? "input"
                                                     : "output") +
              " priority " + std::to_string(chain.base->priority) + "; policy accept; }";
    }
    text += "\n";
  }
}

void add_rules(std::string& text, const RuleEdits& edits) {
  std::optional<RuleRef> before;
  std::string added;
  for (auto step = edits.steps.rbegin(); step != edits.steps.rend(); ++step) {
    if (const auto* keep = std::get_if<Keep>(&*step)) before = keep->ref;
    const auto* insert = std::get_if<InsertOf<Rule>>(&*step);
    if (insert == nullptr) continue;
    const std::string place =
        before ? "insert rule " + kTable + " " + edits.chain + " handle " + std::to_string(*before)
               : "add rule " + kTable + " " + edits.chain;
    added.insert(0, place + " " + to_text(insert->rule) + "\n");
  }
  text += added;
}

}  // namespace

std::string to_text(const Rule& rule) {
  const std::string of = ip(rule.part.family);
  std::string text =
      std::string("meta nfproto ") + (rule.part.family == Family::kIpv4 ? "ipv4 " : "ipv6 ");
  if (!rule.in_interface.empty()) {
    std::string name = rule.in_interface;
    if (name.back() == '+') name.back() = '*';
    text += "iifname " + quoted(name) + " ";
  }
  if (rule.source) text += prefix_text(of + " saddr", *rule.source);
  if (rule.destination) text += prefix_text(of + " daddr", *rule.destination);
  if (rule.state_invalid) text += "ct state invalid ";
  if (rule.among) text += key_text(*rule.among) + " @" + name_of(*rule.among) + " ";
  if (rule.source_is_local) text += "fib saddr type local ";
  if (rule.mark) {
    text += "meta mark set meta mark & " + hexadecimal(~rule.mark->mask) + " ^ " +
            hexadecimal(rule.mark->value) + " ";
  }
  return text + std::visit(VerdictText{}, rule.verdict) + " comment " +
         quoted(to_string(rule.part));
}

std::string to_text(const SetId& id, const Element& element) {
  std::string text = id.kind == SetKind::kRestricted ? to_string(element.source) + " . " : "";
  text += to_string(element.external);
  if (id.by == MatchBy::kPort) {
    text += " . " + std::string(to_string(element.protocol)) + " . " + std::to_string(element.port);
  }
  if (!element.owner.empty()) text += " comment " + quoted(element.owner);
  if (id.kind == SetKind::kCluster) text += " : " + to_string(element.to);
  return text;
}

std::string to_text(const Plan& plan) {
  if (plan.empty()) return {};
  std::string text;
  if (plan.delete_table || plan.replace_table) text += "delete table " + kTable + "\n";
  if (plan.delete_table) return text;
  if (plan.create_table) {
    text += "add table " + kTable + " { comment " + quoted(std::string(kTableComment)) + "; }\n";
  }
  if (plan.wake_table) text += "add table " + kTable + "\n";
  add_removals(text, plan);
  add_sets(text, plan);
  add_chains(text, plan);
  for (const RuleEdits& edits : plan.rules) add_rules(text, edits);
  return text;
}

}  // namespace nmanager::nftables

#include "hooks/nftables/text.h"

#include <algorithm>
#include <array>
#include <optional>

#include "hooks/values/text.h"

namespace nmanager::nftables {

namespace {

const std::string kTable = "inet " + std::string(kTableName);

std::string ip(Family family) {
  return family == Family::kIpv4 ? "ip" : "ip6";
}

/// The packet's fields for a lookup in a set.
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

std::string quoted(const std::string& text) {
  return '"' + text + '"';
}

std::string prefix_text(const std::string& field, const Prefix& prefix) {
  const bool host = prefix.length() == address_bits(prefix.family());
  return field + " " + (host ? to_string(prefix.address()) : to_string(prefix)) + " ";
}

/// As numbers: their names in nft depend on its version.
std::string flags_text(const TcpFlags& flags) {
  return "tcp flags & 0x" + hexadecimal(flags.mask) + " == 0x" + hexadecimal(flags.value) + " ";
}

struct VerdictText {
  std::string operator()(const Drop&) const { return "drop"; }
  std::string operator()(const Return&) const { return "return"; }
  std::string operator()(const Jump& jump) const {
    return (jump.go_to ? "goto " : "jump ") + jump.chain.str();
  }
  std::string operator()(const Translate& translate) const {
    return "dnat " + ip(translate.map.family) + " to " + key_text(translate.map) + " map @" +
           name_of(translate.map);
  }
};

std::string_view word_of(Verb verb) {
  return verb == Verb::kAdd ? "add " : verb == Verb::kFlush ? "flush " : "delete ";
}

/// nft's names of the objects NFT_OBJECT_*, which begin at 1.
std::string_view word_of(const OtherObject& object) {
  constexpr std::array<std::string_view, 10> kWords{
      "counter", "quota",      "ct helper", "limit",          "connlimit",
      "tunnel",  "ct timeout", "secmark",   "ct expectation", "synproxy"};
  if (object.type == OtherObject::kFlowtable) return "flowtable";
  return object.type - 1 < kWords.size() ? kWords[object.type - 1] : "object";
}

/// One step as a line of nft, or as several.
class StepText {
 public:
  StepText(std::string& text, Verb verb) : text_(text), verb_(verb) {}

  void operator()(const OwnTable& table) const {
    text_ += std::string(word_of(verb_)) + "table " + kTable;
    if (verb_ == Verb::kAdd && !table.exists) {
      text_ += " { comment " + quoted(std::string(kTableComment)) + "; }";
    }
    text_ += "\n";
  }
  void operator()(const ChainObject& chain) const {
    begin("chain", chain.name);
    if (chain.base) {
      std::string hook(to_string(chain.base->hook));
      std::ranges::transform(hook, hook.begin(),
                             [](char c) { return static_cast<char>(c | 0x20); });
      text_ += " { type " + std::string(to_string(chain.base->type)) + " hook " + hook +
               " priority " + std::to_string(chain.base->priority) + "; policy accept; }";
    }
    text_ += "\n";
  }
  void operator()(const RuleObject& rule) const {
    const bool inserts = verb_ == Verb::kAdd && rule.ref;
    text_ += inserts ? "insert " : word_of(verb_);
    text_ += "rule " + kTable + " " + rule.chain;
    if (rule.ref) text_ += " handle " + std::to_string(*rule.ref);
    if (rule.rule) text_ += " " + to_text(*rule.rule);
    text_ += "\n";
  }
  void operator()(const SetObject& set) const {
    begin(set.is_map ? "map" : "set", set.name);
    if (verb_ == Verb::kAdd) text_ += " { " + type_text(*set_of(set.name)) + " }";
    text_ += "\n";
  }
  void operator()(const ElementsObject& some) const {
    begin("element", name_of(some.set));
    text_ += " {\n";
    for (const Element& one : *some.elements) text_ += "  " + to_text(some.set, one) + ",\n";
    text_ += "}\n";
  }
  void operator()(const OtherObject& object) const {
    begin(word_of(object), object.name);
    text_ += "\n";
  }

 private:
  void begin(std::string_view what, const std::string& name) const {
    text_ += std::string(word_of(verb_)) + std::string(what) + " " + kTable + " " + name;
  }

  std::string& text_;
  Verb verb_;
};

}  // namespace

std::string to_text(const NativeRule& rule) {
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
  if (rule.tcp_flags.mask != 0) text += flags_text(rule.tcp_flags);
  if (rule.among) text += key_text(*rule.among) + " @" + name_of(*rule.among) + " ";
  if (rule.source_is_local) text += "fib saddr type local ";
  if (rule.mark) {
    text += "meta mark set meta mark & 0x" + hexadecimal(~rule.mark->mask, 8) + " ^ 0x" +
            hexadecimal(rule.mark->value, 8) + " ";
  }
  if (rule.counts) text += "counter ";
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

std::string to_text(const Step& step) {
  std::string text;
  std::visit(StepText(text, step.verb), step.object);
  return text;
}

std::string to_text(const Plan& plan) {
  std::string text;
  for (const auto* steps : {&plan.evictions, &plan.steps}) {
    for (const Step& step : *steps) text += to_text(step);
  }
  return text;
}

}  // namespace nmanager::nftables

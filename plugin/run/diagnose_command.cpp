#include "plugin/run/diagnose_command.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "plugin/diagnose/verdict.h"
#include "plugin/reconciler/drops.h"
#include "plugin/reconciler/step.h"
#include "plugin/reconciler/wants.h"
#include "plugin/run/backends.h"
#include "plugin/run/commands.h"
#include "plugin/run/connect_probe.h"
#include "plugin/run/observe.h"
#include "plugin/run/surroundings.h"
#include "plugin/run/terminal.h"
#include "plugin/services/store.h"

namespace nmanager::run {

namespace {

using diagnose::Evidence;

constexpr std::chrono::seconds kConnectPatience{2};
constexpr std::size_t kMostProbes = 512;

/// The settings with every cure on: the diagnosis shows whether the problems exist, regardless of
/// which cures are turned on.
Settings with_every_cure(Settings own) {
  own.drop_invalid_input.value = Switch::kOn;
  own.external_cluster.value = Switch::kAuto;
  return own;
}

diagnose::AtRisk at_risk(const ExternalAddress& entry) {
  diagnose::AtRisk risk{entry.owner, entry.external, entry.cluster, std::nullopt};
  const auto tcp = std::ranges::find(entry.ports, Protocol::kTcp, &ServicePort::protocol);
  if (tcp != entry.ports.end()) risk.tcp_port = tcp->port;
  return risk;
}

/// Services are needed only in IPVS mode.
void look_at_services(reconciler::State& state, const World& world, Evidence& evidence) {
  if (!services_wanted(state)) return;
  auto services = services_of(state.settings, world);
  if (!services) {
    evidence.no_services = services.error().message;
    return;
  }
  evidence.services = services->services.size();
  std::vector<Event> events;
  events.emplace_back(ApiEvent(std::move(*services)));
  take_all(state, std::move(events), world.process.now());
  const services::QualifySettings settings = qualify_settings(state);
  for (const Service& service : state.store.services()) {
    for (const ExternalAddress& entry : qualify(service, settings).addresses) {
      evidence.at_risk.push_back(at_risk(entry));
    }
  }
}

/// True if tables of that kind need no change; nullopt: could not be read.
std::optional<bool> in_place(reconciler::State& state, Backend& backend, Table kind) {
  std::vector<Goal> goals;
  for (reconciler::TableState& table : state.tables) {
    if (table.id.table == kind && table.want == reconciler::Want::kRules) {
      goals.push_back({table.id, spec_of(state, table)});
    }
  }
  if (goals.empty()) return std::nullopt;
  const PlanText plan = backend.plan_text(goals);
  if (!plan.text.empty()) return false;
  return plan.problems.empty() ? std::optional(true) : std::nullopt;
}

/// Determines which of the two drops are in place; leaves unset what could not be read.
void look_at_drops(reconciler::State& state, Backend& backend, Evidence& evidence) {
  struct Drops {
    bool input;
    bool forward;
  };
  for (const Drops drops : {Drops{true, true}, Drops{true, false}, Drops{false, true}}) {
    state.settings.drop_invalid_input.value = drops.input ? Switch::kOn : Switch::kOff;
    state.settings.drop_invalid_forward.value = drops.forward ? Switch::kOn : Switch::kOff;
    for (reconciler::TableState& table : state.tables) table.spec_stale = true;
    const bool possible = std::ranges::any_of(kFamilies, [&](Family family) {
      return decide_forward(state, family).action == InvalidAction::kDrop;
    });
    if (drops.forward && !possible) continue;
    const auto found = in_place(state, backend, Table::kFilter);
    if (!found) return;
    evidence.input_drop = *found && drops.input;
    evidence.forward_drop = *found && drops.forward;
    if (*found) return;
  }
}

void look_at_rules(reconciler::State& state, const World& world, Evidence& evidence) {
  Backends backends(state.settings, world.kernel, TableCreation::kNever);
  (void)backends.look(world.process.now().mono, state.mode.mode, {});
  Backend* const backend = backends.backend();
  if (backend == nullptr) return;
  evidence.external_cluster = in_place(state, *backend, Table::kNat);
  look_at_drops(state, *backend, evidence);
}

void probe(Evidence& evidence) {
  std::vector<ConnectTarget> external;
  std::vector<ConnectTarget> cluster;
  for (const diagnose::AtRisk& risk : evidence.at_risk) {
    if (!risk.tcp_port || external.size() == kMostProbes) continue;
    external.push_back({risk.external, *risk.tcp_port});
    cluster.push_back({risk.cluster, *risk.tcp_port});
    evidence.probes.push_back({risk, false, {}, false});
  }
  const auto outcomes = connect_to_each(external, kConnectPatience);
  const auto others = connect_to_each(cluster, kConnectPatience);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    evidence.probes[i].how = outcomes[i];
    evidence.probes[i].reached = outcomes[i] == kConnected;
    evidence.probes[i].cluster_reached = others[i] == kConnected;
  }
  evidence.probed = !external.empty();
}

Evidence look(const Settings& own, const World& world) {
  Evidence evidence;
  Surroundings around(with_every_cure(own), world);
  const Now now = world.process.now();
  reconciler::State state = reconciler::initial_state(around.settings(), now);
  around.ask_once();
  (void)step(state, around.look(std::nullopt), now);
  evidence.mode = state.mode.mode;
  evidence.mode_note = state.mode.note;
  evidence.proxy_version = around.kube_proxy_version().value_or("");
  for (const auto* cidr :
       {&around.settings().pod_cidr_ipv4.value, &around.settings().pod_cidr_ipv6.value}) {
    if (*cidr) evidence.pod_cidrs.push_back(**cidr);
  }
  read_conntrack_settings(evidence.conntrack);
  look_at_services(state, world, evidence);
  look_at_rules(state, world, evidence);
  if (own.options.probe) probe(evidence);
  return evidence;
}

}  // namespace

int diagnose_command(const Settings& own, const World& world) {
  for (const Warning& note : own.notes) say(note.text);
  Evidence evidence = look(own, world);
  if (at_a_terminal()) say("watching this node; Ctrl-C ends it sooner");
  watch_resets(world.process, own.options.watch_for, evidence);
  const diagnose::Diagnosis diagnosis = diagnose::diagnose(evidence);
  print(own.options.output == OutputFormat::kJson
            ? render_json(diagnosis, evidence)
            : render(diagnosis, evidence, Paint(wants_colour())));
  return diagnosis.exit_code;
}

}  // namespace nmanager::run

#include "plugin/diagnose/verdict.h"

#include <algorithm>
#include <chrono>

#include "plugin/model/snapshot.h"

namespace nmanager::diagnose {

namespace {

/// Examples of one kind; the others are only counted.
constexpr std::size_t kMostShown = 20;

Problem& end(Problem& problem, Verdict verdict, std::string why, std::string advice = {}) {
  problem.verdict = verdict;
  problem.why = std::move(why);
  problem.advice = std::move(advice);
  return problem;
}

/// "1 connection was", "2 connections were".
std::string counted(std::size_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? " was" : "s were");
}

std::string who(const Evidence& evidence, const Address& address) {
  const bool pod = std::ranges::any_of(evidence.pod_cidrs,
                                       [&](const Prefix& cidr) { return cidr.contains(address); });
  return pod ? "pod " : "";
}

std::string seconds(const Evidence& evidence) {
  const auto time = std::chrono::duration_cast<std::chrono::seconds>(evidence.to - evidence.from);
  return std::to_string(time.count()) + " s";
}

std::string not_seen_in(const Evidence& evidence) {
  std::string text = "not seen in " + seconds(evidence);
  if (evidence.conntrack.invalid) {
    text += ", in which conntrack called " + std::to_string(*evidence.conntrack.invalid) +
            " packets INVALID";
  }
  return text;
}

template <class Lines, class Make>
void add_lines(Problem& problem, const Lines& lines, Make make) {
  for (const auto& line : lines) {
    if (problem.evidence.size() == kMostShown) {
      problem.evidence.push_back("and " + std::to_string(lines.size() - kMostShown) + " more");
      return;
    }
    problem.evidence.push_back(make(line));
  }
}

/// Checks the requirements for observing both kinds of resets; false: not met.
bool watched(const Evidence& evidence, Problem& problem) {
  const std::string& why =
      evidence.no_capture.empty() ? evidence.no_conntrack : evidence.no_capture;
  if (why.empty()) return true;
  end(problem, Verdict::kUnknown,
      evidence.no_capture.empty() ? counted(evidence.resets_seen, "RST") +
                                        " seen, but could not be held against conntrack: " + why
                                  : "RSTs could not be watched: " + why);
  return false;
}

Problem resets_by_node(const Evidence& evidence) {
  Problem problem{1, "connections of pods to the outside are reset"};
  add_lines(problem, evidence.by_node, [&](const ResetHit& hit) {
    return who(evidence, hit.flow.original.source) + to_string(hit.flow.original) +
           " was reset by this node at " + utc(hit.when);
  });
  if (!evidence.by_node.empty()) {
    return end(problem, Verdict::kYes,
               counted(evidence.by_node.size(), "connection") + " reset by this node in " +
                   seconds(evidence),
               "run nmanager on this node: RULE_DROP_INVALID_INPUT_ENABLE=true, the default");
  }
  if (evidence.conntrack.be_liberal.value_or(false)) {
    return end(problem, Verdict::kNo,
               "net.netfilter.nf_conntrack_tcp_be_liberal is set: segments out of the window are "
               "not INVALID");
  }
  if (evidence.input_drop.value_or(false)) {
    return end(problem, Verdict::kNo, "nmanager's rule drops INVALID packets in INPUT");
  }
  if (!watched(evidence, problem)) return problem;
  return end(problem, Verdict::kPossible,
             not_seen_in(evidence) + "; nothing on this node prevents it");
}

Problem unreachable(const Evidence& evidence) {
  Problem problem{2, "external IPs cannot be reached from inside"};
  if (!evidence.mode) {
    return end(problem, Verdict::kUnknown,
               "kube-proxy's mode is not known" +
                   (evidence.mode_note.empty() ? std::string() : ": " + evidence.mode_note));
  }
  if (*evidence.mode != ProxyMode::kIpvs) {
    return end(problem, Verdict::kNo,
               "kube-proxy runs in " + std::string(to_string(*evidence.mode)) + " mode");
  }
  if (!evidence.no_services.empty()) {
    return end(problem, Verdict::kUnknown, "Services could not be listed: " + evidence.no_services);
  }
  if (evidence.at_risk.empty()) {
    return end(problem, Verdict::kNo,
               "none of " + std::to_string(evidence.services) +
                   " Services has an external IP with externalTrafficPolicy: Local");
  }
  const std::string cure = "run nmanager on this node: RULE_EXTERNAL_CLUSTER_ENABLE=auto";
  if (!evidence.probed) {
    add_lines(problem, evidence.at_risk,
              [](const AtRisk& one) { return one.service + ", " + to_string(one.external); });
    if (evidence.external_cluster.value_or(false)) {
      return end(problem, Verdict::kNo, "nmanager's rules for these Services are in place");
    }
    return end(problem, Verdict::kPossible,
               std::to_string(evidence.at_risk.size()) +
                   " external addresses may be out of reach from nodes without an endpoint",
               "--probe connects to each from here");
  }
  std::size_t hit = 0;
  std::size_t doubtful = 0;
  for (const ProbeOutcome& probe : evidence.probes) {
    if (probe.reached) continue;
    (probe.cluster_reached ? hit : doubtful) += 1;
  }
  add_lines(problem, evidence.probes, [](const ProbeOutcome& probe) {
    std::string text = probe.target.service + ", " + to_string(probe.target.external);
    if (probe.target.tcp_port) text += " port " + std::to_string(*probe.target.tcp_port);
    text += ": " + probe.how;
    if (probe.reached) return text;
    return text + (probe.cluster_reached ? ", but its ClusterIP answers"
                                         : ", and its ClusterIP does not answer either");
  });
  if (hit > 0) {
    return end(problem, Verdict::kYes,
               std::to_string(hit) + " of " + std::to_string(evidence.probes.size()) +
                   " external addresses cannot be reached from this node",
               cure);
  }
  if (doubtful > 0) {
    return end(problem, Verdict::kPossible,
               std::to_string(doubtful) +
                   " external addresses cannot be reached, but their ClusterIPs cannot either");
  }
  return end(problem, Verdict::kNo,
             "each external address was reached from this node; pods of kube-proxy before 1.21 may "
             "differ");
}

Problem resets_by_client(const Evidence& evidence) {
  Problem problem{3, "connections of clients to Services are reset"};
  add_lines(problem, evidence.by_client, [&](const ResetHit& hit) {
    return "client " + socket_text(hit.flow.original.source, hit.flow.original.source_port) +
           " of " + socket_text(hit.flow.original.destination, hit.flow.original.destination_port) +
           " reset " + who(evidence, hit.flow.reply.source) +
           socket_text(hit.flow.reply.source, hit.flow.reply.source_port) + " at " + utc(hit.when);
  });
  if (!evidence.by_client.empty()) {
    return end(problem, Verdict::kYes,
               counted(evidence.by_client.size(), "connection") +
                   " reset by clients that saw a pod's own address, in " + seconds(evidence),
               "run nmanager on this node: RULE_DROP_INVALID_FORWARD_ENABLE=auto, with the pod "
               "CIDRs known");
  }
  if (!evidence.untranslated.empty()) {
    add_lines(problem, evidence.untranslated, [&](const ResetHit& hit) {
      return who(evidence, hit.flow.reply.source) + to_string(hit.flow.reply) +
             " left this node untranslated at " + utc(hit.when);
    });
    return end(problem, Verdict::kPossible,
               "answers of " + std::to_string(evidence.untranslated.size()) +
                   " connections left with the pod's own address; no client was seen to reset one "
                   "in " +
                   seconds(evidence));
  }
  if (evidence.conntrack.be_liberal.value_or(false)) {
    return end(problem, Verdict::kNo,
               "net.netfilter.nf_conntrack_tcp_be_liberal is set: segments out of the window are "
               "not INVALID");
  }
  if (evidence.mode == ProxyMode::kIptables) {
    return end(problem, Verdict::kNo,
               "kube-proxy in iptables mode drops such packets itself, since 1.15");
  }
  if (evidence.mode == ProxyMode::kIpvs) {
    return end(problem, Verdict::kNo, "IPVS translates answers from its own table");
  }
  if (evidence.forward_drop.value_or(false)) {
    return end(problem, Verdict::kNo, "nmanager's rule drops INVALID packets of pods in FORWARD");
  }
  if (!watched(evidence, problem)) return problem;
  return end(problem, Verdict::kPossible,
             not_seen_in(evidence) +
                 (evidence.mode ? "; kube-proxy in nftables mode does not prevent it"
                                : "; kube-proxy's mode is not known, and in nftables mode it does "
                                  "not prevent it"));
}

void note_conntrack(const ConntrackSeen& seen, std::vector<std::string>& notes) {
  if (seen.tcp_loose && !*seen.tcp_loose) {
    notes.emplace_back(
        "nf_conntrack_tcp_loose is 0: a connection whose conntrack entry is lost (flushed, or the "
        "table was full) is INVALID from then on; with a rule that drops INVALID packets it hangs, "
        "where without one it is reset or, if it is not translated, goes on");
  }
  constexpr std::uint64_t kPercent = 100;
  constexpr std::uint64_t kNearlyFull = 90;
  if (seen.entries && seen.limit && *seen.limit > 0) {
    const std::uint64_t full = *seen.entries * kPercent / *seen.limit;
    if (full >= kNearlyFull) {
      notes.push_back("conntrack is " + std::to_string(full) + " % full (" +
                      std::to_string(*seen.entries) + " of " + std::to_string(*seen.limit) +
                      "): connections lose their entries, and their packets become INVALID");
    }
  }
  if (seen.dropped.value_or(0) > 0 || seen.early_drops.value_or(0) > 0) {
    notes.push_back("conntrack had no room while it was watched: " +
                    std::to_string(seen.dropped.value_or(0)) + " packets dropped, " +
                    std::to_string(seen.early_drops.value_or(0)) + " entries thrown out");
  }
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kYes:
      return "yes";
    case Verdict::kPossible:
      return "possible";
    case Verdict::kNo:
      return "no";
    case Verdict::kUnknown:
      return "unknown";
  }
  return "?";
}

Diagnosis diagnose(const Evidence& evidence) {
  Diagnosis diagnosis;
  diagnosis.problems = {resets_by_node(evidence), unreachable(evidence),
                        resets_by_client(evidence)};
  note_conntrack(evidence.conntrack, diagnosis.notes);
  if (evidence.resets_lost > 0) {
    diagnosis.notes.push_back(std::to_string(evidence.resets_lost) +
                              " RSTs came faster than they could be read");
  }
  if (!evidence.no_capture.empty()) {
    diagnosis.not_seen.push_back("RSTs: " + evidence.no_capture);
  }
  if (!evidence.no_conntrack.empty()) {
    diagnosis.not_seen.push_back("conntrack: " + evidence.no_conntrack);
  }
  if (!evidence.no_services.empty()) {
    diagnosis.not_seen.push_back("Services: " + evidence.no_services);
  }
  if (!evidence.input_drop && !evidence.no_conntrack.empty()) {
    diagnosis.not_seen.emplace_back("which rules of nmanager are in place");
  }
  const auto any = [&](Verdict verdict) {
    return std::ranges::any_of(diagnosis.problems,
                               [&](const Problem& problem) { return problem.verdict == verdict; });
  };
  diagnosis.exit_code = any(Verdict::kYes) ? 1 : any(Verdict::kUnknown) ? 2 : 0;
  return diagnosis;
}

}  // namespace nmanager::diagnose

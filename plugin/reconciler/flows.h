// UDP flows that began before a change of their rules: which are deleted, and when it is looked
// again whether the rules apply to them. Pure.
//
// An endpoint's packet that comes after its flow was deleted begins the flow anew, without the
// rules: IPVS still knows the client, and its entry matches the client's packets as replies
// (measured on Linux 6.1). So it is looked again for as long as IPVS knows an idle flow.
#pragma once

#include <vector>

#include "plugin/model/event.h"
#include "plugin/reconciler/action.h"
#include "plugin/reconciler/state.h"

namespace nmanager::reconciler {

/// The first pause, longer than most answers take, and the last one. Each is twice the one before,
/// so that they are longer together than the 300 s of IPVS (ip_vs_proto_udp.c, udp_timeouts).
inline constexpr Millis kFlowsAgain{1'000};
inline constexpr Millis kFlowsLast{256'000};

/// A commit has changed these rules.
void forget_flows(State& state, Family family, const UdpChange& change,
                  std::vector<Action>& actions);
void take_forgotten(State& state, const FlowsForgotten& forgotten, Now now,
                    std::vector<Action>& actions);
/// Looks again when it is due.
void forget_flows_again(State& state, TimePoint now, std::vector<Action>& actions);

}  // namespace nmanager::reconciler

// Derives the goal of each table from settings, mode and Services. Pure.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "plugin/reconciler/state.h"

namespace nmanager::reconciler {

/// Takes some of the changes of Services that wait; returns of how many external addresses.
std::size_t take_services(State& state);

/// Sets `want` of every table from the settings, the mode and whether Services are listed.
/// A table whose want changes is due and its spec is stale.
void update_wants(State& state);

/// Settles what was taken of Services, by the present settings. A nat table is due if it has other
/// addresses than follow from them; `taken`: see take_services().
void note_services(State& state, std::size_t taken);

/// What `table` shall do.
[[nodiscard]] std::shared_ptr<const TableSpec> spec_of(State& state, TableState& table);

/// The Services with rules.
[[nodiscard]] services::QualifySettings qualify_settings(const State& state);

/// A large change is being written.
[[nodiscard]] bool in_parts(const State& state);

/// Every table in use is decided and as wanted.
[[nodiscard]] bool all_stand(const State& state);

/// The tables whose rules are decided and in place.
[[nodiscard]] std::vector<TableId> settled_tables(const State& state);

/// The tables of a backend that must have no rules of ours: those of a family that is left out by a
/// setting, and unless it is the backend in use, those whose rules are `in_place` in that one.
[[nodiscard]] std::vector<TableId> tables_to_clear(const State& state, bool in_use,
                                                   std::span<const TableId> in_place);

/// A table has changed and its rules were not verified since then.
[[nodiscard]] bool has_unverified_change(const State& state);

/// Why the backend in use does not work here, one line; empty: it works, or may work later.
[[nodiscard]] std::string trouble_of_backend(const State& state);
/// At least one table was verified through the backend in use.
[[nodiscard]] bool has_worked(const State& state);

/// Services have to be listed and watched: rules may depend on them. Not while kube-proxy's mode is
/// unknown.
[[nodiscard]] bool services_wanted(const State& state);
/// The reason as text; only if not services_wanted().
[[nodiscard]] std::string why_no_services(const State& state);

/// True while the external-cluster rules are wanted by mode and settings.
[[nodiscard]] bool external_cluster_on(const State& state);

}  // namespace nmanager::reconciler

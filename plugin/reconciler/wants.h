// From settings, mode and Services to what is wanted of each table. Pure.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "plugin/reconciler/state.h"

namespace nmanager::reconciler {

/// Sets `want` of every table from the settings, the mode and whether Services are listed.
/// A table whose want changes is due and its spec is stale.
void update_wants(State& state);

/// Takes in what has become of Services; a nat table whose addresses change by it is due.
void update_services(State& state);

/// What `table` shall do.
[[nodiscard]] std::shared_ptr<const TableSpec> spec_of(State& state, TableState& table);

/// Which Services get rules.
[[nodiscard]] services::QualifySettings qualify_settings(const State& state);

/// Every table that may be kept here is decided upon, and is as wanted.
[[nodiscard]] bool all_stand(const State& state);

/// The tables whose rules are decided upon and in place.
[[nodiscard]] std::vector<TableId> settled_tables(const State& state);

/// A change was seen in a table whose rules were not verified since.
[[nodiscard]] bool has_unverified_change(const State& state);

/// Why the backend in use is of no use here, one line; empty: it works, or may work later.
[[nodiscard]] std::string trouble_of_backend(const State& state);
/// Some table was verified through the backend in use.
[[nodiscard]] bool has_worked(const State& state);

/// Services have to be listed and watched: rules may follow from them. While kube-proxy's mode is
/// not known they do not.
[[nodiscard]] bool services_wanted(const State& state);
/// Why not, for people; of use unless services_wanted().
[[nodiscard]] std::string why_no_services(const State& state);

/// True while the external-cluster rules are wanted by mode and settings.
[[nodiscard]] bool external_cluster_on(const State& state);

}  // namespace nmanager::reconciler

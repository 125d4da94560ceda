// Services from a file, for `nmanager plan --services`.
#pragma once

#include <string>
#include <vector>

#include "hooks/values/result.h"
#include "plugin/model/api_event.h"

namespace nmanager::run {

/// Reads output of `kubectl get services -A -o json` or `-o yaml`: a ServiceList or a List, as JSON
/// or YAML; "-" is standard input. `skipped` gets a line for each skipped object. kAbsent, kDenied,
/// kBadInput: the message begins with the name.
[[nodiscard]] Result<ServicesListed> read_services(const std::string& path,
                                                   std::vector<std::string>& skipped);

}  // namespace nmanager::run

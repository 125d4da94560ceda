// Services out of a file, for `nmanager plan --services`.
#pragma once

#include <string>
#include <vector>

#include "hooks/values/result.h"
#include "plugin/model/api_event.h"

namespace nmanager::run {

/// What `kubectl get services -A -o json` or `-o yaml` prints: a ServiceList or a List, as JSON or
/// YAML; "-" is standard input. `skipped` gets a line for each object that is left out. kAbsent,
/// kDenied, kBadInput: the message begins with the name.
[[nodiscard]] Result<ServicesListed> read_services(const std::string& path,
                                                   std::vector<std::string>& skipped);

}  // namespace nmanager::run

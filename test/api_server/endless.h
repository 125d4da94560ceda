// Unbounded answers, as a broken server, or a wrong one in front of it, may send (case A17).
#pragma once

#include <string>
#include <vector>

#include "test/api_server/api_server.h"

namespace nmanager::test {

struct EndlessAnswer {
  const char* name;
  Fault fault;       // of one list; on kPlain: of a server that knows no streaming lists
  const char* told;  // part of the client's error
};

[[nodiscard]] std::vector<EndlessAnswer> endless_answers();

}  // namespace nmanager::test

// Answers without end: what a broken server, or a front that is none, may send (case A17).
#pragma once

#include <string>
#include <vector>

#include "test/api_server/api_server.h"

namespace nmanager::test {

struct EndlessAnswer {
  const char* name;
  Fault fault;       // of one list; on kPlain: of a server that knows no streaming lists
  const char* told;  // part of what the client says of it
};

[[nodiscard]] std::vector<EndlessAnswer> endless_answers();

}  // namespace nmanager::test

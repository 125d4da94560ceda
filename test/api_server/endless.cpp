#include "test/api_server/endless.h"

namespace nmanager::test {

std::vector<EndlessAnswer> endless_answers() {
  using Kind = Fault::Kind;
  const std::string filler(std::size_t{64} << 10, 'x');
  const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n";
  std::string undecodable;
  std::string events;
  for (int i = 0; i < 1000; ++i) {
    undecodable += R"({"type":"ADDED","object":{"metadata":{}}})"
                   "\n";
    events += R"({"type":"ADDED","object":{"metadata":{"namespace":"default","name":"s"},)"
              R"("spec":{"clusterIP":"10.96.0.1","ports":[{"port":80}]}}})"
              "\n";
  }
  std::vector<EndlessAnswer> answers{
      {"a header line", {.kind = Kind::kRaw, .body = head + "X: ", .repeat = filler}, "header"},
      {"header lines",
       {.kind = Kind::kRaw, .body = head, .repeat = "X: y\r\n" + filler + "\r\n"},
       "header"},
      {"a chunk",
       {.kind = Kind::kRaw, .body = head + "\r\n7fffffff\r\n", .repeat = filler},
       "one chunk"},
      {"the length of a chunk", {.kind = Kind::kRaw, .body = head + "\r\n", .repeat = filler}, ""},
      {"an event", {.kind = Kind::kStream, .body = "{", .repeat = filler}, "longer than"},
      {"events of a list", {.kind = Kind::kStream, .repeat = events}, "unbounded"},
      {"what cannot be read", {.kind = Kind::kStream, .repeat = undecodable}, "unbounded"},
      {"a list's item",
       {.kind = Kind::kStream,
        .on = Fault::On::kPlain,
        .body = R"({"items":[{"a":")",
        .repeat = filler},
       "too large"}};
  for (EndlessAnswer& answer : answers) {
    if (answer.fault.on == Fault::On::kAny) answer.fault.on = Fault::On::kList;
  }
  return answers;
}

}  // namespace nmanager::test

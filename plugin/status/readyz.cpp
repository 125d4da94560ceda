#include "plugin/status/render.h"

#include "hooks/values/text.h"

namespace nmanager::status {

namespace {

std::string_view mark(const Check& check) {
  if (check.ok) return "[+]";
  return check.informational ? "[i]" : "[-]";
}

}  // namespace

std::string render_readyz(const Snapshot& snapshot, bool verbose) {
  const bool ready = snapshot.ready();
  if (ready && !verbose) return "ok";
  std::string text;
  for (const Check& check : snapshot.checks) {
    text += std::string(mark(check)) + check.name + (check.ok ? " ok" : " failed");
    if (!check.detail.empty()) text += ": " + one_line(check.detail);
    text += '\n';
  }
  for (const std::string& warning : snapshot.warnings) {
    text += "[i]warning: " + one_line(warning) + '\n';
  }
  return text + "readyz check " + (ready ? "passed" : "failed") + '\n';
}

}  // namespace nmanager::status

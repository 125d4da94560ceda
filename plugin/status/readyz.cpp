#include "plugin/status/render.h"

namespace nmanager::status {

namespace {

/// One check, one line, whatever its detail holds.
std::string one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return text;
}

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

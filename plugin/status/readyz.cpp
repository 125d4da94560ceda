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
  const bool passes = snapshot.ready() || snapshot.ready_when_alive;
  if (passes && !verbose) return "ok";
  std::string text;
  if (const Check* missing = snapshot.waits_for_kube_proxy()) {
    text += "waiting for kube-proxy, and for nothing else: " + one_line(missing->detail) + '\n';
  }
  for (const Check& check : snapshot.checks) {
    text += std::string(mark(check)) + check.name + (check.ok ? " ok" : " failed");
    if (!check.detail.empty()) text += ": " + one_line(check.detail);
    text += '\n';
  }
  for (const Warning& warning : snapshot.warnings) {
    text +=
        "[i]warning " + std::string(to_string(warning.code)) + ": " + one_line(warning.text) + '\n';
  }
  if (passes && !snapshot.ready()) {
    return text + "readyz check passed: --ready-when alive, the checks above do not decide\n";
  }
  return text + "readyz check " + (passes ? "passed" : "failed") + '\n';
}

}  // namespace nmanager::status

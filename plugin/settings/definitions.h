// The table of settings. Flags, environment, --help, the start line, `status` and the completeness
// check of the tests are generated from it. Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/values/result.h"
#include "plugin/model/settings.h"
#include "plugin/model/snapshot.h"

namespace nmanager::settings {

struct SettingDefinition {
  std::string_view flag;         // without the dashes
  std::string_view env;          // name in the environment
  std::string values;            // allowed values, as text: "auto|true|false", "CIDR"
  std::string_view help;         // one sentence
  bool from_kube_proxy = false;  // kube-proxy's files may set it
  /// Parses `text` into the settings; after an error they are unchanged. The error's message is
  /// written after the setting's name.
  std::function<Status(std::string_view text, Origin origin, Settings& settings)> set;
  std::function<std::string(const Settings&)> show;  // "" = nothing set
  std::function<Origin(const Settings&)> origin;
};

/// In display order. Constant.
[[nodiscard]] const std::vector<SettingDefinition>& setting_definitions();

/// Every setting with its effective value and its source.
[[nodiscard]] std::vector<SettingShown> effective_settings(const Settings& settings);

/// The same as one line for the log: "listen=127.0.0.1:10261 (default), ...".
[[nodiscard]] std::string settings_line(const Settings& settings);

}  // namespace nmanager::settings

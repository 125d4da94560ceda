// The one table that says what a setting is. Flags, environment, --help, the start line, `status`
// and the check for completeness in the tests are all made from it. Pure.
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
  std::string values;            // what may be given, for people: "auto|true|false", "CIDR"
  std::string_view help;         // one sentence
  bool from_kube_proxy = false;  // kube-proxy's files may tell it
  /// Reads `text` into the settings; after an error they are unchanged. The error's message fits
  /// behind the setting's name.
  std::function<Status(std::string_view text, Origin origin, Settings& settings)> set;
  std::function<std::string(const Settings&)> show;  // "" = nothing set
  std::function<Origin(const Settings&)> origin;
};

/// In the order in which people read them. Constant.
[[nodiscard]] const std::vector<SettingDefinition>& setting_definitions();

/// Every setting with its effective value and where that came from.
[[nodiscard]] std::vector<SettingShown> effective_settings(const Settings& settings);

/// The same as one line for the log: "listen=127.0.0.1:10261 (default), ...".
[[nodiscard]] std::string settings_line(const Settings& settings);

}  // namespace nmanager::settings

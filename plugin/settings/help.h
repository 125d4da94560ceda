// Help, manual page and completions, generated from the tables of commands and settings. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "plugin/model/paint.h"
#include "plugin/settings/commands.h"

namespace nmanager::settings {

/// Commands, and every setting with its environment variable and its default.
[[nodiscard]] std::string help_text(const Paint& paint);
/// Of one command.
[[nodiscard]] std::string help_text(const CommandDefinition& command, const Paint& paint);

/// nmanager(8) as troff of the man macros (groff_man(7)).
[[nodiscard]] std::string manual_page(std::string_view version);

/// For "bash", "zsh" or "fish"; nullopt: another shell.
[[nodiscard]] std::optional<std::string> completion(std::string_view shell);

}  // namespace nmanager::settings

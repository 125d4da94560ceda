// `nmanager status -o json`: docs/status.schema.json.
#include "plugin/status/render.h"

#include <nlohmann/json.hpp>

namespace nmanager::status {

namespace {

using Json = nlohmann::ordered_json;

Json time_or_null(const std::optional<WallTime>& time) {
  return time ? Json(utc(*time)) : Json(nullptr);
}

std::string_view family_word(Family family) {
  return family == Family::kIpv4 ? "ipv4" : "ipv6";
}

Json table_json(const TableStatus& table) {
  Json json{{"family", family_word(table.id.family)},
            {"table", to_string(table.id.table)},
            {"wanted", table.wanted},
            {"in_sync", table.in_sync},
            {"contested", table.contested},
            {"rules", table.rules},
            {"verified_at", time_or_null(table.verified_at)},
            {"error", table.error ? Json(table.error->message) : Json(nullptr)},
            {"note", table.note},
            {"rival", table.rival},
            {"syncs", table.syncs},
            {"repairs", table.repairs},
            {"failures", table.failures}};
  Json causes = Json::object();
  for (const auto& [cause, count] : table.repairs_by_cause) {
    causes[std::string(to_string(cause))] = count;
  }
  json["repair_causes"] = std::move(causes);
  return json;
}

Json kube_proxy_json(const Snapshot& snapshot) {
  Json families = Json::array();
  for (const KubeStatus& kube : snapshot.kube) {
    families.push_back({{"family", family_word(kube.family)},
                        {"chains_present", kube.present},
                        {"unreadable", kube.unreadable},
                        {"resyncs", kube.resyncs},
                        {"last_resync", time_or_null(kube.last_resync)},
                        {"verified_after", time_or_null(kube.verified_after)}});
  }
  return {
      {"mode", snapshot.proxy_mode},          {"mode_from", snapshot.proxy_mode_origin},
      {"version", snapshot.proxy_version},    {"state", to_string(snapshot.proxy_health)},
      {"detail", snapshot.proxy_health_text}, {"last_sync", time_or_null(snapshot.proxy_last_sync)},
      {"families", std::move(families)}};
}

Json services_json(const Snapshot& snapshot) {
  Json skipped = Json::object();
  for (const auto& [reason, count] : snapshot.skipped) skipped[reason] = count;
  return {{"wanted", snapshot.services_wanted},
          {"why_not", snapshot.services_wanted ? "" : snapshot.why_no_services},
          {"listed", snapshot.services_listed},
          {"stale", snapshot.services_stale},
          {"known", snapshot.services},
          {"with_rules", snapshot.services_with_rules},
          {"undecodable", snapshot.undecodable},
          {"skipped", std::move(skipped)}};
}

template <class Items, class Make>
Json array_of(const Items& items, Make make) {
  Json json = Json::array();
  for (const auto& item : items) json.push_back(make(item));
  return json;
}

std::string text_of(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

Json rules_json(const RulesShown& rules) {
  return {{"external", rules.external}, {"cluster", rules.cluster}, {"ports", rules.ports},
          {"allowed", rules.allowed},   {"for", rules.for_whom},    {"held_up", rules.held_up}};
}

Json skipped_json(const SkippedShown& skip) {
  return {{"service", skip.service},
          {"address", skip.address},
          {"reason", to_string(skip.reason)},
          {"in_words", in_words(skip.reason)},
          {"other", skip.other}};
}

}  // namespace

std::string render_status_json(const Snapshot& snapshot) {
  Json json{{"ready", snapshot.ready()},
            {"schema", 1},
            {"version", snapshot.version},
            {"made_at", utc(snapshot.made_at)},
            {"started_at", utc(snapshot.started_at)},
            {"backend", snapshot.backend},
            {"waits_for_kube_proxy", snapshot.waits_for_kube_proxy() != nullptr},
            {"ready_when", snapshot.ready_when_alive ? "alive" : "rules"}};
  json["cures"] = array_of(snapshot.cures, [](const Cure& cure) {
    return Json{{"problem", cure.problem},
                {"name", cure.name},
                {"state", to_string(cure.state)},
                {"why", cure.why},
                {"did", cure.did}};
  });
  json["checks"] = array_of(snapshot.checks, [](const Check& check) {
    return Json{{"name", check.name},
                {"ok", check.ok},
                {"decides", !check.informational},
                {"detail", check.detail}};
  });
  json["warnings"] = array_of(snapshot.warnings, [](const Warning& warning) {
    return Json{{"code", to_string(warning.code)}, {"text", warning.text}};
  });
  json["tables"] = array_of(snapshot.tables, table_json);
  json["kube_proxy"] = kube_proxy_json(snapshot);
  json["services"] = services_json(snapshot);
  json["api_server"] = {{"server", snapshot.api.server},
                        {"last_error", snapshot.api.last_error},
                        {"last_word", time_or_null(snapshot.api.last_word)}};
  json["settings"] = array_of(snapshot.settings, [](const SettingShown& setting) {
    return Json{{"name", setting.name}, {"value", setting.value}, {"origin", setting.origin}};
  });
  return text_of(json);
}

std::string render_explanation_json(const Explanation& answer) {
  Json json{{"has_rules", answer.has_rules()},
            {"schema", 1},
            {"service", answer.question.service},
            {"found", answer.found},
            {"nobody", answer.nobody}};
  json["rules"] = array_of(answer.rules, rules_json);
  json["skipped"] = array_of(answer.skipped, skipped_json);
  return text_of(json);
}

}  // namespace nmanager::status

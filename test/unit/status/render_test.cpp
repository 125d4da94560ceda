// The texts, as functions of a snapshot.
#include "plugin/status/render.h"

#include <doctest/doctest.h>

#include <map>
#include <set>
#include <sstream>

#include "hooks/values/text.h"
#include "plugin/status/log.h"
#include "plugin/status/respond.h"
#include "test/unit/status/sample.h"

namespace nmanager::test {
using namespace nmanager::status;
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("ready when every deciding check is ok") {
  Snapshot snapshot = sample_snapshot();
  CHECK_FALSE(snapshot.ready());
  snapshot.checks[1].ok = true;
  CHECK(snapshot.ready());  // the third one is for information only
  CHECK(render_readyz(snapshot, false) == "ok");
  snapshot.checks.clear();
  CHECK_FALSE(snapshot.ready());
}

TEST_CASE("readyz lists each check as kube-apiserver does") {
  const std::string text = render_readyz(sample_snapshot(), true);
  CHECK(contains(text, "[+]services-listed ok: 10 Services\n"));
  CHECK(contains(text, "[-]table-ipv6-filter failed: the kernel lacks\n"));
  CHECK(contains(text, "[i]api-server"));
  CHECK(contains(text, "something to know"));
  CHECK(contains(text, "readyz check failed"));
  CHECK(render_readyz(sample_snapshot(), false) == text);  // not ready: always in full
}

TEST_CASE("status: the cures, problems, the rest, and settings on request") {
  const Snapshot snapshot = sample_snapshot();
  const std::string text = render_status(snapshot, snapshot.made_at, {.settings = true});
  CHECK(
      text.starts_with("problem 1, resets: FAILING, 77 dropped: the kernel lacks\n"
                       "problem 2, external IPs: ON, 4 of 10 Services have rules\n"
                       "problem 3, more resets: NOT NEEDED: IPVS mode\n"
                       "not ready\n"
                       "  table-ipv6-filter: the kernel lacks\n"
                       "warning pod_cidr_missing: something to know\n"));
  for (const char* part :
       {"1.2.3", "iptables-nft", "12 rules", "the kernel lacks the match \"conntrack\"",
        "IPv6 INPUT: on (by setting), 77 dropped\n",
        "IPv6 FORWARD: counting (by setting), 7 counted, 5 of them TCP without RST\n", "mode ipvs",
        "10, 4 of them with rules", "policy-cluster", "default/web 192.0.2.1", "HTTP 403",
        "removed in 1.43", "when it synced last cannot be read",
        "as it reports: its sync at 2026-09-21T14:18:11.000Z was verified 7 ms later",
        "backend = auto (default)"}) {
    CHECK_MESSAGE(contains(text, part), part << " in\n" << text);
  }
  const std::string brief = render_status(snapshot, snapshot.made_at, {});
  CHECK_FALSE(contains(brief, "backend = auto"));
  CHECK_FALSE(contains(brief, "\x1b"));
  const std::string coloured = render_status(snapshot, snapshot.made_at, {.colour = true});
  CHECK(contains(coloured, "\x1b[1;31mFAILING\x1b[0m"));
}

TEST_CASE("if only kube-proxy's sync is missing, this is shown first") {
  Snapshot snapshot = sample_snapshot();
  CHECK(snapshot.waits_for_kube_proxy() == nullptr);  // a table fails too
  snapshot.checks = {{"services-listed", true, false, ""},
                     {"kube-proxy-synced", false, false, "no KUBE-SERVICES chain in nat"},
                     {"kube-proxy", false, true, "down"}};
  REQUIRE(snapshot.waits_for_kube_proxy() != nullptr);
  CHECK(render_readyz(snapshot, false)
            .starts_with("waiting for kube-proxy, and for nothing else: no KUBE-SERVICES"));
  CHECK(contains(render_status(snapshot, snapshot.made_at, {}),
                 "not ready, only because kube-proxy has not synced: no KUBE-SERVICES"));
  CHECK(contains(render_status_json(snapshot), "\"waits_for_kube_proxy\": true"));
}

TEST_CASE("--ready-when alive: readyz passes, and shows the checks that it ignores") {
  Snapshot snapshot = sample_snapshot();
  snapshot.ready_when_alive = true;
  CHECK(render_readyz(snapshot, false) == "ok");
  const std::string verbose = render_readyz(snapshot, true);
  CHECK(contains(verbose, "[-]table-ipv6-filter failed"));
  CHECK(contains(verbose, "readyz check passed: --ready-when alive"));
  // All other reports are unchanged.
  CHECK(contains(render_metrics(snapshot, {}), "nmanager_ready 0\n"));
  CHECK(contains(render_status(snapshot, snapshot.made_at, {}), "not ready\n"));
  const StatusBoard::SteadyTime start{std::chrono::seconds(100)};
  StatusBoard board(start);
  board.publish(std::make_shared<const Snapshot>(snapshot));
  CHECK(respond("GET", "/readyz", board, start).status == 200);
  CHECK(respond("GET", "/readyz", board, start + kTurnLimit * 2).status == 503);  // not alive
}

TEST_CASE("JSON begins with readiness, and is valid for any text") {
  Snapshot snapshot = sample_snapshot();
  snapshot.checks[1].detail = "\xff\"\n";
  const std::string json = render_status_json(snapshot);
  CHECK(json.starts_with("{\n  \"ready\": false,\n  \"schema\": 1,"));
  CHECK(contains(json, "\"code\": \"pod_cidr_missing\""));
  CHECK(contains(json, "\\\"\\n"));
}

TEST_CASE("questions about Services are checked before they are passed on") {
  CHECK_FALSE(explain_request("/status?service=a/b"));
  const auto one = explain_request("/explain?service=default/web&json");
  REQUIRE((one && *one));
  CHECK((*one)->question.service == "default/web");
  CHECK((*one)->json);
  const auto skipped = explain_request("/explain?skipped=conflict&colour");
  REQUIRE((skipped && *skipped));
  CHECK((*skipped)->question.reason == SkipReason::kConflict);
  CHECK((*skipped)->colour);
  for (const char* bad :
       {"/explain", "/explain?", "/explain?service=", "/explain?service=web",
        "/explain?service=A/b", "/explain?service=a/b/c", "/explain?service=a%2Fb",
        "/explain?skipped=moon", "/explain?service=a/b&skipped"}) {
    const auto request = explain_request(bad);
    REQUIRE_MESSAGE(request.has_value(), bad);
    CHECK_FALSE_MESSAGE(request->ok(), bad);
  }
}

TEST_CASE("an explanation as text") {
  Explanation answer;
  answer.question.service = "default/web";
  const auto text = [&] { return render_explanation(answer, Paint(false)); };
  answer.found = false;
  CHECK(text() == "default/web has no rules: there is no such Service\n");
  answer.found = true;
  answer.skipped = {{"default/web", "192.0.2.1", SkipReason::kConflict, "default/first"}};
  CHECK(text() ==
        "default/web has no rules: 192.0.2.1: another Service has the address, protocol and port "
        "already (default/first)\n");
  answer.rules = {
      {"192.0.2.2", "10.96.0.1", "tcp 80,443", "", "pods in 10.244.0.0/16 and this node", ""}};
  CHECK(
      text().starts_with("default/web has rules:\n  192.0.2.2, tcp 80,443 -> 10.96.0.1, for pods "
                         "in 10.244.0.0/16 and this node\nand not for:\n  192.0.2.1: another"));
  answer.nobody = "kube-proxy runs in iptables mode";
  CHECK(text() == "default/web has no rules on this node: kube-proxy runs in iptables mode\n");
  answer.nobody.clear();
  answer.question.service.clear();
  CHECK(text() ==
        "conflict: another Service has the address, protocol and port already\n"
        "  default/web 192.0.2.1, which default/first has\n");
  CHECK(render_explanation_json(answer).starts_with("{\n  \"has_rules\": true,"));
}

TEST_CASE("metrics are Prometheus text with correct values") {
  const std::string text = render_metrics(sample_snapshot(), {1.5, 2.5, 3, 4, 5, 6});
  std::map<std::string, std::string> types;
  std::set<std::string> samples;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string hash, word, name, type;
    if (line.starts_with("# TYPE")) {
      words >> hash >> word >> name >> type;
      CHECK(types.emplace(name, type).second);  // one family, one header
    } else if (!line.starts_with('#') && !line.empty()) {
      CHECK_MESSAGE(samples.insert(line.substr(0, line.rfind(' '))).second, line);
    }
  }
  for (const auto& family : types) {
    const auto& name = family.first;
    const auto& type = family.second;
    CHECK_MESSAGE((type == "counter") == name.ends_with("_total"), name);
    CHECK_MESSAGE(contains(text, "# HELP " + name + " "), name);
  }
  for (const char* line :
       {"nmanager_ready 0\n",
        "nmanager_table_repairs_total{family=\"ipv4\",table=\"nat\"} 2\n",
        "nmanager_table_in_sync{family=\"ipv6\",table=\"filter\"} 0\n",
        "nmanager_invalid_packets_dropped_total{family=\"ipv6\",hook=\"INPUT\",reset=\"unknown\"} "
        "77\n",
        "nmanager_invalid_packets_dropped_total{family=\"ipv6\",hook=\"FORWARD\",reset="
        "\"possible\"} "
        "0\n",
        "nmanager_invalid_packets_counted_total{family=\"ipv6\",hook=\"FORWARD\",reset="
        "\"possible\"} "
        "5\n",
        "nmanager_invalid_packets_counted_total{family=\"ipv6\",hook=\"FORWARD\",reset=\"no\"} 2\n",
        "nmanager_table_repair_latency_seconds_count{family=\"ipv4\",table=\"nat\"} 2\n",
        "nmanager_table_repair_latency_seconds_bucket{family=\"ipv4\",table=\"nat\",le=\"0.001\"} "
        "1\n",
        "nmanager_table_commit_duration_seconds_bucket{family=\"ipv4\",table=\"nat\",le=\"10\"} "
        "0\n",
        "nmanager_kube_proxy_state{state=\"metrics_unreadable\"} 1\n",
        "nmanager_kube_proxy_state{state=\"down\"} 0\n",
        "nmanager_kube_proxy_sync_verified_lag_seconds{family=\"ipv4\"} 0.007\n",
        "nmanager_table_lock_wait_seconds_bucket{family=\"ipv4\",table=\"nat\",le=\"0.025\"} 1\n",
        "nmanager_table_lock_wait_seconds_count{family=\"ipv6\",table=\"filter\"} 0\n",
        "nmanager_table_repair_causes_total{family=\"ipv6\",table=\"filter\",cause=\"rule_order\"} "
        "0\n",
        "nmanager_services_skipped{reason=\"conflict\"} 0\n",
        "nmanager_services_skipped{reason=\"api_server\"} 0\n",
        "nmanager_warnings{code=\"pod_cidr_missing\"} 1\n",
        "nmanager_warnings{code=\"backend\"} 0\n",
        "nmanager_services 10\n",
        "nmanager_kube_resyncs_total{family=\"ipv4\"} 4\n",
        "process_resident_memory_bytes 3\n",
        "process_threads 6\n"}) {
    CHECK_MESSAGE(contains(text, line), line);
  }
}

TEST_CASE("a histogram's bounds are inclusive") {
  Histogram histogram;
  histogram.observe(std::chrono::microseconds(500));
  histogram.observe(std::chrono::microseconds(501));
  histogram.observe(std::chrono::hours(1));
  CHECK(histogram.counts.front() == 1);
  CHECK(histogram.counts[1] == 1);
  CHECK(histogram.counts.back() == 1);
  CHECK(histogram.total() == 3);
  CHECK(histogram.sum == doctest::Approx(3600.001001));
}

TEST_CASE("log messages stay on one line and inside their string") {
  CHECK(one_line("a\nb\tc\x1b") == "a\\nb\\u0009c\\u001b");
  CHECK(json_escaped("\"\\\n\x01") == "\\\"\\\\\\u000a\\u0001");
  CHECK(json_escaped("\xc3\xa4\xff") == "\xc3\xa4\\ufffd");
}

TEST_CASE("each path and method has its answer") {
  const StatusBoard::SteadyTime start{std::chrono::seconds(100)};
  StatusBoard board(start);
  CHECK(respond("GET", "/livez", board, start).status == 200);
  CHECK(respond("GET", "/readyz", board, start).status == 503);  // nothing published yet
  CHECK(respond("GET", "/metrics", board, start).status == 503);
  board.publish(std::make_shared<const Snapshot>(sample_snapshot()));
  CHECK(respond("GET", "/readyz?verbose", board, start).status == 503);
  CHECK(respond("GET", "/status", board, start).status == 200);
  CHECK(respond("HEAD", "/metrics", board, start).status == 200);
  CHECK(respond("GET", "/", board, start).status == 404);
  CHECK(respond("GET", "/readyzz", board, start).status == 404);
  CHECK(respond("POST", "/readyz", board, start).status == 405);
  CHECK(respond("GET", "/livez", board, start + kBeatLimit).status == 200);
  const auto dead = respond("GET", "/livez", board, start + kBeatLimit + std::chrono::seconds(1));
  CHECK(dead.status == 503);
  CHECK(contains(dead.body, "31 s"));
  board.beat(start + kBeatLimit);
  CHECK(respond("GET", "/livez", board, start + kBeatLimit * 2).status == 200);
}

}  // namespace nmanager::test

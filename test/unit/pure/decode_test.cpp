// Decoding of the API server's answers to Services, and refused input.
#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

#include "hooks/intent/sources.h"
#include "plugin/services/decode.h"

using namespace nmanager;
using namespace nmanager::services;

namespace {

std::string service(const std::string& ns, const std::string& name,
                    const std::string& spec = R"({"type":"LoadBalancer"})",
                    const std::string& status = "{}") {
  return R"({"metadata":{"namespace":")" + ns + R"(","name":")" + name + R"("},"spec":)" + spec +
         R"(,"status":)" + status + "}";
}

std::string list(const std::string& items) {
  return R"({ "kind" : "ServiceList", "metadata":{"resourceVersion":"7"},"items" : [)" + items +
         R"(], "apiVersion":"v1"})";
}

Service only(const std::string& json) {
  auto page = decode_list(list(json));
  REQUIRE_MESSAGE(page.ok(), page.error().message);
  REQUIRE(page->services.size() == 1);
  return page->services.front();
}

}  // namespace

TEST_CASE("names are checked against Kubernetes' own rules") {
  const std::string good = "a-1";
  CHECK(only(service(good, std::string(63, 'a'))).key == "a-1/" + std::string(63, 'a'));
  for (const std::string& name : std::vector{
           std::string(64, 'a'), std::string(253, 'a'), std::string("a\\nb"), std::string("A"),
           std::string("-a"), std::string("a-"), std::string("a.b"), std::string("a/b"),
           std::string("\\u001b[2J"), std::string("x\\\" -j ACCEPT\\n-A INPUT -j ACCEPT\\n#")}) {
    CAPTURE(name);
    for (const std::string& bad : {service(good, name), service(name, good)}) {
      const auto page = decode_list(list(bad + "," + service(good, good)));
      REQUIRE(page.ok());
      CHECK(page->services.size() == 1);  // the other one is not affected
      REQUIRE(page->undecodable.size() == 1);
      CHECK(page->undecodable[0].key.empty());
      for (const char c : page->undecodable[0].reason) CHECK((c >= 0x20 && c < 0x7f));
      const auto event = decode_watch_line(R"({"type":"ADDED","object":)" + bad + "}");
      REQUIRE(event.ok());
      CHECK(std::holds_alternative<Undecodable>(event->body));
      const auto gone = decode_watch_line(R"({"type":"DELETED","object":)" + bad + "}");
      REQUIRE(gone.ok());
      CHECK(std::holds_alternative<Undecodable>(gone->body));
    }
  }
}

TEST_CASE("addresses and ranges as kube-proxy reads them, or the field is named") {
  const Service read = only(
      service("a", "b", R"({"type":"LoadBalancer","externalIPs":["010.0.0.1","x"],
                    "loadBalancerSourceRanges":["\t10.0.0.0/8\n"," 10.0.0.0/-0"]})",
              R"({"loadBalancer":{"ingress":[{"ip":"::ffff:203.0.113.62"},{"ip":"203.0.113.063"},
                                     {"ip":"10.0.0.-0"}]}})"));
  CHECK(read.ingress == std::vector<LoadBalancerIngress>{{*Address::parse("203.0.113.62"), true},
                                                         {*Address::parse("203.0.113.63"), true}});
  CHECK(read.external_ips == std::vector{*Address::parse("10.0.0.1")});
  CHECK(read.source_ranges == std::vector{*Prefix::parse("10.0.0.0/8")});
  CHECK(read.malformed == std::vector<std::string>{"spec.externalIPs[1]",
                                                   "spec.loadBalancerSourceRanges[1]",
                                                   "status.loadBalancer.ingress[2].ip"});
}

TEST_CASE("a list is the same however it is split") {
  const std::string text =
      list(service("a", "b") + " , " + service("a", "c", R"({"x":"\\\"}],[{","type":"NodePort"})") +
           ",7,{\"metadata\":\"items\"}");
  const auto whole = decode_list(text);
  REQUIRE(whole.ok());
  CHECK(whole->services.size() == 2);
  CHECK(whole->services[1].type == ServiceType::kNodePort);
  CHECK(whole->undecodable.size() == 2);
  CHECK(whole->resource_version == "7");
  for (std::size_t size = 1; size < text.size(); ++size) {
    PageDecoder decoder;
    for (std::size_t at = 0; at < text.size(); at += size) {
      REQUIRE(decoder.add(std::string_view(text).substr(at, size)));
    }
    const auto page = decoder.end();
    REQUIRE(page.ok());
    CHECK(page->services == whole->services);
    CHECK(page->resource_version == "7");
  }
  for (std::size_t size = 0; size < text.size(); ++size) {  // truncated
    CHECK_FALSE(decode_list(text.substr(0, size)).ok());
  }
}

TEST_CASE("an oversized list is refused with a reason, in bounded memory") {
  struct Case {
    const char* name;
    std::string begin;
    std::string more;
    const char* told;
  };
  for (const Case& c :
       {Case{"an unbounded item", R"({"items":[{"a":")", std::string(4096, 'x'), "is too large"},
        Case{"an unbounded frame", R"({"a":")", std::string(4096, 'x'), "is too large"},
        Case{"nothing but undecodable objects", R"({"items":[)", "{},", "metadata is missing"},
        Case{"brackets that do not match", "{}", "}", "is too large"}}) {
    CAPTURE(c.name);
    PageDecoder decoder;
    REQUIRE(decoder.add(c.begin));
    std::size_t bytes = 0;
    while (bytes < (std::size_t{64} << 20) && decoder.add(c.more)) bytes += c.more.size();
    CHECK(bytes <= std::size_t{5} << 20);
    const auto page = decoder.end();
    REQUIRE_FALSE(page.ok());
    CHECK_MESSAGE(page.error().message.find(c.told) != std::string::npos, page.error().message);
  }
}

TEST_CASE("depth is bounded, and text after zero bytes is not ignored") {
  const auto nested = [](int depth) {
    std::string text;
    for (int i = 0; i < depth; ++i) text += "[";
    for (int i = 0; i < depth; ++i) text += "]";
    return service("a", "b", R"({"type":"NodePort","x":)" + text + "}");
  };
  CHECK(decode_list(list(nested(50)))->services.size() == 1);
  CHECK(decode_list(list(nested(100)))->undecodable.size() == 1);
  CHECK(decode_list(list(nested(100'000)))->undecodable.size() == 1);
  using namespace std::string_literals;
  CHECK_FALSE(decode_watch_line("{\"type\":\"BOOKMARK\",\"object\":{}}\0x"s).ok());
  CHECK_FALSE(decode_list("{\"kind\":\"ServiceList\",\"items\":[]}\0x"s).ok());
}

TEST_CASE("bookmarks and refusals") {
  const auto bookmark = [](const std::string& annotations) {
    const auto event = decode_watch_line(
        R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9")" + annotations + "}}}");
    REQUIRE(event.ok());
    CHECK(event->resource_version == "9");
    return std::get<WatchBookmark>(event->body).initial_events_end;
  };
  CHECK_FALSE(bookmark(""));
  CHECK(bookmark(R"(,"annotations":{"k8s.io/initial-events-end":"true"})"));
  CHECK(decode_status(R"({"code":410,"message":"m"})").expired());
  CHECK(decode_status(R"({"reason":"Expired","message":"m"})").expired());
  CHECK(decode_status(R"({"reason":"Gone","message":"m"})").expired());
  CHECK_FALSE(decode_status(R"({"code":500,"message":"m"})").expired());
  CHECK(decode_status(R"({"code":504,"message":"Timeout: Too large resource version: 9"})")
            .too_large_version);
  CHECK(decode_status(R"({"code":504,"message":"m","details":{"causes":[
                           {"reason":"ResourceVersionTooLarge"}]}})")
            .too_large_version);
  CHECK(decode_status("<html>\n<b>").message == "<html>?<b>");
}

TEST_CASE("thousands of source ranges are reduced in one pass") {
  std::vector<Prefix> ranges;
  constexpr int kCount = 200'000;  // quadratic would take minutes
  for (int i = 0; i < kCount; ++i) {
    const std::uint8_t bytes[] = {10, static_cast<std::uint8_t>(i >> 16),
                                  static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
    ranges.push_back(Prefix::host(Address(Family::kIpv4, bytes)));
  }
  CHECK(outermost(ranges, Family::kIpv4).size() == kCount);
  ranges.push_back(*Prefix::parse("10.1.0.0/16"));
  ranges.push_back(*Prefix::parse("10.1.2.0/24"));
  CHECK(outermost(ranges, Family::kIpv4).size() == kCount - 65'536 + 1);
  CHECK(outermost(ranges, Family::kIpv6).empty());
}

// kubeconfig files, right and wrong.
#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "plugin/api/api_access.h"
#include "plugin/api/server_url.h"

namespace nmanager::test {
using namespace nmanager::api;
namespace {

class Folder {
 public:
  Folder()
      : path_(std::filesystem::temp_directory_path() /
              ("nmanager-kubeconfig-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path_);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
    return path_ / name;
  }
  [[nodiscard]] std::string path(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// `cluster` and `user` are the inner maps in flow style.
std::string kubeconfig(const std::string& cluster, const std::string& user) {
  return "apiVersion: v1\nkind: Config\ncurrent-context: b\n"
         "contexts:\n- {name: a, context: {cluster: none, user: none}}\n"
         "- {name: b, context: {cluster: c, user: u}}\n"
         "clusters: [{name: c, cluster: " +
         cluster +
         "}]\n"
         "users: [{name: u, user: " +
         user + "}]\n";
}

}  // namespace

TEST_CASE("all supported fields of a kubeconfig") {
  const Folder folder;
  const auto access = load_kubeconfig(folder.write(
      "full", kubeconfig("{server: 'https://[fd00::1]:6443/', certificate-authority: ca.crt,"
                         " tls-server-name: kubernetes, insecure-skip-tls-verify: true}",
                         "{tokenFile: /run/token, client-certificate: c.pem,"
                         " client-key-data: 'a2V5'}")));
  REQUIRE(access.ok());
  CHECK(access->server == "https://[fd00::1]:6443");
  CHECK(access->ca.file == folder.path("ca.crt"));  // relative to the file
  CHECK(access->tls_server_name == "kubernetes");
  CHECK(access->insecure);
  CHECK(access->token_file == "/run/token");
  CHECK(access->client_certificate.file == folder.path("c.pem"));
  CHECK(access->client_key.data == "key");
}

TEST_CASE("data takes precedence over a file, and base64 has padding") {
  const Folder folder;
  for (const auto& [data, text] : {std::pair{"YQ==", "a"}, {"YWI=", "ab"}, {"YWJj", "abc"}}) {
    const auto access = load_kubeconfig(
        folder.write("data", kubeconfig(std::string("{server: 'http://h', certificate-authority: f,"
                                                    " certificate-authority-data: '") +
                                            data + "'}",
                                        "{}")));
    REQUIRE(access.ok());
    CHECK(access->ca.data == text);
    CHECK(access->ca.file.empty());
  }
}

TEST_CASE("one error names all problems") {
  const Folder folder;
  struct Case {
    std::string text;
    std::vector<std::string> told;
  };
  const std::string good = "{server: 'https://h:1'}";
  for (const Case& c : std::vector<Case>{
           {"", {"not a kubeconfig"}},
           {"[]", {"not a kubeconfig"}},
           {"a: [", {"line"}},
           {"current-context: x\n", {"no entry 'x' in contexts"}},
           {"kind: Config\n", {"current-context is not set"}},
           {kubeconfig("{}", "{}"), {"server is not an http or https URL"}},
           {kubeconfig("{server: 'ftp://h'}", "{}"), {"server is not"}},
           {kubeconfig("{server: [1]}", "{}"), {"server is not a text"}},
           {kubeconfig(good, "{exec: {command: aws}}"), {"exec is not supported"}},
           {kubeconfig(good, "{auth-provider: {name: gcp}}"), {"auth-provider is not supported"}},
           {kubeconfig(good, "{username: a, password: b}"), {"username and password"}},
           {kubeconfig(good, "{client-certificate: x}"), {"go together"}},
           {kubeconfig("{server: x, certificate-authority-data: '?!?'}", "{exec: {}}"),
            {"not base64", "server is not", "exec"}},
           {kubeconfig("{server: 'https://h', certificate-authority-data: '===='}", "{}"),
            {"not base64"}},
           {kubeconfig("{server: 'https://h', certificate-authority-data: 'Y=Jj'}", "{}"),
            {"not base64"}},
           {kubeconfig("{server: 'https://h', proxy-url: 'socks5://p'}", "{}"), {"proxy-url"}},
           {kubeconfig("{server: 'https://me:secret@h'}", "{}"),
            {"user or password", "token file"}},
           {kubeconfig("{server: 'https://h?x=1'}", "{}"), {"query"}},
           {kubeconfig(good, "{as: admin}"), {"as is not supported"}},
           {kubeconfig(good, "{as-groups: [admin]}"), {"as-groups is not supported"}},
       }) {
    CAPTURE(c.text);
    const auto access = load_kubeconfig(folder.write("bad", c.text));
    REQUIRE(!access.ok());
    CHECK(access.error().message.starts_with(folder.path("bad")));
    CHECK(access.error().message.find('\n') == std::string::npos);
    CHECK(access.error().message.find("secret") == std::string::npos);
    for (const std::string& part : c.told) {
      CHECK_MESSAGE(access.error().message.find(part) != std::string::npos, access.error().message);
    }
  }
  CHECK_FALSE(load_kubeconfig(folder.path("missing")).ok());
}

TEST_CASE("without current-context the context with an empty name is used") {
  const auto access = parse_kubeconfig(R"(
apiVersion: v1
kind: Config
clusters:
- name: local
  cluster: {server: 'https://127.0.0.1:6443', certificate-authority: ca.crt}
users:
- name: node
  user: {tokenFile: token}
contexts:
- context: {cluster: local, user: node}
)",
                                       "/folder/kubeconfig");
  REQUIRE_MESSAGE(access.ok(), access.error().message);
  CHECK(access->server == "https://127.0.0.1:6443");
  CHECK(access->ca.file == "/folder/ca.crt");
  CHECK(access->token_file == "/folder/token");
}

TEST_CASE("the same kubeconfig in every notation") {
  const std::string plain = kubeconfig("{server: 'https://h:1'}", "{token: t}");
  std::string crlf;
  for (const char c : plain) crlf += c == '\n' ? std::string("\r\n") : std::string(1, c);
  const std::string json =
      "{\n\t\"current-context\": \"b\",\n\t\"contexts\": [{\"name\": \"b\", \"context\": "
      "{\"cluster\": \"c\",\"user\":\"u\"}}],\n\t\"clusters\": [{\"name\":\"c\",\"cluster\":"
      "{\"server\":\"https:\\/\\/h:1\"}}],\n\t\"users\": [{\"name\":\"u\",\"user\":"
      "{\"token\":\"t\"}}]\n}";
  for (const std::string& text :
       {plain, crlf, "\xef\xbb\xbf" + plain, "---\n" + plain,
        "# a comment\n---\n" + plain + "...\n", plain + "---\nkind: Other\n",
        plain + "preferences: {}\nextensions: [{name: x}]\n", json}) {
    CAPTURE(text);
    const auto access = parse_kubeconfig(text, "/folder/kubeconfig");
    REQUIRE_MESSAGE(access.ok(), access.error().message);
    CHECK(access->server == "https://h:1");
    CHECK(access->token == "t");
  }
}

TEST_CASE("the server's URL") {
  struct Case {
    const char* text;
    const char* authority;  // "": refused
    const char* shown;
  };
  for (const Case& c : {Case{"https://[fd00:aa::1]", "[fd00:aa::1]:443", "https://[fd00:aa::1]"},
                        {"https://[::1]:7443/", "[::1]:7443", "https://[::1]:7443"},
                        {"HTTPS://h", "h:443", "https://h"},
                        {"http://h:8080//", "h:8080", "http://h:8080"},
                        {"https://h:443/k8s/clusters/c-1/", "h:443", "https://h/k8s/clusters/c-1"},
                        {"https://10.0.0.1:6443", "10.0.0.1:6443", "https://10.0.0.1:6443"},
                        {"https://", "", ""},
                        {"https://:1", "", ""},
                        {"https://h:", "", ""},
                        {"https://h:0", "", ""},
                        {"https://h:65536", "", ""},
                        {"https://h:1x", "", ""},
                        {"https://fd00::1", "", ""},
                        {"https://[fd00::1", "", ""},
                        {"https://[10.0.0.1]", "", ""},
                        {"https://h h", "", ""},
                        {"https://u:p@h", "", ""},
                        {"https://h/?a", "", ""},
                        {"ftp://h", "", ""},
                        {"h:1", "", ""}}) {
    CAPTURE(c.text);
    const auto url = parse_server_url(c.text);
    REQUIRE(url.ok() == (*c.authority != '\0'));
    if (!url) continue;
    CHECK(authority_of(*url, true) == c.authority);
    CHECK(to_string(*url) == c.shown);
  }
}

TEST_CASE("the server's address, which the rules must not translate") {
  ApiAccess access;
  access.server = "https://[fd00::1]";
  CHECK(server_endpoints(access) == std::vector<Endpoint>{{*Address::parse("fd00::1"), 443}});
  access.server = "https://10.0.0.1:6443";
  CHECK(server_endpoints(access) == std::vector<Endpoint>{{*Address::parse("10.0.0.1"), 6443}});
  access.server = "https://name:6443";
  CHECK(server_endpoints(access).empty());
}

TEST_CASE("a proxy of the kubeconfig or the environment") {
  struct Case {
    const char* server;
    const char* proxy_url;
    const char* https;
    const char* none;
    const char* proxy;
  };
  for (const Case& c : {Case{"https://h:1", "", "", "", ""},
                        {"https://h:1", "http://p:1", "http://q:2", "h", "http://p:1"},
                        {"https://h:1", "", "http://q:2", "", "http://q:2"},
                        {"https://h:1", "", "http://q:2", "x, h", ""},
                        {"https://h:1", "", "http://q:2", "h:1", ""},
                        {"https://h:1", "", "http://q:2", "h:2", "http://q:2"},
                        {"https://a.h.example", "", "q:2", ".h.example", ""},
                        {"https://a.h.example", "", "q:2", "h.example", ""},
                        {"https://ah.example", "", "q:2", "h.example", "q:2"},
                        {"https://10.1.2.3:1", "", "q:2", "10.0.0.0/8", ""},
                        {"https://h", "", "q:2", "*", ""},
                        {"https://127.0.0.1:1", "", "q:2", "", ""},
                        {"https://localhost:1", "", "q:2", "", ""},
                        {"http://h", "", "q:2", "", ""}}) {
    CAPTURE(c.server);
    CAPTURE(c.none);
    ApiAccess access;
    access.server = c.server;
    access.proxy_url = c.proxy_url;
    const auto environment = [&](const char* name) {
      const std::string_view wanted(name);
      return std::string(wanted == "HTTPS_PROXY" ? c.https : wanted == "no_proxy" ? c.none : "");
    };
    CHECK(proxy_of(access, environment) == c.proxy);
  }
}

TEST_CASE("a weakened connection is reported, without secrets") {
  ApiAccess access;
  access.server = "https://h";
  CHECK(warnings_of(access).empty());
  access.insecure = true;
  CHECK(warnings_of(access).size() == 1);
  access.server = "http://h";
  access.token = "secret";
  const auto warnings = warnings_of(access);
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("clear text") != std::string::npos);
  CHECK(warnings[0].find("secret") == std::string::npos);
  CHECK(server_in_words(access, "") == "http://h");
  CHECK(server_in_words(access, "p:3128") == "http://h through the proxy http://p:3128");
  CHECK(server_in_words(access, "http://user:hidden@p:3128") == "http://h through a proxy");
}

TEST_CASE("the service account of a pod") {
  const Folder folder;
  CHECK_FALSE(in_cluster_access("", "", folder.path("")).ok());
  folder.write("token", "t");
  folder.write("ca.crt", "c");
  const auto access = in_cluster_access("fd00::1", "443", folder.path(""));
  REQUIRE(access.ok());
  CHECK(access->server == "https://[fd00::1]:443");
  CHECK(access->token_file.ends_with("token"));
  CHECK(access->ca.file.ends_with("ca.crt"));
}

}  // namespace nmanager::test

// kubeconfig files, right and wrong.
#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "plugin/api/api_access.h"

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

TEST_CASE("everything a kubeconfig can say") {
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

TEST_CASE("data goes before a file, and base64 has padding") {
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

TEST_CASE("what is wrong is named, all of it at once") {
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
           {"current-context: x\n", {"no entry \"x\" in contexts"}},
           {"kind: Config\n", {"current-context is not set"}},
           {kubeconfig("{}", "{}"), {"server is not an http or https URL"}},
           {kubeconfig("{server: 'ftp://h'}", "{}"), {"server is not"}},
           {kubeconfig("{server: [1]}", "{}"), {"server is no text"}},
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
           {kubeconfig("{server: 'https://h', proxy-url: 'http://p'}", "{}"), {"proxy-url"}},
       }) {
    CAPTURE(c.text);
    const auto access = load_kubeconfig(folder.write("bad", c.text));
    REQUIRE(!access.ok());
    CHECK(access.error().message.starts_with(folder.path("bad")));
    CHECK(access.error().message.find('\n') == std::string::npos);
    for (const std::string& part : c.told) {
      CHECK_MESSAGE(access.error().message.find(part) != std::string::npos, access.error().message);
    }
  }
  CHECK_FALSE(load_kubeconfig(folder.path("missing")).ok());
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

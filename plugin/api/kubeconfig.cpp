#include "plugin/api/api_access.h"

#include <openssl/evp.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <vector>

#include "hooks/values/text.h"
#include "plugin/api/server_url.h"

namespace nmanager::api {

namespace {

/// Decodes base64 as in kubeconfig's *-data fields; nullopt: malformed.
std::optional<std::string> base64_decoded(std::string text) {
  std::erase_if(text, [](char c) { return c == '\n' || c == '\r' || c == ' '; });
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  std::string result(text.size() / 4 * 3, '\0');
  const int size = ::EVP_DecodeBlock(reinterpret_cast<unsigned char*>(result.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  // The library reads padding as zero bits, in any place and amount.
  const std::size_t padding = text.size() - std::min(text.find('='), text.size());
  if (padding > 2 || text.find_first_not_of('=', text.size() - padding) != std::string::npos) {
    return std::nullopt;
  }
  result.resize(static_cast<std::size_t>(size) - padding);
  return result;
}

bool is_http_proxy(const std::string& text) {
  const auto url = parse_server_url(text);
  return url && !url->tls && url->path.empty();
}

/// Reads one kubeconfig; collects every problem. yaml-cpp throws; caught in load_kubeconfig().
class Reader {
 public:
  Reader(const YAML::Node& root, std::string path)
      : root_(root), folder_(std::filesystem::path(path).parent_path()), path_(std::move(path)) {}

  Result<ApiAccess> read() {
    // As client-go: without a current-context, the context with an empty name is used if it exists.
    const std::string context_name = text(root_, "current-context");
    if (context_name.empty() && !entry("contexts", "", "context").IsDefined()) {
      problem("current-context is not set");
    } else {
      read_context(named("contexts", context_name, "context"));
    }
    if (problems_.empty()) return access_;
    std::string message = path_ + ": ";
    for (std::size_t i = 0; i < problems_.size(); ++i) message += (i ? "; " : "") + problems_[i];
    return Error{ErrorKind::kBadInput, message};
  }

 private:
  void problem(std::string what) { problems_.push_back(std::move(what)); }

  std::string text(const YAML::Node& node, const char* name) {
    if (!node.IsMap()) return {};
    const YAML::Node value = node[name];
    if (!value || value.IsNull()) return {};
    if (!value.IsScalar()) {
      problem(std::string(name) + " is not a text");
      return {};
    }
    return value.Scalar();
  }

  /// The `inner` map of the entry `name` in the list `list`; undefined if it does not exist.
  YAML::Node entry(const char* list, const std::string& name, const char* inner) {
    const YAML::Node entries = root_[list];
    if (entries && entries.IsSequence()) {
      for (const YAML::Node& one : entries) {
        if (one.IsMap() && text(one, "name") == name && one[inner]) return one[inner];
      }
    }
    return YAML::Node(YAML::NodeType::Undefined);
  }

  YAML::Node named(const char* list, const std::string& name, const char* inner) {
    const YAML::Node found = entry(list, name, inner);
    if (found.IsDefined()) return found;
    problem("no entry " + in_quotes(name) + " in " + list);
    return YAML::Node();
  }

  std::string resolved(const std::string& file) const {
    return file.empty() ? file : (folder_ / file).string();
  }

  PemSource pem(const YAML::Node& node, const char* file_name, const char* data_name) {
    PemSource source;
    source.file = resolved(text(node, file_name));
    const std::string data = text(node, data_name);
    if (data.empty()) return source;
    const auto decoded = base64_decoded(data);
    if (decoded) {
      source = {"", *decoded};  // data takes precedence over the file, as in client-go
    } else {
      problem(std::string(data_name) + " is not base64");
    }
    return source;
  }

  void read_context(const YAML::Node& context) {
    if (!context.IsMap()) {
      if (problems_.empty()) problem("the context is not a map");
      return;
    }
    read_cluster(named("clusters", text(context, "cluster"), "cluster"));
    const std::string user = text(context, "user");
    if (!user.empty() || entry("users", "", "user").IsDefined()) {
      read_user(named("users", user, "user"));
    }
  }

  void read_cluster(const YAML::Node& cluster) {
    if (!cluster.IsMap()) {
      if (problems_.empty()) problem("the context names no cluster");
      return;
    }
    const auto url = parse_server_url(trimmed(text(cluster, "server")));
    if (url) {
      access_.server = to_string(*url);
    } else {
      problem(url.error().message);
    }
    access_.ca = pem(cluster, "certificate-authority", "certificate-authority-data");
    access_.insecure = text(cluster, "insecure-skip-tls-verify") == "true";
    access_.tls_server_name = text(cluster, "tls-server-name");
    access_.proxy_url = text(cluster, "proxy-url");
    if (!access_.proxy_url.empty() && !is_http_proxy(access_.proxy_url)) {
      problem("proxy-url is not supported unless it is http://HOST:PORT");
    }
  }

  void read_user(const YAML::Node& user) {
    if (!user.IsMap()) return;
    for (const char* plugin : {"exec", "auth-provider"}) {
      if (user[plugin]) {
        problem(std::string(plugin) +
                " is not supported: no other program is started; use a token "
                "file or a client certificate");
      }
    }
    if (!text(user, "username").empty()) {
      problem("username and password are not supported; use a token file or a client certificate");
    }
    for (const char* field : {"as", "as-uid", "as-groups", "as-user-extra"}) {
      if (user[field] && !user[field].IsNull()) {
        problem(std::string(field) + " is not supported; use credentials of that user");
        break;
      }
    }
    access_.token_file = resolved(text(user, "tokenFile"));
    access_.token = text(user, "token");
    access_.client_certificate = pem(user, "client-certificate", "client-certificate-data");
    access_.client_key = pem(user, "client-key", "client-key-data");
    if (access_.client_certificate.given() != access_.client_key.given()) {
      problem("client certificate and client key go together");
    }
  }

  const YAML::Node& root_;
  std::filesystem::path folder_;
  std::string path_;
  ApiAccess access_;
  std::vector<std::string> problems_;
};

}  // namespace

Result<ApiAccess> load_kubeconfig(const std::string& path) {
  const auto content = read_credential_file(path);
  if (!content) return content.error();
  return parse_kubeconfig(*content, path);
}

Result<ApiAccess> parse_kubeconfig(std::string_view text, const std::string& path) {
  try {
    // With a comment at the end, since yaml-cpp 0.7 otherwise accepts a quote that is never closed.
    const YAML::Node root = YAML::Load(std::string(text) + "\n#");
    if (!root.IsMap()) return Error{ErrorKind::kBadInput, path + ": not a kubeconfig"};
    return Reader(root, path).read();
  } catch (const std::exception& error) {
    std::string what = error.what();
    for (char& c : what) {
      if (c == '\n') c = ' ';
    }
    return Error{ErrorKind::kBadInput, path + ": " + what};
  }
}

}  // namespace nmanager::api

// The recorded manifest of kubeadm's kube-proxy, and directories to put its files into.
#pragma once

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>

namespace nmanager::test {

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE_MESSAGE(file.good(), "cannot read ", path.string());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The literal block `key: |-` of the manifest's ConfigMap, as the kubelet would write it.
inline std::string kubeadm_file(const std::string& key) {
  const std::string manifest = read_file(std::filesystem::path(NMANAGER_SOURCE_DIR) /
                                         "test/fixtures/kubeadm/kube-proxy-1.36.yaml");
  std::istringstream lines(manifest.substr(manifest.find("\n  " + key + ": |-\n") + 1));
  std::string line;
  std::getline(lines, line);  // the key itself
  std::string text;
  while (std::getline(lines, line) && line.starts_with("    ")) text += line.substr(4) + "\n";
  REQUIRE(text.size() > 100);
  text.pop_back();  // "|-": no newline at the end
  return text;
}

/// A directory that is removed with the object.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "nmanager-test-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return (path_ / name).string();
  }

 private:
  std::filesystem::path path_;
};

/// `text` with the first `from` replaced, which must exist.
inline std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE_MESSAGE(at != std::string::npos, from);
  return text.replace(at, from.size(), to);
}

}  // namespace nmanager::test

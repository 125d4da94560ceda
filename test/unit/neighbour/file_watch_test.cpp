// Changes to files as made by an editor, a shell and the kubelet's ConfigMap volume.
#include "plugin/neighbour/file_watch.h"

#include <doctest/doctest.h>
#include <poll.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "test/unit/settings/recorded.h"

namespace nmanager {
using namespace nmanager::neighbour;
namespace {

namespace fs = std::filesystem;
using Paths = std::vector<std::string>;

/// Waits for events until a change is reported or the time is over.
Paths wait_for_change(FileWatch& watch) {
  for (int events = 0; events < 100; ++events) {
    pollfd poll_fd{watch.fd(), POLLIN, 0};
    if (::poll(&poll_fd, 1, 5000) <= 0) return {"(no event)"};
    Paths changed = watch.drain();
    if (!changed.empty()) return changed;
  }
  return {"(unbounded events)"};
}

/// True if no event is pending, or only events without a change.
bool quiet(FileWatch& watch) {
  for (int events = 0; events < 100; ++events) {
    pollfd poll_fd{watch.fd(), POLLIN, 0};
    if (::poll(&poll_fd, 1, 0) == 0) return true;
    if (!watch.drain().empty()) return false;
  }
  return false;
}

void write(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// Like the kubelet's atomic writer: creates a new directory and renames `..data` over the old one.
void publish(const fs::path& volume, const std::string& name, const std::string& text) {
  fs::create_directories(volume / name);
  write(volume / name / "config.conf", text);
  fs::create_symlink(name, volume / "..data_tmp");
  const std::string old =
      fs::is_symlink(volume / "..data") ? fs::read_symlink(volume / "..data").string() : "";
  fs::rename(volume / "..data_tmp", volume / "..data");
  if (!old.empty()) fs::remove_all(volume / old);
}

TEST_CASE("a ConfigMap volume replaces a symlink") {
  const test::TemporaryDirectory directory;
  const fs::path volume = directory.path() / "kube-proxy";
  publish(volume, "..1", "mode: ipvs");
  fs::create_symlink("..data/config.conf", volume / "config.conf");
  const std::string path = (volume / "config.conf").string();
  FileWatch watch({path});
  REQUIRE(watch.fd() >= 0);
  CHECK(quiet(watch));
  for (const char* name : {"..2", "..3", "..4", "..5"}) {
    publish(volume, name, "mode: iptables");
    CHECK(wait_for_change(watch) == Paths{path});
    CHECK(quiet(watch));
  }
}

TEST_CASE("every kind of change to a file") {
  struct Case {
    std::string name;
    std::function<void(const fs::path& folder)> change;
  };
  const std::vector<Case> cases{
      {"written in place", [](const fs::path& f) { write(f / "a.conf", "another text"); }},
      {"appended to",
       [](const fs::path& f) { std::ofstream(f / "a.conf", std::ios::app) << "more"; }},
      {"renamed over",
       [](const fs::path& f) {
         write(f / "new", "x");
         fs::rename(f / "new", f / "a.conf");
       }},
      {"removed", [](const fs::path& f) { fs::remove(f / "a.conf"); }},
      {"moved away", [](const fs::path& f) { fs::rename(f / "a.conf", f / "b"); }},
      {"its directory removed", [](const fs::path& f) { fs::remove_all(f); }},
      {"its directory moved away", [](const fs::path& f) { fs::rename(f, f.string() + "-old"); }},
      {"replaced by a link",
       [](const fs::path& f) {
         write(f / "target", "x");
         fs::create_symlink("target", f / "link");
         fs::rename(f / "link", f / "a.conf");
       }},
  };
  for (const Case& one : cases) {
    CAPTURE(one.name);
    const test::TemporaryDirectory directory;
    const fs::path folder = directory.path() / "folder";
    fs::create_directory(folder);
    write(folder / "a.conf", "text");
    const std::string path = (folder / "a.conf").string();
    FileWatch watch({path});
    CHECK(quiet(watch));
    one.change(folder);
    CHECK(wait_for_change(watch) == Paths{path});
    CHECK(quiet(watch));
    // Later changes are also detected.
    fs::create_directories(folder);
    fs::remove(folder / "a.conf");
    quiet(watch);
    write(folder / "a.conf", "once more");
    CHECK(wait_for_change(watch) == Paths{path});
  }
}

TEST_CASE("a file whose directories do not exist yet") {
  const test::TemporaryDirectory directory;
  const fs::path folder = directory.path() / "var/lib/kube-proxy";
  const std::string path = (folder / "config.conf").string();
  FileWatch watch({path});
  CHECK(quiet(watch));
  for (int round = 0; round < 3; ++round) {
    fs::create_directories(folder);
    write(folder / "config.conf", "text");
    CHECK(wait_for_change(watch) == Paths{path});
    fs::remove_all(directory.path() / "var");
    CHECK(wait_for_change(watch) == Paths{path});
  }
  // One directory at a time, each detected before the next is created.
  for (const char* part : {"var", "var/lib", "var/lib/kube-proxy"}) {
    fs::create_directory(directory.path() / part);
    CHECK(quiet(watch));
  }
  write(folder / "config.conf", "text");
  CHECK(wait_for_change(watch) == Paths{path});
}

TEST_CASE("the target of a link in another directory") {
  const test::TemporaryDirectory directory;
  const fs::path here = directory.path() / "here";
  const fs::path there = directory.path() / "there";
  fs::create_directories(here);
  fs::create_directories(there);
  fs::create_symlink(there / "real.conf", here / "config.conf");
  const std::string path = (here / "config.conf").string();
  FileWatch watch({path});
  write(there / "real.conf", "made");
  CHECK(wait_for_change(watch) == Paths{path});
  write(there / "real.conf", "written again");
  CHECK(wait_for_change(watch) == Paths{path});
  fs::remove(here / "config.conf");
  CHECK(wait_for_change(watch) == Paths{path});
  write(there / "real.conf", "no longer watched");
  CHECK(quiet(watch));
  fs::create_symlink("config.conf", here / "config.conf");  // a loop
  CHECK(quiet(watch));
}

TEST_CASE("other files in the directory are ignored; several files are distinguished") {
  const test::TemporaryDirectory directory;
  const std::string a = directory.write("config.conf", "a");
  const std::string b = directory.write("kubeconfig.conf", "b");
  FileWatch watch({a, b, ""});
  directory.write("other", "x");
  CHECK(quiet(watch));
  directory.write("kubeconfig.conf", "changed");
  CHECK(wait_for_change(watch) == Paths{b});
  directory.write("config.conf", "changed");
  directory.write("kubeconfig.conf", "changed again");
  Paths changed = wait_for_change(watch);
  while (changed.size() < 2) {
    const Paths more = wait_for_change(watch);
    changed.insert(changed.end(), more.begin(), more.end());
  }
  std::sort(changed.begin(), changed.end());
  CHECK(changed == Paths{a, b});
  // New paths: their present state is not a change.
  const std::string c = directory.write("c.conf", "c");
  watch.set_paths({c});
  CHECK(quiet(watch));
  directory.write("config.conf", "not watched any more");
  CHECK(quiet(watch));
  directory.write("c.conf", "changed");
  CHECK(wait_for_change(watch) == Paths{c});
}

TEST_CASE("drain detects changes that cause no event") {
  const test::TemporaryDirectory directory;
  const fs::path deep = directory.path() / "one/two/three";
  fs::create_directories(deep);
  write(deep / "a.conf", "text");
  const std::string path = (deep / "a.conf").string();
  FileWatch watch({path});
  fs::rename(directory.path() / "one", directory.path() / "gone");  // an ancestor
  CHECK(watch.drain() == Paths{path});
  CHECK(watch.drain().empty());
}

}  // namespace
}  // namespace nmanager

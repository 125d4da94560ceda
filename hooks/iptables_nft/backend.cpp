#include <utility>

#include "hooks/iptables_nft/nft_backend.h"
#include "hooks/iptables_nft/observe.h"
#include "hooks/iptables_nft/session.h"
#include "hooks/iptables_nft/transaction.h"
#include "hooks/netlink/kube_chains.h"
#include "hooks/netlink/objects.h"
#include "hooks/netlink/watch.h"

namespace nmanager::iptables_nft {

namespace {

/// Reads overtaken by commits of others before the caller is told.
constexpr int kReads = 10;

class Nft final : public chains::ChainBackend {
 public:
  explicit Nft(std::shared_ptr<Session> session) : session_(std::move(session)) {}

  [[nodiscard]] std::string_view name() const override { return "iptables-nft"; }

  [[nodiscard]] Result<std::unique_ptr<chains::Transaction>> begin(TableId id) override {
    return read_until_consistent(id, nullptr);
  }

  [[nodiscard]] Result<std::unique_ptr<chains::Transaction>> begin_expecting(
      TableId id, const chains::ChainDigests& expected) override {
    return read_until_consistent(id, &expected);
  }

  [[nodiscard]] Result<KubeStamp> kube_stamp(Family family) override {
    return netlink::read_kube_stamp(session_->netlink(), family);
  }
  [[nodiscard]] Result<KubeChecksum> kube_checksum(Family family) override {
    return netlink::read_kube_checksum(session_->netlink(), family);
  }

 private:
  Result<std::unique_ptr<chains::Transaction>> read_until_consistent(
      TableId id, const chains::ChainDigests* expected);
  Result<chains::ObservedTable> observe(TableId id, const chains::ChainDigests* expected);
  Result<bool> observe_hooks(TableId id, chains::ObservedTable& observed);
  Status observe_all(TableId id, chains::ObservedTable& observed);
  Status observe_differences(TableId id, const chains::ChainDigests& expected,
                             chains::ObservedTable& observed);
  Status show(TableId id, const ChainName& name, chains::ObservedTable& observed);

  std::shared_ptr<Session> session_;
};

Result<std::unique_ptr<chains::Transaction>> Nft::read_until_consistent(
    TableId id, const chains::ChainDigests* expected) {
  Error last{ErrorKind::kRetry, {}};
  for (int read = 0; read < kReads; ++read) {
    const auto before = session_->netlink().generation();
    if (!before) {
      if (before.error().kind != ErrorKind::kRetry) return before.error();
      last = before.error();
      continue;
    }
    session_->catch_up(id, *before);
    auto observed = observe(id, expected);
    if (!observed) {
      if (observed.error().kind != ErrorKind::kRetry) return observed.error();
      last = observed.error();
      continue;
    }
    const auto after = session_->netlink().generation();
    if (after && *before == *after) {
      session_->proven(id, *before);
      return std::unique_ptr<chains::Transaction>(
          std::make_unique<NftTransaction>(session_, id, *before, std::move(observed.value())));
    }
    last =
        after ? Error{ErrorKind::kRetry, "it changes faster than it can be read"} : after.error();
  }
  return Error{last.kind, to_string(id) + " (nft): " + last.message};
}

Result<chains::ObservedTable> Nft::observe(TableId id, const chains::ChainDigests* expected) {
  chains::ObservedTable observed;
  const auto any = observe_hooks(id, observed);
  if (!any) return any.error();
  if (!*any && !session_->options().create_tables) {
    const auto table = netlink::table_exists(session_->netlink(), id.family, to_string(id.table));
    if (!table) return table.error();
    if (!*table) return Error{ErrorKind::kAbsent, "there is no table " + to_string(id) + " (nft)"};
  }
  const Status status = expected == nullptr ? observe_all(id, observed)
                                            : observe_differences(id, *expected, observed);
  if (!status) return status.error();
  return observed;
}

/// True when there is any rule.
Result<bool> Nft::observe_hooks(TableId id, chains::ObservedTable& observed) {
  bool any = false;
  for (const Hook hook : {Hook::kPrerouting, Hook::kInput, Hook::kOutput}) {
    if (!hook_chain(id.table, hook)) continue;
    auto rules = read_hook(session_->netlink(), id, hook);
    if (!rules) return rules.error();
    any = any || !rules->empty();
    observed.hooks[hook] = std::move(rules.value());
  }
  return any;
}

Status Nft::observe_all(TableId id, chains::ObservedTable& observed) {
  if (auto listed = session_->chains(id).list(session_->netlink()); !listed) return listed;
  for (const ChainName& name : session_->chains(id).names()) {
    if (auto shown = show(id, name, observed); !shown) return shown;
  }
  return {};
}

Status Nft::observe_differences(TableId id, const chains::ChainDigests& expected,
                                chains::ObservedTable& observed) {
  OwnChains& chains = session_->chains(id);
  if (auto fresh = chains.refresh(session_->netlink()); !fresh) return fresh;
  observed.only_differences = true;
  const OwnChains::Differences& differences = chains.compare(expected);
  observed.missing = differences.missing;
  for (const ChainName& name : differences.differing) {
    if (auto shown = show(id, name, observed); !shown) return shown;
  }
  return {};
}

/// What is read is known as well.
Status Nft::show(TableId id, const ChainName& name, chains::ObservedTable& observed) {
  auto content = read_if_exists(session_->netlink(), id, name);
  if (!content) return content.error();
  session_->chains(id).learn(name, *content);
  if (*content) observed.chains[name] = std::move(**content);
  return {};
}

}  // namespace

Result<NftBackend> make_nft_backend(NftOptions options) {
  auto session = std::make_shared<Session>(options);
  if (auto opened = session->open(); !opened) return opened.error();
  NftBackend result;
  result.watch = netlink::make_watch(session);
  result.backend = std::make_unique<Nft>(std::move(session));
  return result;
}

}  // namespace nmanager::iptables_nft

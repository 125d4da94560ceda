#include <utility>

#include "hooks/nft/checksum.h"
#include "hooks/nft/nft_backend.h"
#include "hooks/nft/observe.h"
#include "hooks/nft/session.h"
#include "hooks/nft/transaction.h"
#include "hooks/nft/watch.h"

namespace nmanager {

namespace {

/// Reads overtaken by commits of others before the caller is told.
constexpr int kReads = 10;

class Nft final : public Backend {
 public:
  explicit Nft(std::shared_ptr<Session> session) : session_(std::move(session)) {}

  [[nodiscard]] std::string_view name() const override { return "iptables-nft"; }

  [[nodiscard]] Result<std::unique_ptr<Transaction>> begin(TableId id) override {
    for (int read = 0; read < kReads; ++read) {
      const auto before = session_->netlink.generation();
      if (!before) return before.error();
      auto observed = observe(id);
      if (!observed && observed.error().kind != ErrorKind::kRetry) return observed.error();
      const auto after = session_->netlink.generation();
      if (!after) return after.error();
      if (observed && *before == *after) {
        return std::unique_ptr<Transaction>(
            std::make_unique<NftTransaction>(session_, id, *before, std::move(observed.value())));
      }
    }
    return Error{ErrorKind::kRetry, to_string(id) + " (nft) changes faster than it can be read"};
  }

  [[nodiscard]] Result<KubeStamp> kube_stamp(Family family) override {
    return read_kube_stamp(session_->netlink, family);
  }
  [[nodiscard]] Result<KubeChecksum> kube_checksum(Family family) override {
    return read_kube_checksum(session_->netlink, family);
  }

 private:
  Result<ObservedTable> observe(TableId id) {
    ObservedTable observed;
    bool any = false;
    for (const Hook hook : {Hook::kPrerouting, Hook::kInput, Hook::kOutput}) {
      if (!hook_chain(id.table, hook)) continue;
      auto rules = read_hook(session_->netlink, id, hook);
      if (!rules) return rules.error();
      any = any || !rules->empty();
      observed.hooks[hook] = std::move(rules.value());
    }
    if (!any && !session_->options.create_tables) {
      const auto table = table_exists(session_->netlink, id.family, to_string(id.table));
      if (!table) return table.error();
      if (!*table)
        return Error{ErrorKind::kAbsent, "there is no table " + to_string(id) + " (nft)"};
    }
    auto names = list_own_chains(session_->netlink, id);
    if (!names) return names.error();
    for (const ChainName& name : *names) {
      auto rules = read_own_chain(session_->netlink, id, name);
      if (!rules) return rules.error();
      observed.chains[name] = std::move(rules.value());
    }
    return observed;
  }

  std::shared_ptr<Session> session_;
};

}  // namespace

Result<NftBackend> make_nft_backend(NftOptions options) {
  auto session = std::make_shared<Session>();
  session->options = options;
  const auto generation = session->netlink.generation();
  if (!generation) return generation.error();
  NftBackend result;
  result.watch = make_watch(session, *generation);
  result.backend = std::make_unique<Nft>(std::move(session));
  return result;
}

}  // namespace nmanager

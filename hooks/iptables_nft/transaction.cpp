#include "hooks/iptables_nft/transaction.h"
#include "hooks/netlink/objects.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "hooks/iptables_nft/observe.h"
#include "hooks/iptables_nft/probe.h"
#include "hooks/iptables_nft/write.h"
#include "hooks/netlink/message.h"
#include "hooks/netlink/refusal.h"

namespace nmanager::iptables_nft {

namespace {

/// The repair of a jump must not wait for content: in the kernel, an xt match or target right after
/// a deletion waits for a grace period (16 ms). Therefore jumps to existing chains are moved in a
/// separate transaction first. If the chains are new, everything is done in one transaction.
bool hooks_come_first(const chains::TablePlan& plan) {
  if (plan.hooks.empty() || (plan.edits.empty() && plan.remove_chains.empty())) return false;
  return std::ranges::all_of(plan.hooks, [&](const chains::HookEdit& hook) {
    return !hook.insert || std::ranges::none_of(plan.edits, [&](const chains::ChainEdit& edit) {
      return edit.create && edit.chain == hook.jump_to;
    });
  });
}

std::vector<xt::Extension> extensions_of(const chains::TablePlan& plan) {
  std::vector<xt::Extension> result;
  for (const chains::ChainEdit& edit : plan.edits) {
    for (const chains::EditStep& step : edit.steps) {
      const auto* const insert = std::get_if<chains::Insert>(&step);
      if (insert == nullptr) continue;
      for (const xt::Extension& extension : xt::extensions_of(insert->rule)) {
        // iptables-nft uses nf_tables expressions for these two.
        if (extension == xt::kTcp || extension == xt::kUdp) continue;
        if (std::ranges::find(result, extension) == result.end()) result.push_back(extension);
      }
    }
  }
  return result;
}

}  // namespace

Result<NftTransaction::Missing> NftTransaction::find_missing(const chains::TablePlan& plan) {
  Missing missing;
  const auto any_rule = [](const auto& entry) { return !entry.second.empty(); };
  if (observed_.chains.empty() && std::ranges::none_of(observed_.hooks, any_rule)) {
    const auto table = netlink::table_exists(cache_->netlink(), id_.family, to_string(id_.table));
    if (!table) return table.error();
    missing.table = !*table;
  }
  for (const chains::HookEdit& edit : plan.hooks) {
    const auto seen = observed_.hooks.find(edit.hook);
    if (!edit.insert || (seen != observed_.hooks.end() && !seen->second.empty())) continue;
    const auto chain = netlink::chain_exists(cache_->netlink(), id_.family, to_string(id_.table),
                                             to_string(edit.hook));
    if (!chain) return chain.error();
    if (!*chain) missing.base_chains.insert(edit.hook);
  }
  return missing;
}

void NftTransaction::write_hooks(netlink::Batch& batch, const chains::TablePlan& plan,
                                 const Missing& missing) {
  ChainWriter writer(batch, id_);
  for (const Hook hook : missing.base_chains) writer.create_base_chain(hook);
  for (const chains::HookEdit& edit : plan.hooks) writer.edit_hook(edit);
}

void NftTransaction::write_chains(netlink::Batch& batch, const chains::TablePlan& plan,
                                  const std::set<ChainName>& keep) {
  ChainWriter writer(batch, id_);
  for (const chains::ChainEdit& edit : plan.edits) writer.edit_chain(edit);
  // Flush all before deleting any, since they may jump to each other. Do not flush an empty chain:
  // a transaction without changes creates no generation, and the next generation would be mistaken
  // for ours.
  for (const ChainName& chain : plan.remove_chains) {
    const auto seen = observed_.chains.find(chain);
    if (seen == observed_.chains.end() || !seen->second.empty()) writer.flush_chain(chain.str());
  }
  for (const ChainName& chain : plan.remove_chains) {
    if (!keep.contains(chain)) writer.delete_chain(chain.str());
  }
}

Result<chains::Commit> NftTransaction::commit(const chains::TablePlan& plan) {
  auto missing = find_missing(plan);
  if (!missing) return missing.error();
  chains::Commit result;
  if (hooks_come_first(plan)) {
    netlink::Batch jumps(generation_);
    write_hooks(jumps, plan, *missing);
    if (auto sent = send(jumps, plan, result.still_referenced, [] {}); !sent) return sent.error();
  }
  const bool hooks_done = hooks_come_first(plan);
  // Each round omits the deletions that were refused, so the number of rounds is limited.
  while (true) {
    netlink::Batch batch(generation_);
    ChainWriter writer(batch, id_);
    if (missing->table) writer.create_table();
    for (const chains::ChainEdit& edit : plan.edits) {
      if (edit.create) writer.create_chain(edit.chain.str());
    }
    if (!hooks_done) write_hooks(batch, plan, *missing);
    write_chains(batch, plan, result.still_referenced);
    const std::size_t busy = result.still_referenced.size();
    const Status sent = send(batch, plan, result.still_referenced, [&] {
      cache_->chains(id_).committed(plan, observed_, result.still_referenced);
    });
    if (sent) return result;
    if (result.still_referenced.size() == busy) return sent.error();
  }
}

Status NftTransaction::send(netlink::Batch& batch, const chains::TablePlan& plan,
                            std::set<ChainName>& busy, const std::function<void()>& learn) {
  if (batch.empty()) {
    learn();
    return {};
  }
  batch.finish();
  const auto errors = cache_->netlink().send(batch);
  if (!errors) {
    cache_->chains(id_).forget();  // it may be in place, and its events are not about others
    return errors.error();
  }
  if (errors->empty()) {
    generation_ = netlink::next_generation(generation_);
    cache_->committed(generation_, learn);
    cache_->proven(id_, generation_);
    return {};
  }
  const netlink::BatchError* first_other = nullptr;
  for (const netlink::BatchError& error : *errors) {
    const nlmsghdr* const message = batch.find(error.sequence);
    if (error.code == EBUSY && message != nullptr &&
        (message->nlmsg_type & 0xff) == NFT_MSG_DELCHAIN) {
      busy.emplace(netlink::Attributes(*message).text(NFTA_CHAIN_NAME));
    } else if (first_other == nullptr) {
      first_other = &error;
    }
  }
  return explain(batch, plan, first_other == nullptr ? errors->front() : *first_other);
}

Error NftTransaction::explain(const netlink::Batch& batch, const chains::TablePlan& plan,
                              const netlink::BatchError& error) {
  // For any cause other than ERESTART, the cached state led to an invalid commit.
  if (error.code != ERESTART) cache_->chains(id_).forget();
  const std::string where = to_string(id_) + " (nft)";
  if (error.code == ENOENT || error.code == EINVAL || error.code == EPROTONOSUPPORT) {
    auto missing = missing_extension(cache_->netlink(), id_.family, extensions_of(plan));
    if (missing) return {missing->kind, where + ": " + missing->message};
  }
  return netlink::refusal(cache_->netlink(), batch, error, where);
}

}  // namespace nmanager::iptables_nft

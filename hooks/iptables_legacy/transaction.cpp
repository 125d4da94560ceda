#include "hooks/iptables_legacy/transaction.h"

#include <malloc.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>

#include "hooks/iptables_legacy/blob.h"
#include "hooks/iptables_legacy/codec.h"
#include "hooks/iptables_legacy/editor.h"
#include "hooks/iptables_legacy/handle.h"
#include "hooks/iptables_legacy/look.h"
#include "hooks/values/hash.h"

namespace nmanager::iptables_legacy {

namespace {

/// From this size in bytes, memory is returned to the system, and the hooks are checked before the
/// whole table is read.
constexpr std::uint32_t kBigTable = 1U << 20;

/// The handle of a big table has hundreds of thousands of small blocks, which malloc would keep.
class GiveBackMemory {
 public:
  explicit GiveBackMemory(const TableShape& shape) : big_(shape.size > kBigTable) {}
  GiveBackMemory(const GiveBackMemory&) = delete;
  GiveBackMemory& operator=(const GiveBackMemory&) = delete;
  ~GiveBackMemory() {
    if (big_) malloc_trim(0);
  }

 private:
  bool big_;
};

Error commit_error(const TableContext& context, const chains::TablePlan& plan, int error) {
  const std::string where = "iptables-legacy, " + to_string(context.id) + ": ";
  if (error == EAGAIN || error == EPERM || error == ENOMEM) {
    return kernel_error(context.id, "writing the rules", error);
  }
  std::set<xt::Extension> needed;
  for (const chains::ChainEdit& edit : plan.edits) {
    for (const chains::EditStep& step : edit.steps) {
      const auto* insert = std::get_if<chains::Insert>(&step);
      if (insert == nullptr) continue;
      for (const xt::Extension& extension : xt::extensions_of(insert->rule))
        needed.insert(extension);
    }
  }
  std::string missing;
  for (const xt::Extension& extension : needed) {
    if (context.socket.has(extension)) continue;
    missing += missing.empty() ? "" : ", ";
    missing += (extension.is_target ? "target \"" : "match \"") + std::string(extension.name) +
               "\" revision " + std::to_string(extension.revision);
  }
  if (!missing.empty()) {
    return {ErrorKind::kUnsupported, where + "the kernel lacks " + missing};
  }
  // All extensions exist, so the refusal does not prove that the kernel lacks a feature.
  return {ErrorKind::kUnavailable, where + "the kernel refused the rules: " + std::strerror(error)};
}

template <class F>
class LegacyTransaction final : public chains::Transaction {
 public:
  LegacyTransaction(TableContext context, XtablesLock::Guard lock, const Settled& found,
                    chains::ObservedTable observed, std::optional<Handle<F>> handle, bool expecting)
      : context_(context),
        expecting_(expecting),
        shape_(found.shape),
        give_back_(found.shape),
        handle_(std::move(handle)),
        observed_(std::move(observed)),
        lock_(std::move(lock)) {
    remember(found);
  }

  [[nodiscard]] const chains::ObservedTable& observed() const override { return observed_; }

  [[nodiscard]] Result<chains::Commit> commit(const chains::TablePlan& plan) override {
    if (plan.id != context_.id) return Error{ErrorKind::kBug, "the plan is for another table"};
    context_.memory.settled.reset();
    if (const Status ready = prepare_handle(); !ready) return ready.error();
    auto edited = Editor<F>(context_.id, handle_->get()).apply(plan);
    if (!edited) return edited;
    if (F::commit(handle_->get()) == 0) return commit_error(context_, plan, errno);
    const auto shape = context_.socket.shape(to_string(context_.id.table));
    if (shape) remember({*shape, handle_signature()});
    if (expecting_) prove(plan);
    return edited;
  }

 private:
  void remember(const Settled& settled) {
    context_.memory.settled = settled;
    context_.seen.record(context_.id, settled.shape);
  }

  /// A chain that was written as a whole needs no decoding when it is read back. A writer without
  /// the lock may have added rules before the handle was opened: then it was not the whole.
  void prove(const chains::TablePlan& plan) {
    const HandleSource<F> source(handle_->get());
    ChainProofs& proofs = context_.memory.proofs;
    for (const chains::ChainEdit& edit : plan.edits) {
      chains::ChainDigest digest;
      std::size_t written = 0;
      for (const chains::EditStep& step : edit.steps) {
        const auto* insert = std::get_if<chains::Insert>(&step);
        if (insert == nullptr) continue;
        digest.add(insert->rule);
        ++written;
      }
      source.chain_rules(edit.chain.view(), [&](auto&& each_rule) {
        std::size_t found = 0;
        each_rule([&](Span, std::string_view) { ++found; });
        if (found != written) return;
        proofs.push_back(
            {hash_bytes(edit.chain.view()), hash_of_rules<F>(each_rule), digest.value()});
      });
    }
    std::ranges::sort(proofs);
  }

  [[nodiscard]] std::uint64_t handle_signature() const {
    return signature_of<F>(context_.id.table, HandleSource<F>(handle_->get()));
  }

  /// The handle must contain the same table as `observed_`, since the plan identifies rules by
  /// their index. A writer without the lock may have changed the table since it was observed;
  /// libiptc detects only later changes.
  [[nodiscard]] Status prepare_handle() {
    if (handle_) return {};
    auto opened = Handle<F>::open(context_.id.table);
    if (!opened) return opened.error();
    const auto shape = context_.socket.shape(to_string(context_.id.table));
    if (!shape) return shape.error();
    if (*shape != shape_) return kernel_error(context_.id, "writing the rules", EAGAIN);
    handle_.emplace(std::move(*opened));
    return {};
  }

  // Members are destroyed in reverse order: unlock first, then free the handle, then return the
  // memory.
  TableContext context_;
  bool expecting_;
  TableShape shape_;
  GiveBackMemory give_back_;
  std::optional<Handle<F>> handle_;
  chains::ObservedTable observed_;
  XtablesLock::Guard lock_;
};

template <class F>
class Begin {
 public:
  Begin(const TableContext& context, const chains::ChainDigests* expected) : context_(context) {
    if (expected != nullptr) expectation_.emplace(*expected, context.memory.proofs);
  }

  [[nodiscard]] Result<std::unique_ptr<chains::Transaction>> run(XtablesLock::Guard lock) {
    const auto shape = context_.socket.shape(to_string(table()));
    if (!shape) return shape.error();
    return hooks_are_settled(*shape) ? raw(std::move(lock)) : with_handle(std::move(lock), *shape);
  }

 private:
  [[nodiscard]] Table table() const { return context_.id.table; }

  /// A guess, to choose the cheaper method. Reading the front of a big table costs a fifth of the
  /// whole.
  [[nodiscard]] bool hooks_are_settled(const TableShape& shape) const {
    const auto& settled = context_.memory.settled;
    if (!settled || !same_hooks(settled->shape, shape)) return false;
    if (shape.size <= kBigTable) return true;
    const auto front = context_.socket.read_front(to_string(table()), shape);
    if (!front) return true;
    const auto signature = signature_of_front<F>(table(), front->entries(), shape);
    return !signature || *signature == settled->signature;
  }

  [[nodiscard]] Result<std::unique_ptr<chains::Transaction>> raw(XtablesLock::Guard lock) {
    const auto copy = context_.socket.read(to_string(table()));
    if (!copy) return copy.error();
    const auto blob = BlobIndex<F>::build(copy->entries(), copy->shape());
    if (!blob) return blob.error();
    return transaction(std::move(lock), copy->shape(), BlobSource<F>(*blob), std::nullopt);
  }

  [[nodiscard]] Result<std::unique_ptr<chains::Transaction>> with_handle(XtablesLock::Guard lock,
                                                                         const TableShape& shape) {
    auto handle = Handle<F>::open(table());
    if (!handle) return handle.error();
    const HandleSource<F> source(handle->get());
    return transaction(std::move(lock), shape, source, std::move(*handle));
  }

  template <class Source>
  [[nodiscard]] std::unique_ptr<chains::Transaction> transaction(XtablesLock::Guard lock,
                                                                 const TableShape& shape,
                                                                 const Source& source,
                                                                 std::optional<Handle<F>> handle) {
    chains::ObservedTable observed =
        look<F>(context_.id, source, expectation_ ? &*expectation_ : nullptr);
    const Settled found{shape, signature_of<F>(table(), source)};
    return std::make_unique<LegacyTransaction<F>>(context_, std::move(lock), found,
                                                  std::move(observed), std::move(handle),
                                                  expectation_.has_value());
  }

  TableContext context_;
  std::optional<Expectation> expectation_;
};

}  // namespace

Result<std::unique_ptr<chains::Transaction>> begin_transaction(
    TableContext context, XtablesLock::Guard lock, const chains::ChainDigests* expected) {
  return with_family(context.id.family,
                     [&]<class F>(F) { return Begin<F>(context, expected).run(std::move(lock)); });
}

}  // namespace nmanager::iptables_legacy

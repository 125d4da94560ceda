#include "hooks/legacy/transaction.h"

#include <malloc.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <set>
#include <utility>

#include "hooks/legacy/blob.h"
#include "hooks/legacy/codec.h"
#include "hooks/legacy/editor.h"
#include "hooks/legacy/handle.h"
#include "hooks/legacy/observe.h"

namespace nmanager::legacy {

namespace {

/// Both feeders of the one builder: the raw blob, and the libiptc handle.
template <class F>
ObservedTable observe(TableId id, const BlobIndex<F>& blob) {
  ObservedBuilder builder(id);
  const auto add = [&](Span entry, std::string_view jump_to) { builder.add_rule(entry, jump_to); };
  for (const Hook hook : ObservedBuilder::hooks(id.table)) {
    builder.open_hook(hook);
    if (const auto chain = blob.hook_chain(netfilter_hook(hook))) blob.for_each_rule(*chain, add);
  }
  for (const BlobChain& chain : blob.user_chains()) {
    if (!ObservedBuilder::wants_chain(chain.name)) continue;
    builder.open_chain(chain.name);
    blob.for_each_rule(chain, add);
  }
  return builder.take();
}

template <class F>
void add_rules(ObservedBuilder& builder, const std::string& chain, xtc_handle* handle) {
  if (F::is_chain(chain.c_str(), handle) == 0) return;
  for (const auto* entry = F::first_rule(chain.c_str(), handle); entry != nullptr;
       entry = F::next_rule(entry, handle)) {
    const Span bytes(reinterpret_cast<const std::uint8_t*>(entry), entry->next_offset);
    const auto target = extension_at(bytes, entry->target_offset);
    const auto verdict =
        target && target->name == XT_STANDARD_TARGET ? load<int>(target->data) : std::nullopt;
    // A rule without -j is a standard target, too; libiptc gives it an empty name.
    const bool jumps = verdict && *verdict >= 0;
    builder.add_rule(bytes, jumps ? F::get_target(entry, handle) : "");
  }
}

template <class F>
ObservedTable observe(TableId id, xtc_handle* handle) {
  ObservedBuilder builder(id);
  for (const Hook hook : ObservedBuilder::hooks(id.table)) {
    builder.open_hook(hook);
    add_rules<F>(builder, std::string(to_string(hook)), handle);
  }
  std::vector<std::string> own;  // a list of its own: looking at rules moves libiptc's iterators
  for (const char* name = F::first_chain(handle); name != nullptr; name = F::next_chain(handle)) {
    if (ObservedBuilder::wants_chain(name)) own.emplace_back(name);
  }
  for (const std::string& name : own) {
    builder.open_chain(name);
    add_rules<F>(builder, name, handle);
  }
  return builder.take();
}

/// The handle of a big table is hundreds of thousands of small blocks; malloc would keep them.
class GiveBackMemory {
 public:
  explicit GiveBackMemory(std::uint32_t table_size) : big_(table_size > (1U << 20)) {}
  GiveBackMemory(const GiveBackMemory&) = delete;
  GiveBackMemory& operator=(const GiveBackMemory&) = delete;
  ~GiveBackMemory() {
    if (big_) malloc_trim(0);
  }

 private:
  bool big_;
};

Error commit_error(const TableContext& context, const TablePlan& plan, int error) {
  const std::string where = "iptables-legacy, " + to_string(context.id) + ": ";
  if (error == EAGAIN || error == EPERM || error == ENOMEM) {
    return kernel_error(context.id, "writing the rules", error);
  }
  std::set<Extension> needed;
  for (const ChainEdit& edit : plan.edits) {
    for (const EditStep& step : edit.steps) {
      const auto* insert = std::get_if<Insert>(&step);
      if (insert == nullptr) continue;
      for (Extension& extension : extensions_of(insert->rule)) needed.insert(std::move(extension));
    }
  }
  std::string missing;
  for (const Extension& extension : needed) {
    if (context.socket.has(extension)) continue;
    missing += missing.empty() ? "" : ", ";
    missing += (extension.is_target ? "target \"" : "match \"") + extension.name + "\" revision " +
               std::to_string(extension.revision);
  }
  if (!missing.empty()) {
    return {ErrorKind::kUnsupported, where + "the kernel lacks " + missing};
  }
  const bool refused = error == ENOENT || error == EINVAL;
  return {refused ? ErrorKind::kUnsupported : ErrorKind::kUnavailable,
          where + "the kernel refused the rules: " + std::strerror(error)};
}

template <class F>
class LegacyTransaction final : public Transaction {
 public:
  LegacyTransaction(TableContext context, XtablesLock::Guard lock, const TableShape& shape,
                    ObservedTable observed, std::optional<Handle<F>> handle)
      : context_(context),
        shape_(shape),
        memory_(shape.size),
        handle_(std::move(handle)),
        observed_(std::move(observed)),
        lock_(std::move(lock)) {
    remember(shape);
  }

  [[nodiscard]] const ObservedTable& observed() const override { return observed_; }

  [[nodiscard]] Result<Commit> commit(const TablePlan& plan) override {
    if (plan.id != context_.id) return Error{ErrorKind::kBug, "a plan for another table"};
    context_.settled.reset();
    if (const Status ready = prepare_handle(); !ready) return ready.error();
    auto edited = Editor<F>(context_.id, handle_->get()).apply(plan);
    if (!edited) return edited;
    if (F::commit(handle_->get()) == 0) return commit_error(context_, plan, errno);
    if (const auto shape = context_.socket.shape(context_.id.table)) remember(*shape);
    return edited;
  }

 private:
  void remember(const TableShape& shape) {
    context_.settled = shape;
    context_.seen.record(context_.id, shape);
  }

  /// The handle has to hold what `observed_` shows, since the plan names rules by their places. A
  /// writer without the lock may have come between; libiptc guards only the time from here on.
  [[nodiscard]] Status prepare_handle() {
    if (handle_) return {};
    auto opened = Handle<F>::open(context_.id.table);
    if (!opened) return opened.error();
    const auto shape = context_.socket.shape(context_.id.table);
    if (!shape) return shape.error();
    if (*shape != shape_) return kernel_error(context_.id, "writing the rules", EAGAIN);
    handle_.emplace(std::move(*opened));
    return {};
  }

  // Destroyed from the end: unlock first, then free the handle, then give the memory back.
  TableContext context_;
  TableShape shape_;
  GiveBackMemory memory_;
  std::optional<Handle<F>> handle_;
  ObservedTable observed_;
  XtablesLock::Guard lock_;
};

template <class F>
Result<std::unique_ptr<Transaction>> begin_raw(const TableContext& context,
                                               XtablesLock::Guard lock) {
  const auto copy = context.socket.read(context.id.table);
  if (!copy) return copy.error();
  const auto blob = BlobIndex<F>::build(copy->entries(), copy->shape());
  if (!blob) return blob.error();
  return std::unique_ptr<Transaction>(std::make_unique<LegacyTransaction<F>>(
      context, std::move(lock), copy->shape(), observe<F>(context.id, *blob), std::nullopt));
}

template <class F>
Result<std::unique_ptr<Transaction>> begin_with_handle(const TableContext& context,
                                                       XtablesLock::Guard lock,
                                                       const TableShape& shape) {
  auto handle = Handle<F>::open(context.id.table);
  if (!handle) return handle.error();
  ObservedTable observed = observe<F>(context.id, handle->get());
  return std::unique_ptr<Transaction>(std::make_unique<LegacyTransaction<F>>(
      context, std::move(lock), shape, std::move(observed), std::move(*handle)));
}

}  // namespace

Result<std::unique_ptr<Transaction>> begin_transaction(TableContext context,
                                                       XtablesLock::Guard lock) {
  const auto shape = context.socket.shape(context.id.table);
  if (!shape) return shape.error();
  const bool settled = context.settled && same_hooks(*context.settled, *shape);
  return with_family(context.id.family, [&]<class F>(F) {
    return settled ? begin_raw<F>(context, std::move(lock))
                   : begin_with_handle<F>(context, std::move(lock), *shape);
  });
}

}  // namespace nmanager::legacy

// Owning pointers for libnftnl's objects.
#pragma once

#include <cstdio>  // libnftnl/expr.h takes a FILE* without including it

#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>

#include <memory>
#include <new>

namespace nmanager::netlink {

struct NftnlDeleter {
  void operator()(nftnl_rule* rule) const { nftnl_rule_free(rule); }
  void operator()(nftnl_chain* chain) const { nftnl_chain_free(chain); }
  void operator()(nftnl_expr_iter* iterator) const { nftnl_expr_iter_destroy(iterator); }
};
template <class T>
using NftnlPtr = std::unique_ptr<T, NftnlDeleter>;

/// Returns `made`; throws std::bad_alloc if it is nullptr, which libnftnl returns when memory is
/// exhausted (or a name is unknown).
template <class T>
[[nodiscard]] T* made_or_throw(T* made) {
  if (made == nullptr) throw std::bad_alloc();
  return made;
}

}  // namespace nmanager::netlink

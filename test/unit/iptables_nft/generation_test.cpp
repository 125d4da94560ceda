// Generation ids, including the wrap. Pure.
#include "hooks/netlink/generation.h"

#include <doctest/doctest.h>

namespace nmanager::test {
using namespace nmanager::netlink;
namespace {

constexpr Generation kLast = 0xffffffff;

TEST_CASE("ids are consecutive across the wrap, without 0") {
  CHECK(next_generation(1) == 2);
  CHECK(next_generation(kLast) == 1);
  CHECK(generations_between(5, 5) == 0);
  CHECK(generations_between(5, 7) == 2);
  CHECK(generations_between(7, 5) == -2);
  CHECK(generations_between(kLast, 1) > 0);
  CHECK(generations_between(1, kLast) < 0);
  CHECK(generations_between(kLast - 5, 5) > 0);
}

TEST_CASE("our own ids are known, also around the wrap") {
  OwnGenerations own;
  CHECK(own.all_own(3, 3));
  CHECK_FALSE(own.all_own(3, 4));
  own.add(4);
  own.add(6);
  CHECK(own.contains(4));
  CHECK_FALSE(own.contains(5));
  CHECK(own.all_own(3, 4));
  CHECK_FALSE(own.all_own(3, 5));
  CHECK_FALSE(own.all_own(3, 6));
  CHECK(own.all_own(5, 6));
  OwnGenerations wrapping;
  for (const Generation id : {kLast - 1, kLast, Generation{1}, Generation{2}}) wrapping.add(id);
  CHECK(wrapping.all_own(kLast - 2, 2));
  CHECK_FALSE(wrapping.all_own(kLast - 2, 3));
  CHECK_FALSE(wrapping.all_own(kLast - 3, 2));
}

TEST_CASE("old ids are forgotten, which only costs an extra read") {
  OwnGenerations own;
  for (Generation id = 1; id <= 10000; ++id) own.add(id);
  CHECK(own.contains(10000));
  CHECK_FALSE(own.contains(1));
  CHECK(own.all_own(9990, 10000));
  CHECK_FALSE(own.all_own(1, 10000));
}

}  // namespace
}  // namespace nmanager::test

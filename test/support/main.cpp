#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <iostream>

#include "test/support/skip.h"

namespace nmanager::test {

namespace {

/// Counts the cases in which skip() was called; test/run.sh reads the last line.
class SkipCounter final : public doctest::IReporter {
 public:
  explicit SkipCounter(const doctest::ContextOptions& /*options*/) {}

  void test_case_start(const doctest::TestCaseData& /*data*/) override { (void)take_skipped(); }
  void test_case_end(const doctest::CurrentTestCaseStats& stats) override {
    if (take_skipped() && stats.failure_flags == 0) ++count_;
  }
  void test_run_end(const doctest::TestRunStats& /*stats*/) override {
    if (count_ > 0) std::cout << "[cases that could not run here] " << count_ << '\n';
  }

  void report_query(const doctest::QueryData& /*data*/) override {}
  void test_run_start() override {}
  void test_case_reenter(const doctest::TestCaseData& /*data*/) override {}
  void test_case_exception(const doctest::TestCaseException& /*exception*/) override {}
  void subcase_start(const doctest::SubcaseSignature& /*signature*/) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData& /*data*/) override {}
  void log_message(const doctest::MessageData& /*data*/) override {}
  void test_case_skipped(const doctest::TestCaseData& /*data*/) override {}

 private:
  int count_ = 0;
};

REGISTER_LISTENER("skip_counter", 1, SkipCounter);

}  // namespace

}  // namespace nmanager::test

#include "plugin/api/body_sink.h"

#include <cstdint>

namespace nmanager::api {

namespace {

using concurrency::streams::char_traits;

/// Write-only. Nothing here may throw or block: it runs on the library's threads, and an exception
/// from a sink would end the process.
class SinkBuffer final
    : public concurrency::streams::details::streambuf_state_manager<std::uint8_t> {
 public:
  using Traits = char_traits<std::uint8_t>;
  using int_type = Traits::int_type;
  using pos_type = Traits::pos_type;
  using off_type = Traits::off_type;

  explicit SinkBuffer(std::shared_ptr<Exchange> exchange)
      : streambuf_state_manager(std::ios_base::out), exchange_(std::move(exchange)) {}

  [[nodiscard]] bool can_seek() const override { return false; }
  [[nodiscard]] bool has_size() const override { return false; }
  [[nodiscard]] std::size_t buffer_size(std::ios_base::openmode) const override { return 0; }
  void set_buffer_size(std::size_t, std::ios_base::openmode) override {}
  [[nodiscard]] std::size_t in_avail() const override { return 0; }
  [[nodiscard]] pos_type getpos(std::ios_base::openmode) const override { return Traits::eof(); }
  pos_type seekpos(pos_type, std::ios_base::openmode) override { return Traits::eof(); }
  pos_type seekoff(off_type, std::ios_base::seekdir, std::ios_base::openmode) override {
    return Traits::eof();
  }
  bool acquire(std::uint8_t*&, std::size_t&) override { return false; }
  void release(std::uint8_t*, std::size_t) override {}

 protected:
  pplx::task<int_type> _putc(std::uint8_t byte) override {
    return put({&byte, 1}).then([byte](std::size_t taken) -> int_type {
      return taken == 1 ? byte : Traits::eof();
    });
  }
  pplx::task<std::size_t> _putn(const std::uint8_t* data, std::size_t count) override {
    return put({data, count});
  }
  pplx::task<int_type> _bumpc() override { return nothing(); }
  int_type _sbumpc() override { return Traits::eof(); }
  pplx::task<int_type> _getc() override { return nothing(); }
  int_type _sgetc() override { return Traits::eof(); }
  pplx::task<int_type> _nextc() override { return nothing(); }
  pplx::task<int_type> _ungetc() override { return nothing(); }
  pplx::task<std::size_t> _getn(std::uint8_t*, std::size_t) override {
    return pplx::task_from_result<std::size_t>(0);
  }
  std::size_t _scopy(std::uint8_t*, std::size_t) override { return 0; }
  pplx::task<bool> _sync() override { return pplx::task_from_result(true); }
  std::uint8_t* _alloc(std::size_t) override { return nullptr; }
  void _commit(std::size_t) override {}

 private:
  /// Completes when the library may read more. This bounds the buffered data if the reader is
  /// slower than the network.
  pplx::task<std::size_t> put(std::span<const std::uint8_t> data) {
    const pplx::task_completion_event<std::size_t> done;
    exchange_->on_data(
        data, [done, size = data.size()](bool go_on) { done.set(go_on ? size : std::size_t{0}); });
    return pplx::create_task(done);
  }

  static pplx::task<int_type> nothing() { return pplx::task_from_result<int_type>(Traits::eof()); }

  std::shared_ptr<Exchange> exchange_;
};

}  // namespace

concurrency::streams::ostream body_sink(std::shared_ptr<Exchange> exchange) {
  const auto buffer = std::make_shared<SinkBuffer>(std::move(exchange));
  return concurrency::streams::streambuf<std::uint8_t>(
             std::static_pointer_cast<concurrency::streams::details::basic_streambuf<std::uint8_t>>(
                 buffer))
      .create_ostream();
}

}  // namespace nmanager::api

#include "conformance/runtime/call.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string_view>

namespace lockstep::conformance {
namespace {

template <std::size_t n>
void check_text(const char* call, const char (&field)[n], const char* name) {
  check(std::memchr(field, '\0', n) != nullptr, text("%s: diag.%s is not terminated", call, name));
  check(is_utf8(field), text("%s: diag.%s is not UTF-8", call, name));
}

// Whether the failure of such a call cannot be that of a command which was enqueued before.
bool concerns_no_command(std::string_view call) {
  for (const char* begin :
       {"buffer_", "kernel_query", "queue_copy", "queue_fill", "queue_launch", "queue_read", "queue_write"}) {
    if (call.starts_with(begin)) return true;
  }
  return false;
}

std::atomic<std::size_t> bytes_of_diags{sizeof(lks_diag)};

constexpr unsigned char unknown_field = 0x5c;

}  // namespace

DiagsOfSize::DiagsOfSize(std::size_t bytes) { bytes_of_diags = bytes; }
DiagsOfSize::~DiagsOfSize() { bytes_of_diags = sizeof(lks_diag); }

lks_diag empty_diagnosis() {
  lks_diag diag;
  std::memset(&diag, 0, sizeof diag);
  diag.hdr.size = sizeof diag;
  diag.operand = -1;
  return diag;
}

DriverFailure::DriverFailure(const std::string& name, lks_status code, const lks_diag& d)
    : CheckFailed(name + " failed with " + status_name(code) + ": " + d.what), call(name), status(code), diag(d) {}

// Passes a diag with an unknown extension, as a newer host might. The driver must skip the extension and must not
// change the header.
Call::Call(const char* name) : name_(name), before_(empty_diagnosis()) {
  static const lks_header extension{sizeof(lks_header), LKS_MAY_SKIP | 0u, nullptr};
  before_.hdr.next = &extension;
  const std::size_t bytes = bytes_of_diags;
  before_.hdr.size = static_cast<std::uint32_t>(bytes);
  now_ = before_;
  if (bytes == sizeof now_) return;
  other_ = std::make_unique<PageEdge>(bytes);
  std::memset(other_->data(), unknown_field, bytes);
  std::memcpy(other_->data(), &before_, std::min(bytes, sizeof before_));
}

// Copies the diag of another size to `now_`.
void Call::take_other() {
  const std::size_t bytes = before_.hdr.size;
  std::memcpy(&now_, other_->data(), std::min(bytes, sizeof now_));
  for (std::size_t at = sizeof now_; at < bytes; ++at) {
    check(other_->data()[at] == unknown_field,
          text("%s wrote byte %zu of a diag, which driver.h does not know", name_, at));
  }
}

lks_status Call::done(lks_status status) {
  if (other_) take_other();
  const bool known = status <= LKS_OK && status >= LKS_INTERNAL;
  check(known, text("%s returned %s", name_, status_name(status).c_str()));
  if (status == LKS_OK) {
    check(std::memcmp(&before_, &now_, sizeof now_) == 0,
          text("%s succeeded and yet wrote to the diag (code %d, what \"%.100s\")", name_, now_.code, now_.what));
    return status;
  }
  check_text(name_, now_.what, "what");
  check_text(name_, now_.where, "where");
  check_text(name_, now_.hint, "hint");
  check_text(name_, now_.native_name, "native_name");
  check(std::memcmp(&before_.hdr, &now_.hdr, sizeof now_.hdr) == 0,
        text("%s failed and changed the header of the caller's diag", name_));
  check(now_.code == status,
        text("%s returned %s and diag.code is %s", name_, status_name(status).c_str(), status_name(now_.code).c_str()));
  check(now_.what[0] != '\0', text("%s returned %s without a text in diag.what", name_, status_name(status).c_str()));
  check(status != LKS_UNSUPPORTED || now_.reason != LKS_REASON_NONE,
        text("%s returned LKS_UNSUPPORTED with LKS_REASON_NONE, set diag.reason to what is not supported: %s", name_,
             now_.what));
  if (!concerns_no_command(name_)) return status;
  check(now_.value == 0, text("%s failed in the call, and diag.value names command %llu of a timeline", name_,
                              static_cast<unsigned long long>(now_.value)));
  check(now_.launch == 0 || std::string_view(name_).starts_with("queue_launch"),
        text("%s failed, and diag.launch names launch %u", name_, now_.launch));
  return status;
}

void Call::ok(lks_status status) {
  if (done(status) != LKS_OK) throw DriverFailure(name_, status, now_);
}

void Call::fails(lks_status status, lks_status expected) {
  done(status);
  check(status == expected, text("%s returned %s (%s), expected %s", name_, status_name(status).c_str(),
                                 status == LKS_OK ? "done" : now_.what, status_name(expected).c_str()));
}

}  // namespace lockstep::conformance

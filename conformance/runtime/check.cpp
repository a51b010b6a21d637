#include "conformance/runtime/check.h"

#include <algorithm>
#include <cstdarg>

namespace lockstep::conformance {

std::string text(const char* format, ...) {
  char buffer[1024];
  va_list args;
  va_start(args, format);
  std::vsnprintf(buffer, sizeof buffer, format, args);
  va_end(args);
  return buffer;
}

std::string status_name(lks_status status) {
  switch (status) {
    case LKS_OK: return "LKS_OK";
    case LKS_NOT_READY: return "LKS_NOT_READY";
    case LKS_INVALID_ARGUMENT: return "LKS_INVALID_ARGUMENT";
    case LKS_UNSUPPORTED: return "LKS_UNSUPPORTED";
    case LKS_OUT_OF_MEMORY: return "LKS_OUT_OF_MEMORY";
    case LKS_UNAVAILABLE: return "LKS_UNAVAILABLE";
    case LKS_DEVICE_LOST: return "LKS_DEVICE_LOST";
    case LKS_TIMEOUT: return "LKS_TIMEOUT";
    case LKS_CANCELLED: return "LKS_CANCELLED";
    case LKS_ABI_MISMATCH: return "LKS_ABI_MISMATCH";
    case LKS_DATA_CORRUPT: return "LKS_DATA_CORRUPT";
    case LKS_INTERNAL: return "LKS_INTERNAL";
    default: return "the unknown status " + std::to_string(status);
  }
}

std::string reason_name(std::int32_t reason) {
  static constexpr const char* names[] = {"NONE",      "OP",        "DTYPE",    "RANK",  "LAYOUT",
                                          "ATTRIBUTE", "MATH_MODE", "SIZE",     "ALIAS", "RESOURCE",
                                          "PROGRAM",   "VERSION",   "HARDWARE", "INDEX", "EXTENSION"};
  const bool known = reason >= 0 && reason < static_cast<std::int32_t>(std::size(names));
  return (known ? std::string("LKS_REASON_") + names[reason] : "the unknown reason") + " (" + std::to_string(reason) +
         ")";
}

bool is_utf8(std::string_view text) {
  std::size_t more = 0;  // bytes of the character that are still to come
  std::uint32_t character = 0, least = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (more > 0) {
      if ((byte & 0xc0u) != 0x80u) return false;
      character = character << 6 | (byte & 0x3fu);
      const bool is_surrogate = character >= 0xd800 && character < 0xe000;
      if (--more == 0 && (character < least || character > 0x10ffff || is_surrogate)) return false;
    } else if (byte >= 0xf8 || (byte & 0xc0u) == 0x80u) {
      return false;
    } else if (byte >= 0x80) {
      more = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
      character = byte & (0x3fu >> more);
      least = more == 3 ? 0x10000 : more == 2 ? 0x800 : 0x80;
    }
  }
  return more == 0;
}

void check_same_bytes(std::span<const unsigned char> got, std::span<const unsigned char> expected,
                      const std::string& what) {
  check(got.size() == expected.size(), text("%s: %zu bytes, expected %zu", what.c_str(), got.size(), expected.size()));
  const auto at = std::mismatch(got.begin(), got.end(), expected.begin());
  if (at.first == got.end()) return;
  const auto first = static_cast<std::size_t>(at.first - got.begin());
  std::size_t wrong = 0, last = first;
  for (std::size_t i = first; i < got.size(); ++i) {
    if (got[i] == expected[i]) continue;
    ++wrong;
    last = i;
  }
  throw CheckFailed(text("%s: byte %zu of %zu is 0x%02x, expected 0x%02x; %zu bytes differ, the last is byte %zu",
                         what.c_str(), first, got.size(), got[first], expected[first], wrong, last));
}

}  // namespace lockstep::conformance

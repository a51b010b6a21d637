// Memory sizes as text, and the report of an out-of-memory error.
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "lockstep/error.h"
#include "runtime/enums.h"
#include "runtime/memory/allocator.h"
#include "runtime/thread_state.h"

namespace lockstep {
namespace {

constexpr std::array<std::string_view, memory_owner_count> owner_names = {
    "activations", "gradients", "variables", "optimizer", "data", "workspace", "other"};

constexpr std::array<std::string_view, 5> units = {"B", "KiB", "MiB", "GiB", "TiB"};

std::string advice_for(const MemoryShortage& shortage) {
  if (shortage.by_limit) return "raise the memory limit, or use smaller batches";
  return "use smaller batches, or free tensors and tapes that are no longer needed";
}

std::string owners_text(const MemoryStats& stats) {
  std::string text;
  for (std::size_t i = 0; i < owner_names.size(); ++i) {
    if (stats.live_by_owner[i] == 0) continue;
    text += (text.empty() ? "" : "   ") + std::string(owner_names[i]) + " " + format_bytes(stats.live_by_owner[i]);
  }
  return text.empty() ? "nothing" : text;
}

}  // namespace

std::string_view name_of(MemoryOwner owner) {
  return owner <= MemoryOwner::other ? owner_names[static_cast<std::size_t>(owner)] : "nobody";
}

MemoryOwnerScope::MemoryOwnerScope(MemoryOwner owner, CallSite where) : previous_(thread_state().owner) {
  check_enum(owner, MemoryOwner::other, "owner of memory", "MemoryOwnerScope", where);
  thread_state().owner = owner;
}
MemoryOwnerScope::~MemoryOwnerScope() { thread_state().owner = previous_; }

std::string format_bytes(std::uint64_t bytes) {
  std::size_t unit = 0;
  auto value = static_cast<double>(bytes);
  while (value >= 1024 && unit + 1 < units.size()) {
    value /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text,
                unit == 0     ? "%.0f %s"
                : value < 100 ? "%.2f %s"
                              : "%.0f %s",
                value, units[unit].data());
  return text;
}

std::uint64_t parse_bytes(std::string_view text) {
  const auto fail = [&](const char* why) {
    ErrorBuilder(ErrorId::bad_arguments, "size", "\"" + std::string(text) + "\" " + why)
        .fix("write a number of bytes, or one with KiB, MiB, GiB or TiB, such as 512MiB")
        .raise();
  };
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0 || !std::isfinite(number)) fail("is not a size");
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  if (unit.empty()) unit = "B";
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (unit != units[i]) continue;
    const double bytes = std::round(std::ldexp(number, static_cast<int>(10 * i)));
    if (bytes >= 0x1p63) fail("is too large");
    return static_cast<std::uint64_t>(bytes);
  }
  fail("has an unknown unit");
  return 0;
}

ErrorBuilder host_out_of_memory(std::string_view op, std::uint64_t bytes) {
  return {ErrorId::out_of_memory, op, "the host has no " + format_bytes(bytes) + " left for the elements"};
}

void raise_out_of_memory(const std::string& device, const MemoryShortage& shortage, const BlockPurpose& purpose) {
  const bool impossible = shortage.device_total > 0 && shortage.requested > shortage.device_total;
  std::string need = std::string(purpose.label ? purpose.label : "memory") + " " + purpose.what;
  if (purpose.describe) need += " " + purpose.describe(purpose.subject);
  need += " needs " + format_bytes(shortage.requested);
  if (impossible) {
    need += ", the device has " + format_bytes(shortage.device_total) + " in all";
  } else if (shortage.by_limit) {
    need += ", the limit of " + format_bytes(*shortage.stats.limit) + " leaves " +
            format_bytes(*shortage.stats.limit - std::min(*shortage.stats.limit, shortage.stats.live));
  } else {
    need += ", largest free block " + format_bytes(shortage.stats.largest_cached_block);
  }

  ErrorBuilder error(impossible ? ErrorId::impossible_size : ErrorId::out_of_memory, device, need);
  std::string memory = format_bytes(shortage.stats.reserved) + " held = live " + format_bytes(shortage.stats.live) +
                       " + cached " + format_bytes(shortage.stats.cached);
  if (shortage.stats.limit) memory += "; limit " + format_bytes(*shortage.stats.limit);
  if (shortage.device_free) {
    memory += "; device has " + format_bytes(*shortage.device_free) + " free of " + format_bytes(shortage.device_total);
  }
  error.line("memory", memory).line("live", owners_text(shortage.stats));
  std::string largest;
  for (std::size_t i = 0; i < shortage.largest.size() && i < 5; ++i) {
    largest += (i ? "   " : "") + shortage.largest[i].first + " " + format_bytes(shortage.largest[i].second);
  }
  if (!largest.empty()) error.line("largest", largest);
  if (!shortage.driver_text.empty()) error.line("driver", shortage.driver_text);
  if (purpose.where) error.at(*purpose.where);
  error.fix(impossible ? "check the shape: no device of this kind can hold it" : advice_for(shortage)).raise();
}

}  // namespace lockstep

// Tests memory sizes as text, and the complete report of an out-of-memory error.
#include <gtest/gtest.h>

#include <source_location>

#include "lockstep/lockstep.h"
#include "runtime/memory/allocator.h"

namespace lockstep {
namespace {

TEST(Sizes, Print) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1024), "1.00 KiB");
  EXPECT_EQ(format_bytes(99 << 10), "99.00 KiB");
  EXPECT_EQ(format_bytes(100 << 10), "100 KiB");
  EXPECT_EQ(format_bytes(3 << 19), "1.50 MiB");
  EXPECT_EQ(format_bytes(std::uint64_t{7} << 40), "7.00 TiB");
  EXPECT_EQ(format_bytes(std::uint64_t{5000} << 40), "5000 TiB");
}

TEST(Sizes, Parse) {
  EXPECT_EQ(parse_bytes("0"), 0u);
  EXPECT_EQ(parse_bytes("7 B"), 7u);
  EXPECT_EQ(parse_bytes("2KiB"), 2048u);
  EXPECT_EQ(parse_bytes("1.5  MiB"), 3u << 19);
  EXPECT_EQ(parse_bytes("0.5"), 1u) << "parts of a byte are rounded";
  EXPECT_EQ(parse_bytes("2TiB"), std::uint64_t{2} << 40);
  EXPECT_EQ(parse_bytes("9223372036854774784"), std::uint64_t{9223372036854774784u});
}

std::string message_of(const std::string& size) {
  try {
    parse_bytes(size);
  } catch (const UsageError& e) {
    return e.headline();
  }
  return "";
}

TEST(Sizes, ErrorsSayWhatIsWrong) {
  for (const char* text : {"", "x", "-1", "inf", "nan"})
    EXPECT_EQ(message_of(text), "\"" + std::string(text) + "\" is not a size");
  EXPECT_EQ(message_of("1 kB"), "\"1 kB\" has an unknown unit");
  EXPECT_EQ(message_of("9223372036854775808"), "\"9223372036854775808\" is too large");
}

TEST(MemoryOwners, HaveNames) {
  EXPECT_EQ(name_of(MemoryOwner::activations), "activations");
  EXPECT_EQ(name_of(MemoryOwner::other), "other");
  EXPECT_EQ(name_of(static_cast<MemoryOwner>(memory_owner_count)), "nobody");
}

MemoryShortage shortage() {
  MemoryShortage s;
  s.requested = 3000;
  s.stats.live = 4096;
  s.stats.cached = 1024;
  s.stats.reserved = 5120;
  s.stats.largest_cached_block = 512;
  s.device_total = 8192;
  return s;
}

std::string report(const MemoryShortage& s, const BlockPurpose& purpose = {}) {
  try {
    raise_out_of_memory("toy:0", s, purpose);
  } catch (const OutOfMemoryError& e) {
    return e.what();
  }
}

TEST(OutOfMemoryReport, OfTheHostSaysHowMuchIsMissing) {
  try {
    host_out_of_memory("HostView", 3 << 19).line("tensor", "f32 (2, 3)").fix("slice it first").raise();
  } catch (const OutOfMemoryError& e) {
    EXPECT_STREQ(e.what(),
                 "OutOfMemoryError[LS5001] HostView: the host has no 1.50 MiB left for the elements\n"
                 "  tensor f32 (2, 3)\n  fix    slice it first");
  }
}

TEST(OutOfMemoryReport, OfADeviceThatIsFull) {
  EXPECT_EQ(report(shortage()),
            "OutOfMemoryError[LS5001] toy:0: memory output needs 2.93 KiB, largest free block 512 B\n"
            "  memory 5.00 KiB held = live 4.00 KiB + cached 1.00 KiB\n"
            "  live   nothing\n"
            "  fix    use smaller batches, or free tensors and tapes that are no longer needed");
}

TEST(OutOfMemoryReport, OfALimitNamesHoldersAndWhatTheDriverSaid) {
  MemoryShortage s = shortage();
  s.by_limit = true;
  s.stats.limit = 6144;
  s.stats.live_by_owner[static_cast<std::size_t>(MemoryOwner::activations)] = 3072;
  s.stats.live_by_owner[static_cast<std::size_t>(MemoryOwner::other)] = 1024;
  s.device_free = 2048;
  s.largest = {{"a", 1600}, {"b", 1500}, {"c", 400}, {"d", 300}, {"e", 200}, {"f", 96}};
  s.driver_text = "no room";
  static const int subject = 7;
  const auto describe = [](const void* given) { return "of " + std::to_string(*static_cast<const int*>(given)); };
  const std::source_location here = std::source_location::current();
  const CallSite site = here;
  EXPECT_EQ(
      report(s, {.label = "concat", .what = "workspace", .describe = describe, .subject = &subject, .where = &site}),
      "OutOfMemoryError[LS5001] toy:0: concat workspace of 7 needs 2.93 KiB, the limit of 6.00 KiB leaves 2.00 KiB\n"
      "  memory 5.00 KiB held = live 4.00 KiB + cached 1.00 KiB; limit 6.00 KiB; device has 2.00 KiB free of 8.00 KiB\n"
      "  live   activations 3.00 KiB   other 1.00 KiB\n"
      "  largest a 1.56 KiB   b 1.46 KiB   c 400 B   d 300 B   e 200 B\n"
      "  driver no room\n"
      "  where  called at memory_report_test.cpp:" +
          std::to_string(here.line()) + "\n  fix    raise the memory limit, or use smaller batches");
  s.stats.limit = 1000;  // was lowered below what is in use
  EXPECT_NE(report(s).find("the limit of 1000 B leaves 0 B"), std::string::npos) << report(s);
}

TEST(OutOfMemoryReport, OfASizeThatNoSuchDeviceHas) {
  MemoryShortage s = shortage();
  s.requested = 8192;
  EXPECT_NE(report(s).find("LS5001"), std::string::npos) << "it would fit if nothing else were there";
  s.requested = 8193;
  EXPECT_EQ(report(s),
            "OutOfMemoryError[LS5002] toy:0: memory output needs 8.00 KiB, the device has 8.00 KiB in all\n"
            "  memory 5.00 KiB held = live 4.00 KiB + cached 1.00 KiB\n"
            "  live   nothing\n"
            "  fix    check the shape: no device of this kind can hold it");
  s.device_total = 0;
  EXPECT_NE(report(s).find("LS5001"), std::string::npos) << "nobody knows how much the device has";
}

}  // namespace
}  // namespace lockstep

// Tests of the C interface itself: struct sizes, extensions, loading, device descriptions.
#include <cstddef>
#include <cstring>
#include <memory>
#include <set>

#include "api/internal/abi_1_0.h"
#include "conformance/runtime/footprint.h"
#include "conformance/runtime/kernels.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

using u64 = std::uint64_t;

lks_status enter(const DriverLibrary& library, const TestHost& host, const lks_driver_api** api) {
  Call call("the entry");
  *api = nullptr;
  return call.done(library.entry()(&host.api(), api, call.diag()));
}

// The entry function is pure: it returns the same table each time, starts no thread, does no native work and keeps no
// pointer to its host.
void entry_is_pure(const RuntimeTarget& target) {
  DriverLibrary library(target.library);
  const std::int64_t threads = footprint().threads;
  auto passing = std::make_unique<TestHost>();
  const lks_driver_api *first = nullptr, *second = nullptr;
  check(enter(library, *passing, &first) == LKS_OK && first, "the entry failed");
  check(passing->passed() == 0, "the entry passed a fault point: it does native work");
  passing.reset();
  TestHost host;
  check(&library.table(host.api()) == first, "the entry gave another table the second time");
  check(enter(library, host, &second) == LKS_OK && second == first, "the entry gave another table the third time");
  check(footprint().threads == threads, "the entry started a thread");
}

void table_is_complete(const RuntimeTarget& target) {
  DriverLibrary library(target.library);
  TestHost host;
  const lks_driver_api& api = library.table(host.api());
  check(api.abi_major == LKS_ABI_MAJOR, text("the table is of ABI %u", api.abi_major));
  check(api.hdr.size >= driver_api_1_0,
        text("the table has %u bytes, that of ABI 1.0 has %zu", api.hdr.size, driver_api_1_0));
  for (std::size_t at = offsetof(lks_driver_api, driver_open); at < driver_api_1_0; at += sizeof(void*)) {
    void* slot = nullptr;
    std::memcpy(static_cast<void*>(&slot), reinterpret_cast<const char*>(&api) + at, sizeof slot);
    check(slot != nullptr, text("the slot at byte %zu of the table is empty", at));
  }
  for (const char* string : {api.name, api.vendor, api.version, api.build_id}) {
    check(string && *string, "name, vendor, version or build_id is missing");
  }
}

// device_describe with a struct that is smaller or larger than the driver's, and with an extension.
void describe_sizes(const RuntimeTarget& target) {
  Session s(target);
  constexpr std::size_t room = sizeof(lks_device_info) + 256;
  constexpr unsigned char canary = 0xc3;
  for (std::size_t size : {sizeof(lks_header) + 4, sizeof(lks_header) + 16, offsetof(lks_device_info, heaps),
                           offsetof(lks_device_info, name), offsetof(lks_device_info, reason), sizeof(lks_device_info),
                           sizeof(lks_device_info) + 8, sizeof(lks_device_info) + 200}) {
    alignas(lks_device_info) unsigned char memory[room];
    std::memset(memory, canary, room);
    const lks_header extension{sizeof(lks_header), LKS_MAY_SKIP | 3u, nullptr};
    const lks_header header{static_cast<std::uint32_t>(size), 0, &extension};
    std::memcpy(memory, &header, sizeof header);
    Call call("device_describe");
    call.ok(s.api.device_describe(s.driver, s.ordinal, reinterpret_cast<lks_device_info*>(memory), call.diag()));
    check(std::memcmp(memory, &header, sizeof header) == 0, "device_describe changed the header");
    const std::size_t known = std::min(size, sizeof(lks_device_info));
    check_same_bytes({memory + sizeof header, known - sizeof header},
                     {reinterpret_cast<const unsigned char*>(&s.info) + sizeof header, known - sizeof header},
                     text("device_describe into %zu bytes, compared with the whole description", size));
    for (std::size_t i = size; i < room; ++i) {
      check(memory[i] == canary, text("device_describe was given %zu bytes and wrote byte %zu", size, i));
    }
  }
}

void description(const RuntimeTarget& target) {
  Session s(target);
  const lks_device_info& info = s.info;
  check(info.max_rank == LKS_MAX_RANK,
        text("max_rank is %u, and must be LKS_MAX_RANK, which is %d", info.max_rank, LKS_MAX_RANK));
  check(info.math_modes != 0, "the device offers no math mode at all");
  check((info.math_modes & ~7u) == 0, text("math_modes is 0x%x: there are three", info.math_modes));
  check(info.type >= LKS_DEVICE_CPU && info.type <= LKS_DEVICE_ACCELERATOR, text("type is %d", info.type));
  check(std::memchr(info.name, 0, sizeof info.name) && info.name[0], "the device has no name");
  for (const auto& [at, size] : {std::pair<const char*, std::size_t>{info.vendor, sizeof info.vendor},
                                 {info.version, sizeof info.version},
                                 {info.reason, sizeof info.reason}}) {
    check(std::memchr(at, 0, size) != nullptr, "a text of the description is not terminated");
  }
  for (const char* told : {info.name, info.vendor, info.version, info.reason}) {
    check(is_utf8(told), "a text of the description is not UTF-8");
  }
  const lks_device_info again = describe(s.api, s.driver, s.ordinal);
  check(std::memcmp(&again, &info, sizeof info) == 0,
        "an open device is described otherwise than before it was opened");
}

void out_of_range(const RuntimeTarget& target) {
  Session s(target);
  const std::uint32_t count = s.api.device_count(s.driver);
  check(s.api.device_count(s.driver) == count, "device_count changes");
  for (std::uint32_t ordinal : {count, count + 1, 0x7fff'ffffu, 0xffff'ffffu}) {
    lks_device_info info;
    std::memset(&info, 0, sizeof info);
    info.hdr.size = sizeof info;
    Call call("device_describe of a device that is not there");
    check(call.done(s.api.device_describe(s.driver, ordinal, &info, call.diag())) != LKS_OK,
          text("device %u of %u is described", ordinal, count));
    lks_device* device = nullptr;
    Call open("device_open of a device that is not there");
    check(open.done(s.api.device_open(s.driver, ordinal, &device, open.diag())) != LKS_OK,
          text("device %u of %u is opened", ordinal, count));
    u64 total = 0, free_bytes = 0;
    Call memory("device_memory of a device that is not there");
    check(memory.done(s.api.device_memory(s.driver, ordinal, nullptr, 0, &total, &free_bytes, memory.diag())) != LKS_OK,
          text("device %u of %u has memory", ordinal, count));
    const KernelSample sample = multiply_add_sample(4);
    Description description(sample, LKS_MODE_STRICT, s.info.min_alignment);
    Call ask("kernel_query of a device that is not there");
    check(ask.done(s.api.kernel_query(s.driver, ordinal, &description.desc, &description.info, ask.diag())) != LKS_OK,
          text("device %u of %u has kernels", ordinal, count));
  }
}

// A capability bit is set if and only if get_group returns its table, with every slot filled.
void groups(const RuntimeTarget& target) {
  Session s(target);
  for (u64 bit = LKS_CAP_GRAPH; bit <= LKS_CAP_COLLECTIVES; bit <<= 1) {
    const void* group = s.api.get_group(s.driver, bit);
    const auto number = static_cast<unsigned long long>(bit);
    if (!(s.info.capabilities & bit)) {
      // With several devices, another one may have the capability.
      if (s.api.device_count(s.driver) == 1)
        check(!group, text("capability %llu is not claimed and has a group", number));
      continue;
    }
    check(group != nullptr, text("capability %llu is claimed and has no group", number));
    const auto size = static_cast<const lks_header*>(group)->size;
    check(size > sizeof(lks_header), text("the group of capability %llu is empty", number));
    constexpr std::size_t import_export = offsetof(lks_import_export_group, buffer_import) + sizeof(void*);
    check(bit != LKS_CAP_IMPORT_EXPORT || size >= import_export,
          text("the group of LKS_CAP_IMPORT_EXPORT has %u bytes, not %zu or more", size, import_export));
    for (std::size_t at = sizeof(lks_header); at + sizeof(void*) <= size; at += sizeof(void*)) {
      void* slot = nullptr;
      std::memcpy(static_cast<void*>(&slot), static_cast<const char*>(group) + at, sizeof slot);
      check(slot != nullptr, text("a slot in the group of capability %llu is empty", number));
    }
  }
  for (u64 bit : {u64{0}, u64{LKS_CAP_INLINE_QUEUE}, u64{LKS_CAP_COPIES_WRITES}, u64{1} << 40, u64{1} << 63}) {
    check(!s.api.get_group(s.driver, bit), text("there is a group for bit %llu", static_cast<unsigned long long>(bit)));
  }
}

void strings_live(const RuntimeTarget& target) {
  DriverLibrary library(target.library);
  TestHost host;
  const lks_driver_api& api = library.table(host.api());
  const std::string before = std::string(api.name) + api.vendor + api.version + api.build_id;
  std::set<std::string> variants[2];
  for (auto& round : variants) {
    lks_driver* driver = nullptr;
    Call open("driver_open");
    open.ok(api.driver_open(&host.api(), &driver, open.diag()));
    const char* kept = api.kernel_variant(driver, LKS_OP_POINTWISE, 0);
    const std::string at_once = kept ? kept : "";
    for (std::uint32_t op = 0; op < 200; ++op) {
      for (std::uint32_t i = 0; const char* name = api.kernel_variant(driver, op, i); ++i) {
        check(i < 1000, text("op %u has a thousand variants", op));
        check(*name != '\0', text("variant %u of op %u has no name", i, op));
        round.insert(std::to_string(op) + name);
      }
    }
    check(!kept || at_once == kept, "the name of a variant changed while the driver was open");
    api.driver_close(driver);
  }
  check(variants[0] == variants[1], "the driver, opened again, has other variants");
  check(before == std::string(api.name) + api.vendor + api.version + api.build_id, "name or version changed");
}

void open_and_close(const RuntimeTarget& target) {
  for (int i = 0; i < 50; ++i) {
    Session s(target);
    Queue queue(s);
    const Buffer buffer(s, 256);
    queue.fill(buffer, 0, 256, static_cast<u64>(i));
    check_same_bytes(queue.download(buffer), Bytes(256, static_cast<unsigned char>(i)), text("opened %d times", i + 1));
  }
}

// From dlopen to dlclose, if the driver's flags say that it may be unloaded.
void load_and_unload(const RuntimeTarget& target) {
  const KernelSample sample = multiply_add_sample(100);
  const auto use = [&] {
    Session s(target);
    Queue queue(s);
    const Kernel kernel(s, sample);
    check(static_cast<bool>(kernel), "a pointwise program on i32 is refused");
    check_same_bytes(run_sample(s, queue, sample, kernel)[0], multiply_add(sample.values[0], sample.values[1]),
                     "a kernel of a freshly loaded driver");
  };
  use();
  check_no_growth("load, use and unload the driver", 50, use, 64);
}

// Several lks_drivers opened from one library are independent of each other.
void two_at_once(const RuntimeTarget& target) {
  Session one(target);
  auto two = std::make_unique<Session>(target);
  Queue here(one);
  {
    Queue there(*two);
    const Buffer a(one, 64), b(*two, 64);
    one.host.fail_at(0);
    two->host.fail_at(0);
    here.fill(a, 0, 64, 1);
    here.finish();
    check(two->host.passed() == 0, "work of one driver called the host of another");
    there.fill(b, 0, 64, 2);
    check_same_bytes(here.download(a), Bytes(64, 1), "memory of the first of two drivers");
    check_same_bytes(there.download(b), Bytes(64, 2), "memory of the second of two drivers");
  }
  two.reset();
  const Buffer after(one, 64);
  here.fill(after, 0, 64, 3);
  check_same_bytes(here.download(after), Bytes(64, 3), "memory of a driver after another one was closed");
}

// The driver that was opened first is closed first. The second one, which is in use, goes on.
void first_closes_first(const RuntimeTarget& target) {
  auto one = std::make_unique<Session>(target);
  Session two(target);
  const KernelSample sample = multiply_add_sample(100);
  Queue queue(two);
  const Kernel kernel(two, sample);
  check(static_cast<bool>(kernel), "a pointwise program on i32 is refused");
  {
    Queue early(*one);
    const Buffer buffer(*one, 64);
    early.fill(buffer, 0, 64, 1);
    check_same_bytes(early.download(buffer), Bytes(64, 1), "memory of the first of two drivers");
  }
  one.reset();
  check_same_bytes(run_sample(two, queue, sample, kernel)[0], multiply_add(sample.values[0], sample.values[1]),
                   "a kernel of a driver after one that was opened before it was closed");
  check(static_cast<bool>(Kernel(two, sample)), "after another driver was closed, a kernel is refused");
}

}  // namespace

std::vector<RuntimeCase> abi_cases() {
  return {
      {"abi", "entry_is_pure", "the entry gives one table, starts nothing and keeps nothing", &entry_is_pure},
      {"abi", "table_is_complete", "every name, and every slot of ABI 1.0, is in the table", &table_is_complete},
      {"abi", "describe_sizes", "device_describe fills what fits and no byte more", &describe_sizes},
      {"abi", "description", "the device's description is sound and stays the same", &description},
      {"abi", "out_of_range", "devices that are not there are refused everywhere", &out_of_range},
      {"abi", "groups", "capability bits and groups agree", &groups},
      {"abi", "strings_live", "names live as long as they should and stay the same", &strings_live},
      {"abi", "open_and_close", "the driver opens and closes fifty times", &open_and_close},
      {"abi", "load_and_unload", "the library loads and unloads many times and loses nothing", &load_and_unload},
      {"abi", "two_at_once", "two drivers opened from one library share nothing", &two_at_once},
      {"abi", "first_closes_first", "a driver works on after one that was opened before it was closed",
       &first_closes_first},
  };
}

}  // namespace lockstep::conformance

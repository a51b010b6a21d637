// Hosts of another version than the driver: their tables and structs are smaller or larger than the driver's.
#include <algorithm>
#include <cstring>
#include <memory>

#include "api/internal/abi_1_0.h"
#include "conformance/runtime/failing_launch.h"
#include "conformance/runtime/page_edge.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

lks_status enter(const DriverLibrary& library, const TestHost& host, const lks_driver_api** api, lks_diag* diag) {
  Call call("the entry");
  *api = nullptr;
  const lks_status status = call.done(library.entry()(&host.api(), api, call.diag()));
  *diag = call.filled();
  return status;
}

// Work that succeeds, and failures of every kind: in a call, of a query, of a launch, and of a timeline of the host.
void use_and_fail(Session& s, std::uint64_t seed, std::size_t diag_bytes) {
  Queue queue(s);
  const KernelSample sample = multiply_add_sample(100);
  {
    const Kernel kernel(s, sample);
    check(static_cast<bool>(kernel), "a pointwise program on i32 is refused");
    check_same_bytes(run_sample(s, queue, sample, kernel)[0], multiply_add(sample.values[0], sample.values[1]),
                     "a kernel of a driver whose host has another version");
  }
  lks_buffer* buffer = nullptr;
  Call allocate("buffer_alloc in a heap that is not there");
  check(allocate.done(s.api.buffer_alloc(s.device, 99, 64, &buffer, allocate.diag())) != LKS_OK, "there is a heap 99");
  Description newer_schema(sample, LKS_MODE_STRICT, s.info.min_alignment);
  newer_schema.desc.op_version = 99;
  check(!query(s, newer_schema), "version 99 of pointwise programs is offered");

  const BadIndex made = bad_index(LKS_OP_GATHER, 99, seed);
  const Kernel gather(s, made.sample);
  check(static_cast<bool>(gather), "gather is refused");
  const IndexMemory memory(s, queue, made.sample);
  queue.upload(memory.indices, made.bad);
  Launch launch(gather, made.sample, memory.locations());
  std::uint64_t value = 0;
  const lks_diag late = launch_and_fail(s, queue, launch, value);
  check(late.reason == LKS_REASON_INDEX, "an index outside its tensor failed for " + reason_name(late.reason));
  queue.recover();

  lks_diag failure = empty_diagnosis();
  failure.hdr.size = static_cast<std::uint32_t>(diag_bytes);
  failure.code = LKS_CANCELLED;
  std::memcpy(failure.what, "stopped by the host", 20);
  PageEdge told(diag_bytes);
  std::memcpy(told.data(), &failure, std::min(diag_bytes, sizeof failure));
  const Timeline timeline(s);
  Call signal("timeline_signal");
  signal.ok(s.api.timeline_signal(timeline.handle(), 1, told.as<lks_diag>(), signal.diag()));
  lks_diag got;
  check(wait_within(s, timeline.handle(), 1, 0, &got) == LKS_CANCELLED && std::strcmp(got.what, failure.what) == 0,
        std::string("the host's failure of a timeline came back as: ") + got.what);
}

// A newer host: more fields in its table and structs, a higher minor version and unknown extensions.
void newer_host(const RuntimeTarget& target) {
  for (std::uint32_t minor : {LKS_ABI_MINOR + 1, LKS_ABI_MINOR + 7, 1000u}) {
    DriverLibrary library(target.library);
    const lks_header last{sizeof(lks_header), LKS_MAY_SKIP | 2u, nullptr},
        extension{sizeof(lks_header), LKS_MAY_SKIP | 1u, &last};
    TestHost host;
    host.pretend(LKS_ABI_MAJOR, minor, sizeof(lks_host_api) + 128);
    host.extend(&extension);
    const lks_driver_api* api = nullptr;
    lks_diag diag;
    check(enter(library, host, &api, &diag) == LKS_OK,
          text("a host of ABI 1.%u with a larger table is refused: %s", minor, diag.what));
    lks_driver* driver = nullptr;
    Call open("driver_open with a newer host");
    open.ok(api->driver_open(&host.api(), &driver, open.diag()));
    const lks_device_info info = describe(*api, driver, target.ordinal);
    check(info.heap_count > 0 || info.status != LKS_OK, "a newer host sees no heaps");
    api->driver_close(driver);
  }
  constexpr std::size_t larger = sizeof(lks_diag) + 64;
  const DiagsOfSize diags(larger);
  Session s(target);
  use_and_fail(s, target.seed, larger);
}

// An array as a newer host has it: each element is larger than the struct of driver.h, and so says its header.
template <class T>
class LargerElements {
 public:
  LargerElements(const T* elements, std::size_t count) : bytes_(count * size + sizeof(T), 0x5c) {
    for (std::size_t i = 0; i < count; ++i) {
      T element = elements[i];
      element.hdr.size = size;
      std::memcpy(bytes_.data() + i * size, &element, sizeof element);
    }
  }
  const T* data() const { return reinterpret_cast<const T*>(bytes_.data()); }

 private:
  static constexpr std::uint32_t size = sizeof(T) + 64;
  Bytes bytes_;
};

void larger_elements(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  for (const KernelSample& sample : kernel_samples(target.seed, 1)) {
    Description asked(sample, LKS_MODE_STRICT, s.info.min_alignment);
    if (!query(s, asked)) continue;
    const std::size_t inputs = sample.inputs.size();
    const LargerElements<lks_tensor_desc> in(asked.tensors.data(), inputs),
        out(asked.tensors.data() + inputs, sample.outputs.size());
    asked.desc.inputs = in.data();
    asked.desc.outputs = out.data();
    const Kernel usual(s, sample), kernel(s, asked, sample.name);
    check(static_cast<bool>(kernel), sample.name + " is refused if the host's tensor descriptions are larger");
    const std::vector<Bytes> expected = run_sample(s, queue, sample, usual), got = run_sample(s, queue, sample, kernel);
    for (std::size_t o = 0; o < expected.size(); ++o) {
      check_same_bytes(got[o], expected[o], sample.name + ", prepared from larger tensor descriptions");
    }
  }
  const KernelSample sample = multiply_add_sample(100);
  const Kernel kernel(s, sample);
  const Buffer first(s, 400), b(s, 400), second(s, 400), third(s, 400);
  queue.upload(first, sample.values[0]);
  queue.upload(b, sample.values[1]);
  Launch one(kernel, sample, {{&first, 0}, {&b, 0}, {&second, 0}}),
      two(kernel, sample, {{&second, 0}, {&b, 0}, {&third, 0}}),
      three(kernel, sample, {{&third, 0}, {&b, 0}, {&first, 0}});
  const lks_launch unit[] = {one.abi(), two.abi(), three.abi()};
  const LargerElements<lks_launch> larger(unit, 3);
  wait_for(s, queue.timeline(), queue.launch(larger.data(), 3));
  Bytes expected = sample.values[0];
  for (int i = 0; i < 3; ++i) expected = multiply_add(expected, sample.values[1]);
  check_same_bytes(queue.download(first), expected, "three launches in structs that are larger than the driver's");
}

// Attributes grow at their end; what is behind those that the driver knows is zero, and means what it did before.
void larger_attributes(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  for (const KernelSample& sample : kernel_samples(target.seed, 1)) {
    if (sample.attrs.empty()) continue;
    const Kernel usual(s, sample);
    if (!usual) continue;
    Bytes attrs = sample.attrs;
    attrs.resize(attrs.size() + 32);
    Description asked(sample, LKS_MODE_STRICT, s.info.min_alignment);
    asked.desc.attrs = attrs.data();
    asked.desc.attrs_size = static_cast<std::uint32_t>(attrs.size());
    const Kernel kernel(s, asked, sample.name);
    check(static_cast<bool>(kernel), sample.name + " is refused if the host's attributes are larger");
    const std::vector<Bytes> expected = run_sample(s, queue, sample, usual), got = run_sample(s, queue, sample, kernel);
    for (std::size_t o = 0; o < expected.size(); ++o) {
      check_same_bytes(got[o], expected[o], sample.name + ", prepared from larger attributes");
    }
  }
}

// A host of ABI 1.0. Its table and its diags end where memory ends, so a driver that reads or writes a later field
// crashes. The entry may refuse such a host; then the driver needs a newer one.
void older_host(const RuntimeTarget& target) {
  const DiagsOfSize diags(diag_1_0);
  std::unique_ptr<Session> session;
  try {
    session = std::make_unique<Session>(target, HostVersion::first);
  } catch (const DriverFailure& e) {
    if (e.call == "the entry" && e.status == LKS_ABI_MISMATCH) {
      throw NotOffered(std::string("the driver needs a newer host than one of ABI 1.0: ") + e.diag.what);
    }
    throw;
  }
  use_and_fail(*session, target.seed, diag_1_0);
}

// No host of this major version has a smaller table than that of ABI 1.0: its entries could not be called.
void host_without_entries(const RuntimeTarget& target) {
  DriverLibrary library(target.library);
  for (const std::size_t size : {offsetof(lks_host_api, fault_point), offsetof(lks_host_api, log)}) {
    TestHost host;
    host.pretend(LKS_ABI_MAJOR, 0, static_cast<std::uint32_t>(size));
    const lks_driver_api* api = nullptr;
    lks_diag diag;
    const lks_status status = enter(library, host, &api, &diag);
    check(status == LKS_ABI_MISMATCH,
          text("a host whose table has %zu bytes, less than that of ABI 1.0, got %s from the entry, not "
               "LKS_ABI_MISMATCH",
               size, status_name(status).c_str()));
  }
}

void other_major(const RuntimeTarget& target) {
  DriverLibrary library(target.library);
  for (std::uint32_t major : {0u, LKS_ABI_MAJOR + 1, 99u}) {
    TestHost host;
    host.pretend(major, 0, sizeof(lks_host_api));
    const lks_driver_api* api = nullptr;
    lks_diag diag;
    const lks_status status = enter(library, host, &api, &diag);
    check(status == LKS_ABI_MISMATCH, text("a host of ABI %u.0 got %s", major, status_name(status).c_str()));
  }
}

}  // namespace

std::vector<RuntimeCase> version_cases() {
  return {
      {"abi", "newer_host", "a host with more fields, a higher minor and unknown extensions is accepted", &newer_host},
      {"abi", "larger_elements", "arrays are read by the size of the host's structs", &larger_elements},
      {"abi", "larger_attributes", "attributes of a newer host, with zeros at their end, mean what they did",
       &larger_attributes},
      {"abi", "older_host", "a host of ABI 1.0 is accepted, and no later field of its structs is touched", &older_host},
      {"abi", "host_without_entries", "a host that lacks entries of ABI 1.0 is refused", &host_without_entries},
      {"abi", "other_major", "a host of another major version is refused", &other_major},
  };
}

}  // namespace lockstep::conformance

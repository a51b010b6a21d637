// Checks the bits of lockstep mode on every device that offers it, in several layouts and with several numbers of
// threads.
#include "conformance/lockstep_vectors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>

#include "lockstep/ops.h"
#include "lockstep/parallel.h"

namespace lockstep::conformance {
namespace {

TEST(LockstepVectors, SomeDeviceOffersTheMode) { EXPECT_FALSE(lockstep_devices().empty()); }

// If LOCKSTEP_CPU_ISA forces one build of the CPU driver, that build must be the one that is tested.
TEST(LockstepVectors, TheForcedBuildOfTheCpuDriverOffersTheMode) {
  const char* level = std::getenv("LOCKSTEP_CPU_ISA");
  if (!level) return;
  const std::vector<std::string> ids = lockstep_devices();
  ASSERT_NE(std::find(ids.begin(), ids.end(), "cpu:0"), ids.end());
  EXPECT_NE(describe(Device("cpu:0")).version.find(std::string("x86-64-") + level), std::string::npos);
}

TEST(LockstepVectors, NamesAreUniqueAndTheSummingOpsAreThere) {
  std::set<std::string> names, ops;
  for (const VectorCase& c : lockstep_vectors()) {
    EXPECT_TRUE(names.insert(c.name()).second) << c.name();
    ops.insert(c.op);
  }
  for (const char* op : {"sum", "mean", "matmul", "conv2d", "conv2d_backward_input", "conv2d_backward_filter",
                         "avg_pool2d", "avg_pool2d_backward", "max_pool2d", "max_pool2d_backward", "scatter_add"}) {
    EXPECT_TRUE(ops.contains(op)) << op;
  }
}

// In strict mode the reference driver sums in a wider dtype. All of these results must differ from those of lockstep
// mode; otherwise the vectors would not distinguish orders of summation.
TEST(LockstepVectors, StrictSumsOfTheReferenceAreToldApart) {
  int told_apart = 0, sums = 0;
  const Device device("reference:0");
  for (const VectorCase& c : lockstep_vectors()) {
    if (c.op != "matmul" || c.inputs[0].dtype != DType::f32 || c.inputs[0].shape[-1] < 200) continue;
    const CaseOperands operands(*find_op(c.op), c.call, c.inputs, device, Layout::dense);
    const Tensor strict = invoke(*find_op(c.op), operands.operands())[0];
    const MathModeScope mode(MathMode::lockstep);
    const Tensor lockstep = invoke(*find_op(c.op), operands.operands())[0];
    told_apart += strict.to_bytes() != lockstep.to_bytes();
    ++sums;
  }
  EXPECT_GT(sums, 5);
  EXPECT_EQ(told_apart, sums);
}

// The comparison must be able to fail: in a bit that the vector gives, and in the hash.
TEST(LockstepVectors, TamperedBitsAreNoticed) {
  const Device device(lockstep_devices().front());
  bool bits = false, hashed = false;
  for (VectorCase c : lockstep_vectors()) {
    VectorOutput& out = c.outputs[0];
    if (out.first.empty() || (out.sha256.empty() ? bits : hashed)) continue;
    ASSERT_TRUE(check_vector(c, device, Layout::dense).ok) << c.name();
    if (out.sha256.empty()) {
      bits = true;
      out.first.back() ^= std::byte{0x80};
    } else {
      hashed = true;
      out.sha256.back() = out.sha256.back() == '0' ? '1' : '0';
    }
    EXPECT_FALSE(check_vector(c, device, Layout::dense).ok) << c.name();
  }
  EXPECT_TRUE(bits && hashed);
}

std::string page() {
  std::ifstream file(LOCKSTEP_MODE_PAGE);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The bits of each element, in hexadecimal.
std::vector<std::string> hex_of(const Tensor& tensor) {
  const std::vector<std::byte> bytes = tensor.to_bytes();
  const std::size_t size = size_of(tensor.dtype());
  std::vector<std::string> all;
  for (std::size_t at = 0; at < bytes.size(); at += size) {
    std::string text;
    char two[3];
    for (std::size_t i = size; i-- > 0;) {
      std::snprintf(two, sizeof two, "%02x", std::to_integer<unsigned>(bytes[at + i]));
      text += two;
    }
    all.push_back(text);
  }
  return all;
}

std::string joined(const std::vector<std::string>& words, const std::string& between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

TEST(LockstepVectors, ThePageShowsThoseThatAreForIt) {
  const std::string text = page();
  int found = 0;
  for (const VectorCase& c : lockstep_vectors()) {
    if (c.call.name.find("/page") == std::string::npos) continue;
    ASSERT_TRUE(c.outputs[0].sha256.empty()) << c.name();
    const DeviceScope scope(Device("reference:0"));
    const Tensor result = Tensor::from_bytes(c.outputs[0].first.data(), c.outputs[0].first.size(),
                                             {c.outputs[0].dtype, c.outputs[0].shape}, Device("reference:0"));
    for (const std::string& bits : hex_of(result)) EXPECT_NE(text.find(bits), std::string::npos) << c.name();
    ++found;
  }
  EXPECT_GT(found, 30);
}

// The rows of the page for random numbers and functions, which are not among the page's vectors.
TEST(LockstepVectors, ThePageShowsRandomNumbersAndFunctions) {
  const std::string text = page();
  const auto expect_row = [&](const char* what, const Tensor& result, const char* between = " ") {
    const std::string row = "`" + joined(hex_of(result), between) + "`";
    EXPECT_NE(text.find(row), std::string::npos) << what << " is " << row;
  };
  const MathModeScope mode(MathMode::lockstep);
  const RandomKey key{0x0123456789abcdef, 42};
  for (const std::string& id : lockstep_devices()) {
    const DeviceScope scope{Device(id)};
    expect_row("random_bits", random_bits({5}, DType::i32, key));
    expect_row("random_bits", random_bits({3}, DType::i64, key));
    expect_row("random_uniform", random_uniform({5}, 0, 1, {.key = key}));
    expect_row("random_uniform", random_uniform({3}, 0, 1, {.dtype = DType::f64, .key = key}));
    expect_row("random_normal", random_normal({5}, 0, 1, {.key = key}));
    expect_row("random_truncated_normal", random_truncated_normal({5}, 0, 1, {.key = key}));
    expect_row("dropout", dropout(ones({8}), 0.25, key));
    EXPECT_EQ(random_permutation(8, key).to_vector<std::int64_t>(),
              (std::vector<std::int64_t>{5, 7, 2, 3, 4, 1, 0, 6}));
    const Tensor x({1.0f, -2.5f, 0.1f, 88.0f, -100.0f});
    const auto expect_cells = [&](const char* what, const Tensor& y) { expect_row(what, y, "` | `"); };
    expect_cells("exp", exp(x));
    expect_cells("tanh", tanh(x));
    expect_cells("sigmoid", sigmoid(x));
    expect_cells("erf", erf(x));
    expect_cells("gelu", gelu(x));
    expect_cells("log", log(square(x)));
    expect_cells("rsqrt", rsqrt(square(x)));
    const Tensor logits(std::vector{1.0f, 2.0f, 3.0f, -1.0f}, {1, 4});
    expect_row("softmax", softmax(logits));
    expect_row("log_softmax", log_softmax(logits));
    expect_row("sparse_cross_entropy", sparse_cross_entropy(logits, Tensor({std::int64_t{0}})));
  }
}

TEST(LockstepVectors, CorruptTextIsRefused) {
  EXPECT_THROW(read_lockstep_vectors(""), std::runtime_error);
  EXPECT_THROW(read_lockstep_vectors("{\"cases\":[{\"op\":\"sum\"}]}"), std::runtime_error);
  EXPECT_THROW(read_lockstep_vectors("{\"cases\":[{\"op\":\"none\",\"name\":\"x\",\"inputs\":[],\"outputs\":[]}]}"),
               std::runtime_error);
}

class LockstepDevice : public testing::TestWithParam<std::string> {};

TEST_P(LockstepDevice, GivesTheBits) {
  const Device device(GetParam());
  const unsigned before = thread_count();
  for (unsigned threads : {1u, 2u, 3u}) {
    set_thread_count(threads);
    for (Layout layout : {Layout::dense, Layout::offset, Layout::sliced, Layout::transposed, Layout::reversed,
                          Layout::padded_rows, Layout::channels_second, Layout::last_reversed}) {
      for (const VectorCase& c : lockstep_vectors()) {
        try {
          const Verdict v = check_vector(c, device, layout);
          EXPECT_TRUE(v.ok) << c.name() << ", " << name_of(layout) << ", " << threads << " threads: " << v.text;
        } catch (const Error& e) {
          ADD_FAILURE() << c.name() << ", " << name_of(layout) << ": " << e.what();
        }
      }
    }
  }
  set_thread_count(before);
}

INSTANTIATE_TEST_SUITE_P(All, LockstepDevice, testing::ValuesIn(lockstep_devices()),
                         [](const testing::TestParamInfo<std::string>& of) {
                           std::string name = of.param;
                           std::replace(name.begin(), name.end(), ':', '_');
                           return name;
                         });

}  // namespace
}  // namespace lockstep::conformance

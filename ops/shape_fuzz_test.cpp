// Fuzzes shapes: calls every op with random extents, attributes and numbers. Each call must be refused with a Lockstep
// error, or give specs whose sizes fit 63 bits and layouts that stay inside them. LOCKSTEP_FUZZ_ROUNDS and
// LOCKSTEP_FUZZ_SEED set the number of rounds and the seed.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "lockstep/lockstep.h"
#include "lockstep/op_def.h"
#include "ops/infer.h"
#include "ops/invoke.h"
#include "ops/launch.h"
#include "ops/observer.h"
#include "runtime/thread_state.h"

namespace lockstep {
namespace {

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : state_(seed) {}
  std::uint64_t word() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(word() % n); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  template <class T, std::size_t n>
  T of(const T (&all)[n]) {
    return all[below(n)];
  }

  std::int64_t extent() {
    constexpr std::int64_t extents[] = {0,
                                        1,
                                        1,
                                        2,
                                        3,
                                        4,
                                        7,
                                        64,
                                        65537,
                                        INT32_MAX,
                                        std::int64_t{1} << 31,
                                        std::int64_t{1} << 32,
                                        std::int64_t{1} << 61,
                                        std::int64_t{1} << 62,
                                        INT64_MAX};
    return one_in(8) ? static_cast<std::int64_t>(word() >> (1 + below(63))) : of(extents);
  }
  std::int64_t number() {
    constexpr std::int64_t numbers[] = {INT64_MIN, INT64_MIN + 1, INT64_MIN / 2, INT32_MIN, -9, -2, -1, 8, 255, 256};
    return one_in(2) ? of(numbers) : extent();
  }
  Dim dim() {
    if (!one_in(12)) return extent();
    const Dim n = Dim::symbol("n"), m = Dim::symbol("m");
    const Dim symbols[] = {n, m, n * 3, n * m, n + 5, n * INT64_MAX, n * (std::int64_t{1} << 62) + 1};
    return symbols[below(std::size(symbols))];
  }
  Scalar scalar() {
    const Scalar scalars[] = {0,   1,    -1,   2.5,  -0.5,      1e300,     INFINITY,         -INFINITY,
                              NAN, true, 1e19, 0.25, INT64_MAX, INT64_MIN, ~std::uint64_t{0}};
    return scalars[below(std::size(scalars))];
  }

 private:
  std::uint64_t state_;
};

// One call, with everything that it points to.
struct FuzzedCall {
  const OpDef* op;
  std::vector<Tensor> tensors;
  std::vector<Operand> operands;
  std::vector<std::byte> attrs;
  std::vector<Scalar> scalars;

  OpCall call() const { return {*op, operands, attrs.empty() ? nullptr : attrs.data(), scalars, {}}; }
  std::string text() const {
    std::string text = op->name;
    for (const Operand& o : operands) text += o.is_tensor() ? " " + Tensor::share(o.impl()).describe() : " number";
    for (const AttrField& f : op->attrs.fields) {
      text += "; " + f.name;
      const std::size_t words = f.kind == AttrField::Kind::list ? sizeof(IntList) / 8 : 1;
      for (std::size_t i = 0; i < words; ++i) {
        std::int64_t v = 0;
        std::memcpy(&v, attrs.data() + f.offset + 8 * i, 8);
        text += " " + std::to_string(v);
      }
    }
    return text;
  }
};

class Fuzzer {
 public:
  Fuzzer(const OpDef& op, Draw& draw) : op_(op), draw_(draw) {
    if (op.cases) cases_ = op.cases();
    std::erase_if(cases_, [](const OpCase& c) {  // add_number() draws the numbers
      return std::any_of(c.inputs.begin(), c.inputs.end(), [](const CaseInput& in) { return in.scalar.has_value(); });
    });
  }

  /// A valid call of the op, with some parts replaced at random.
  FuzzedCall next() {
    FuzzedCall c{&op_, {}, {}, op_.attrs.defaults, {}};
    const OpCase* base = cases_.empty() ? nullptr : &cases_[draw_.below(cases_.size())];
    if (base && !base->attrs.empty()) c.attrs = base->attrs;
    if (base) c.scalars = base->scalars;
    c.scalars.resize(op_.scalars.size());
    const std::size_t sharpness = 1 + draw_.below(6);  // one in `sharpness` parts is replaced
    for (Scalar& s : c.scalars) {
      if (draw_.one_in(sharpness)) s = draw_.scalar();
    }
    for (const AttrField& f : op_.attrs.fields) {
      if (draw_.one_in(sharpness)) replace(f, c.attrs.data() + f.offset);
    }
    add_inputs(c, base, sharpness);
    return c;
  }

 private:
  void replace(const AttrField& field, std::byte* at) {
    if (field.kind == AttrField::Kind::real) {
      const double v = draw_.scalar().as_double();
      std::memcpy(at, &v, sizeof v);
      return;
    }
    if (field.kind == AttrField::Kind::integer) {
      const std::int64_t v = draw_.number();
      std::memcpy(at, &v, sizeof v);
      return;
    }
    IntList list;
    std::memcpy(&list, at, sizeof list);
    if (draw_.one_in(4)) list.count = draw_.one_in(4) ? draw_.number() : static_cast<std::int64_t>(draw_.below(9));
    for (std::int64_t& v : list.values) {
      if (draw_.one_in(3)) v = draw_.one_in(6) ? draw_.dim().raw() : draw_.number();
    }
    std::memcpy(at, &list, sizeof list);
  }

  void add_inputs(FuzzedCall& c, const OpCase* base, std::size_t sharpness) {
    std::size_t count = base ? base->inputs.size() : op_.inputs.size();
    if (draw_.one_in(16)) count = draw_.below(5);
    c.tensors.reserve(count);
    const Shape shared = shape(Shape{});
    for (std::size_t i = 0; i < count; ++i) {
      CaseInput in = base && i < base->inputs.size() ? base->inputs[i] : CaseInput{Shape{2, 3}};
      if (draw_.one_in(20)) in.absent = !in.absent;
      if (in.absent) {
        c.operands.push_back(Operand::absent());
        continue;
      }
      if (draw_.one_in(12)) {
        add_number(c);
        continue;
      }
      if (draw_.one_in(16)) in.dtype = static_cast<DType>(draw_.below(dtype_count));
      if (draw_.one_in(sharpness)) in.shape = draw_.one_in(2) ? shared : shape(in.shape);
      try {
        c.tensors.push_back(Tensor::abstract({in.dtype, in.shape}));
      } catch (const Error&) {  // a valid shape instead
        c.tensors.push_back(Tensor::abstract({in.dtype, Shape{1, 2}}));
      }
      c.operands.emplace_back(c.tensors.back());
    }
  }

  void add_number(FuzzedCall& c) {
    switch (draw_.below(3)) {
      case 0: c.operands.emplace_back(2.5); break;
      case 1: c.operands.emplace_back(INT64_MAX); break;
      default: c.operands.emplace_back(true);
    }
  }

  // A shape with some extents replaced, or a shape of another rank.
  Shape shape(const Shape& from) {
    if (from.rank() == 0 || draw_.one_in(4)) {
      Shape out;
      for (std::size_t rank = draw_.below(draw_.one_in(6) ? 9 : 5); rank-- > 0;) out.append(draw_.dim());
      return out;
    }
    Shape out = from;
    for (int i = 0; i < out.rank(); ++i) {
      if (draw_.one_in(2)) out.set_dim(i, draw_.dim());
    }
    return out;
  }

  const OpDef& op_;
  Draw& draw_;
  std::vector<OpCase> cases_;
};

using Wide = __int128;

// The number of elements, exact if it is below 2^127.
Wide elements(const Shape& shape) {
  if (shape.is_empty()) return 0;
  Wide n = 1;
  for (Dim d : shape.dims()) {
    if (__builtin_mul_overflow(n, static_cast<Wide>(d.value()), &n)) return std::numeric_limits<Wide>::max();
  }
  return n;
}

void check_spec(const TensorSpec& spec) {
  ASSERT_TRUE(is_dtype(spec.dtype)) << static_cast<int>(spec.dtype);
  ASSERT_FALSE(spec.shape.to_string().empty());
  if (!spec.shape.is_known()) return;
  const Wide exact = elements(spec.shape) * static_cast<Wide>(size_of(spec.dtype));
  ASSERT_LE(exact, Wide{INT64_MAX});
  ASSERT_EQ(spec.bytes(), static_cast<std::int64_t>(exact));
  ASSERT_EQ(spec.shape.element_count().value(), spec.shape.size());
}

ViewLayout dense_layout(const Shape& shape) {
  ViewLayout layout{shape, {}, 0};
  fill_dense_strides(shape, layout.strides);
  return layout;
}

// Checks that every element of the layout lies among the first `count`.
void check_inside(const ViewLayout& layout, Wide count) {
  if (layout.shape.is_empty()) return;
  Wide lowest = layout.offset, highest = layout.offset;
  for (int i = 0; i < layout.shape.rank(); ++i) {
    const Wide reach = (Wide{layout.shape[i]} - 1) * layout.strides[i];
    (reach < 0 ? lowest : highest) += reach;
  }
  ASSERT_GE(lowest, 0);
  ASSERT_LT(highest, count);
}

bool all_known(const FuzzedCall& c, std::span<const TensorSpec> specs) {
  const auto known = [](const auto& x) { return x.shape().is_known(); };
  return std::all_of(c.tensors.begin(), c.tensors.end(), known) &&
         std::all_of(specs.begin(), specs.end(), [](const TensorSpec& s) { return s.shape.is_known(); });
}

void check_layouts(const FuzzedCall& c, const OpCall& call, std::span<const TensorSpec> specs) {
  const Shape& out = specs[0].shape;
  if (call.op.view && call.inputs[0].is_tensor() && !out.is_empty()) {
    const Shape& in = call.inputs[0].impl()->shape;
    const auto view = call.op.view(call, dense_layout(in), out);
    if (view) check_inside(*view, elements(in));
  }
  if (!call.op.copy_plan || out.is_empty()) return;
  for (const Operand& operand : c.operands) {
    if (!operand.is_tensor()) return;  // numbers become tensors first
  }
  for (const CopyPlan::Piece& piece : call.op.copy_plan(call, out).pieces) {
    ASSERT_EQ(piece.place.shape, call.inputs[piece.input].impl()->shape);
    check_inside(piece.place, elements(out));
  }
}

// Checks what executes the call, on abstract tensors: its program, or the calls of its decomposition.
void check_parts(const OpCall& call, const CallTypes& types, std::span<const TensorSpec> specs) {
  if (call.op.pointwise() && !types.promotes()) {
    std::vector<lks_dtype> results;
    for (const TensorSpec& spec : specs) results.push_back(abi_dtype(spec.dtype));
    record_program(call, types, results, specs[0].shape.rank());
  }
  if (!call.op.decompose || types.promotes() || numbers_become_tensors(call)) return;
  DecomposeContext parts(call, specs);
  try {
    AbstractCallsScope describing;
    call.op.decompose(parts);
  } catch (const Error&) {
    return;
  }
  for (std::size_t o = 0; !parts.refused && o < specs.size(); ++o) ASSERT_EQ(parts.results[o]->spec(), specs[o]);
}

struct Tally {
  std::uint64_t accepted = 0, refused = 0;
};

void ask(const FuzzedCall& c, Tally& tally) {
  const OpCall call = c.call();
  std::vector<TensorSpec> specs(c.op->outputs.size());
  try {
    check_call(call);
    CallTypes types(call);
    infer_specs(call, types, specs);
    for (const TensorSpec& spec : specs) check_spec(spec);
    if (!all_known(c, specs)) return;
    ++tally.accepted;
    check_layouts(c, call, specs);
    check_parts(call, types, specs);
  } catch (const Error& e) {
    ++tally.refused;
    EXPECT_FALSE(e.headline().empty());
    EXPECT_FALSE(e.hint().empty()) << e.what();
    EXPECT_NE(e.op(), "shape") << "which op?\n" << e.what();
  } catch (const std::exception& e) {
    ADD_FAILURE() << "untyped: " << e.what();
  }
}

TEST(ShapeFuzz, EveryOpRefusesOrCountsRight) {
  const std::uint64_t rounds = setting("LOCKSTEP_FUZZ_ROUNDS", 1500);
  Draw draw(setting("LOCKSTEP_FUZZ_SEED", 16));
  for (const OpDef* op : registered_ops()) {
    Fuzzer fuzzer(*op, draw);
    Tally tally;
    for (std::uint64_t i = 0; i < rounds; ++i) {
      const FuzzedCall c = fuzzer.next();
      ask(c, tally);
      ASSERT_FALSE(HasFailure()) << c.text();
    }
    EXPECT_GT(tally.accepted, 0u) << op->name << ": nothing is accepted, so that nothing is tried";
    EXPECT_GT(tally.refused, 0u) << op->name << ": nothing is refused";
  }
}

// -------------------------------------------------------------------------------------------------- functions that run

// Calls public functions with small tensors, dense or as views of one element, and with arbitrary options.
class CallFuzzer {
 public:
  explicit CallFuzzer(Draw& draw) : draw_(draw) {}

  Tensor next() {
    const Tensor x = tensor();
    switch (draw_.below(15)) {
      case 0: return pad(x, numbers(x.rank()), numbers(x.rank()), draw_.scalar());
      case 1: return reshape(x, numbers(4));
      case 2: return slice(x, slices());
      case 3: return transpose(x, numbers(x.rank()));
      case 4: return expand_dims(x, draw_.number());
      case 5: return squeeze(x, small());
      case 6: return select_index(x, small(), draw_.number());
      case 7: return concat({x, tensor()}, small());
      case 8: return conv2d(image(), image(), {pair(), padding(), pair(), small()});
      case 9: return max_pool2d(image(), {pair(), pair(), padding()});
      case 10: return avg_pool2d(image(), {pair(), pair(), padding()});
      case 11: return one_hot(cast(x, DType::i32), draw_.number(), dtype());
      case 12: return iota(draw_.number(), dtype(), draw_.scalar().as_double(), draw_.scalar().as_double());
      case 13: return scatter_add(x, zeros({x.rank() ? x.shape()[0] : 1}, i64), draw_.number(), small());
      default: return broadcast_to(x, Shape(std::span<const std::int64_t>(extents())));
    }
  }

 private:
  std::int64_t small() { return draw_.one_in(4) ? draw_.number() : static_cast<std::int64_t>(draw_.below(6)) - 2; }
  DType dtype() { return static_cast<DType>(draw_.below(10)); }
  Tensor tensor() {
    Shape shape;
    for (std::size_t rank = draw_.below(4); rank-- > 0;) shape.append(static_cast<std::int64_t>(draw_.below(4)));
    if (draw_.one_in(4)) return broadcast_to(ones({}), shape);
    return draw_.one_in(3) ? transpose(ones(shape)) : ones(shape);
  }
  Tensor image() {
    Shape shape{1};
    for (int i = 0; i < 3; ++i) shape.append(static_cast<std::int64_t>(1 + draw_.below(4)));
    return ones(shape);
  }
  Ints numbers(int count) {
    Ints list;
    for (int i = 0; i < count; ++i) list.push_back(small());
    return list;
  }
  Ints extents() {
    Ints list;
    for (std::size_t rank = draw_.below(5); rank-- > 0;) list.push_back(draw_.extent());
    return list;
  }
  std::vector<Slice> slices() {
    std::vector<Slice> list;
    for (std::size_t n = draw_.below(3); n-- > 0;) list.push_back({small(), small(), small(), small()});
    return list;
  }
  Pair pair() { return {small(), small()}; }
  Padding padding() { return draw_.one_in(3) ? Padding::same() : Padding::of(small(), small(), small(), small()); }
  Draw& draw_;
};

class Calls : public testing::TestWithParam<std::string> {};

TEST_P(Calls, OfFunctionsRefuseOrStayInside) {
  const Device device(GetParam());
  const DeviceScope scope(device);
  const std::uint64_t rounds = setting("LOCKSTEP_FUZZ_ROUNDS", 1500);
  Draw draw(setting("LOCKSTEP_FUZZ_SEED", 16));
  CallFuzzer fuzzer(draw);
  set_memory_limit(device, std::uint64_t{64} << 20);
  std::uint64_t accepted = 0;
  for (std::uint64_t i = 0; i < rounds && !HasFailure(); ++i) {
    try {
      const Tensor y = fuzzer.next();
      check_spec(y.spec());
      if (y.size() > 1 << 16) continue;  // a large view of few elements: reading it would copy it
      ++accepted;
      EXPECT_EQ(y.to_bytes().size(), static_cast<std::size_t>(y.spec().bytes()));
    } catch (const Error& e) {
      EXPECT_FALSE(e.where().empty()) << e.what();
    } catch (const std::exception& e) {
      ADD_FAILURE() << "untyped: " << e.what() << " in round " << i;
    }
  }
  set_memory_limit(device, std::nullopt);
  EXPECT_GT(accepted, rounds / 10);
}

std::vector<std::string> available_devices() {
  std::vector<std::string> names;
  for (const DeviceInfo& d : devices()) {
    if (d.available) names.push_back(d.id);
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Devices, Calls, testing::ValuesIn(available_devices()), [](const auto& test) {
  std::string name = test.param;
  name[name.find(':')] = '_';
  return name;
});

}  // namespace
}  // namespace lockstep

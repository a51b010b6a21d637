// Tests that pointwise programs give the same bits as the reference driver, for all programs, layouts and numbers of
// threads.
#include <numeric>

#include "backends/cpu/test_support.h"
#include "ops/update/update.h"
#include "runtime/device_state.h"

namespace lockstep::testing {
namespace {

constexpr DType all_types[] = {f32, f64, f16, bf16, i8, u8, i32, i64, boolean};

// ---------------------------------------------------------------------------------------------------- random programs

// Records a random program on the given inputs. Any value may become an operand.
class RandomProgram {
 public:
  RandomProgram(std::uint64_t seed, ProgramBuilder& builder, std::span<const Expr> inputs)
      : random_(seed), builder_(builder), values_(inputs.begin(), inputs.end()) {}

  std::vector<Expr> record(int length, std::size_t outputs, int axes) {
    add(builder_.constant(LKS_F32, random_.real(-3, 3)));
    add(builder_.linear_index());
    if (axes > 0) add(builder_.index(static_cast<std::uint32_t>(random_.below(axes))));
    for (int i = 0; i < length; ++i) step();
    std::vector<Expr> results;
    for (std::size_t o = 0; o < outputs; ++o) results.push_back(storable());
    return results;
  }

 private:
  void add(Expr e) { values_.push_back(e); }
  Expr any() { return values_[static_cast<std::size_t>(random_.below(static_cast<std::int64_t>(values_.size())))]; }
  static bool computes(lks_dtype t) { return LKS_DTYPE_CLASS(t) != LKS_CLASS_BOOL && LKS_DTYPE_BITS(t) >= 32; }
  static bool is_float(lks_dtype t) { return t == LKS_F32 || t == LKS_F64; }
  static bool is_whole(lks_dtype t) {
    return LKS_DTYPE_CLASS(t) == LKS_CLASS_INT || LKS_DTYPE_CLASS(t) == LKS_CLASS_UINT;
  }

  Expr storable() {
    const Expr e = any();
    if (e.dtype() == LKS_U32) return bitcast(e, LKS_I32);
    return e.dtype() == LKS_U64 ? bitcast(e, LKS_I64) : e;
  }

  // A random value of the dtype; if none is found, a conversion of another value.
  Expr like(lks_dtype t) {
    for (int i = 0; i < 8; ++i) {
      const Expr e = any();
      if (e.dtype() == t) return e;
    }
    return convert(any(), t);
  }

  void step() {
    constexpr lks_dtype types[] = {LKS_F32, LKS_F64, LKS_F16, LKS_BF16, LKS_I8,  LKS_U8,
                                   LKS_I32, LKS_I64, LKS_U32, LKS_U64,  LKS_BOOL};
    const Expr a = any();
    switch (random_.below(12)) {
      case 0: add(convert(a, types[random_.below(11)])); break;
      case 1: {
        const Expr b = like(a.dtype());
        const int which = static_cast<int>(random_.below(4));
        add(which == 0 ? a < b : which == 1 ? a <= b : which == 2 ? a == b : a != b);
        break;
      }
      case 2: add(select(like(LKS_BOOL), a, like(a.dtype()))); break;
      case 3: {
        const Expr b = like(a.dtype());
        add(select(a < b, like(a.dtype()), a));
        break;
      }
      case 4:
        if (is_float(a.dtype())) add(random_.below(2) ? sqrt(abs(a)) : function(a));
        break;
      case 5:
        if (computes(a.dtype())) add(random_.below(2) ? -a : abs(a));
        break;
      case 6: bits(a); break;
      case 7:
        if (a.dtype() == LKS_F32) add(bitcast(a, LKS_U32));
        if (a.dtype() == LKS_I64) add(bitcast(a, LKS_F64));
        break;
      default:
        if (computes(a.dtype())) add(arithmetic(a, like(a.dtype())));
    }
  }

  Expr function(Expr a) {
    switch (random_.below(6)) {
      case 0: return exp(a);
      case 1: return tanh(a);
      case 2: return maximum(a, like(a.dtype()));
      case 3: return minimum(like(a.dtype()), a);
      case 4: return sigmoid(a);
      default: return log(abs(a));
    }
  }

  Expr arithmetic(Expr a, Expr b) {
    switch (random_.below(4)) {
      case 0: return a + b;
      case 1: return a - b;
      case 2: return a * b;
      default: return a / b;
    }
  }

  void bits(Expr a) {
    if (a.dtype() == LKS_BOOL) return add(random_.below(2) ? !a : a ^ like(LKS_BOOL));
    if (!is_whole(a.dtype())) return;
    switch (random_.below(6)) {
      case 0: return add(a & like(a.dtype()));
      case 1: return add(a | like(a.dtype()));
      case 2: return add(~a);
      case 3: return add(a << static_cast<int>(random_.below(LKS_DTYPE_BITS(a.dtype()))));
      case 4: return add(a >> static_cast<int>(random_.below(LKS_DTYPE_BITS(a.dtype()))));
      default:
        if (a.dtype() == LKS_U32) add(mulhi(a, like(LKS_U32)));
    }
  }

  TestRandom random_;
  ProgramBuilder& builder_;
  std::vector<Expr> values_;
};

DType tensor_dtype(lks_dtype t) {
  for (DType d : all_types) {
    constexpr lks_dtype abi[] = {LKS_F32, LKS_F64, LKS_F16, LKS_BF16, LKS_I8, LKS_U8, LKS_I32, LKS_I64, LKS_BOOL};
    if (abi[static_cast<int>(d)] == t) return d;
  }
  return f32;
}

struct RandomOp {
  std::vector<DType> inputs;
  int rank = 0;
  const OpDef* op = nullptr;
};

RandomOp make_random_op(std::uint64_t seed, int length) {
  TestRandom random(seed);
  RandomOp made;
  const std::int64_t count = 1 + random.below(4);
  for (std::int64_t i = 0; i < count; ++i) made.inputs.push_back(all_types[random.below(9)]);
  made.rank = static_cast<int>(random.below(4));
  const auto outputs = static_cast<std::size_t>(1 + random.below(2));
  const int rank = made.rank;
  const auto body = [=](ProgramBuilder& p, const OpCall&, std::span<const Expr> in) {
    return RandomProgram(seed, p, in).record(length, outputs, rank);
  };
  OpDef op = make_pointwise_op("test::random" + std::to_string(length) + "_" + std::to_string(seed),
                               static_cast<std::size_t>(count), body, {.types = types::any});
  op.outputs.clear();
  for (std::size_t o = 0; o < outputs; ++o) op.outputs.push_back({"y" + std::to_string(o)});
  for (InputDef& in : op.inputs) in.group = '-';
  op.differentiable = false;

  // Record the program once to learn the dtypes of its outputs.
  ProgramBuilder builder;
  std::vector<Expr> in;
  for (DType t : made.inputs) {
    constexpr lks_dtype abi[] = {LKS_F32, LKS_F64, LKS_F16, LKS_BF16, LKS_I8, LKS_U8, LKS_I32, LKS_I64, LKS_BOOL};
    const Expr value = builder.input(abi[static_cast<int>(t)]);
    // As in a call, bodies see half-width floats as f32.
    in.push_back(t == f16 || t == bf16 ? convert(value, LKS_F32) : value);
  }
  std::vector<DType> results;
  for (Expr e : RandomProgram(seed, builder, in).record(length, outputs, rank))
    results.push_back(tensor_dtype(e.dtype()));
  op.infer = [results](InferContext& c) {
    Shape shape = c.shape(0);
    for (std::size_t o = 0; o < results.size(); ++o) c.set(o, results[o], shape);
  };
  made.op = &register_op(std::move(op));
  return made;
}

// A tensor that broadcasts to `shape`, laid out in one of several ways.
Tensor operand(Device device, DType dtype, const Shape& shape, std::uint64_t seed, bool whole) {
  TestRandom random(seed);
  Shape own = shape;
  for (int d = 0; !whole && d < shape.rank(); ++d) {
    if (random.below(3) == 0) own.set_dim(d, 1);
  }
  switch (random.below(4)) {
    case 0: {  // transposed
      Shape reversed;
      Ints order;
      for (int d = own.rank(); d-- > 0;) {
        reversed.append(own[d]);
        order.push_back(d);
      }
      return transpose(random_tensor(device, dtype, reversed, seed, Values::awkward), order);
    }
    case 1: {  // every second element of the last dimension, from the end
      if (own.rank() == 0) break;
      Shape wide = own;
      wide.set_dim(-1, own[-1] * 2);
      return slice(random_tensor(device, dtype, wide, seed, Values::awkward), {{own.rank() - 1, -1, std::nullopt, -2}});
    }
    default: break;
  }
  return random_tensor(device, dtype, own, seed, Values::awkward);
}

std::vector<Shape> shapes_of_rank(int rank) {
  switch (rank) {
    case 0: return {Shape{}};
    case 1: return {Shape{1}, Shape{7}, Shape{1000}, Shape{3001}};
    case 2: return {Shape{1, 5}, Shape{37, 10}, Shape{3, 700}, Shape{70, 65}};
    default: return {Shape{2, 3, 4}, Shape{5, 1, 33}, Shape{2, 17, 250}, Shape{9, 8, 7}};
  }
}

void compare_random_op(const RandomOp& made, const Shape& shape, std::uint64_t seed) {
  const auto run = [&](Device device) {
    std::vector<Tensor> tensors;
    for (std::size_t i = 0; i < made.inputs.size(); ++i) {
      tensors.push_back(operand(device, made.inputs[i], shape, seed + i, i == 0));
    }
    const std::vector<Operand> operands(tensors.begin(), tensors.end());
    return invoke(*made.op, operands);
  };
  const std::vector<Tensor> ours = run(cpu()), theirs = run(reference());
  for (std::size_t o = 0; o < ours.size(); ++o) {
    ASSERT_TRUE(same_bits(ours[o], theirs[o])) << made.op->name << " output " << o << " shape " << shape.to_string();
  }
}

TEST(Pointwise, RandomProgramsGiveTheReferenceBits) {
  const auto refusals_before = cpu().state().kernels().counters.refusals.load();
  for (int length : {1, 3, 8, 25, 60}) {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
      const RandomOp made = make_random_op(seed, length);
      for (const Shape& shape : shapes_of_rank(made.rank)) compare_random_op(made, shape, seed * 31);
      if (HasFatalFailure()) return;
    }
  }
  EXPECT_EQ(cpu().state().kernels().counters.refusals, refusals_before);
  EXPECT_GT(cpu().state().kernels().counters.prepares, 150u);
}

// ------------------------------------------------------------------------------------------------------- conversions

Tensor all_half_width(Device device, DType dtype) {
  std::vector<std::uint16_t> bits(65536);
  std::iota(bits.begin(), bits.end(), 0);
  return Tensor::from_bytes(bits.data(), bits.size() * 2, {dtype, Shape{65536}}, device);
}

TEST(Pointwise, HalfWidthConvertsAllValues) {
  for (DType from : {f16, bf16}) {
    for (DType to : all_types) {
      expect_same("cast", [&](Device d) { return cast(all_half_width(d, from), to); });
    }
  }
}

TEST(Pointwise, NarrowingRoundsOnce) {
  // Values halfway between neighbours and slightly to either side, in f32 and f64.
  for (DType to : {f16, bf16}) {
    const auto halfway = [&](Device d, DType through, double nudge) {
      const Tensor values = cast(all_half_width(d, to), through);
      const Tensor next = concat({slice(values, {{0, 1}}), slice(values, {{0, 0, 1}})});
      return cast(add(mul(add(values, next), 0.5), mul(values, nudge)), to);
    };
    for (DType through : {f32, f64}) {
      for (double nudge : {0.0, 1e-7, -1e-7, 1e-15, -1e-15}) {
        expect_same("narrow", [&](Device d) { return halfway(d, through, nudge); });
      }
    }
  }
}

TEST(Pointwise, EveryPairOfDtypesConverts) {
  for (DType from : all_types) {
    for (DType to : all_types) {
      expect_same(std::string(name_of(from)) + " to " + std::string(name_of(to)),
                  [&](Device d) { return cast(random_tensor(d, from, Shape{3000}, 5, Values::awkward), to); });
    }
  }
}

// ----------------------------------------------------------------------------------------------------------- layouts

TEST(Pointwise, BroadcastsOfManyShapes) {
  const auto check = [](const Shape& a, const Shape& b, DType t = f32) {
    expect_same(a.to_string() + " + " + b.to_string(),
                [&](Device d) { return random_tensor(d, t, a, 1) + random_tensor(d, t, b, 2); });
  };
  for (std::int64_t channels : {1, 3, 10, 32, 64, 200, 1030}) {
    check({2, 9, 11, channels}, {channels});
    check({40, channels}, {40, 1});
    check({5, 1, channels}, {1, 7, 1});
    check({3, 40, channels}, {3, 1, channels});
    check({12, channels}, {channels}, f64);
  }
  check({1}, {1000});
  check({}, {5, 5});
  check({0, 4}, {4});
}

TEST(Pointwise, TransposedOperands) {
  for (const Shape& shape : {Shape{5, 9}, Shape{130, 257}, Shape{512, 64}, Shape{1000, 10}, Shape{10, 1000}}) {
    for (DType t : {f32, f64, i32, f16, u8}) {
      expect_same("transposed " + shape.to_string(), [&](Device d) {
        const Tensor a = random_tensor(d, t, shape, 1), b = random_tensor(d, t, Shape{shape[1], shape[0]}, 2);
        return where(equal(a, transpose(b)), a, transpose(b));
      });
    }
  }
  expect_same("three dimensions", [&](Device d) {
    return random_tensor(d, f32, {30, 40, 50}, 1) * transpose(random_tensor(d, f32, {50, 30, 40}, 2), {1, 2, 0});
  });
}

// Results larger than the caches take another code path than parts of them.
TEST(Pointwise, LargeTensorsLikeTheirParts) {
  constexpr std::int64_t count = 9'000'003, part = 1'000'000;
  const Tensor x = random_tensor(cpu(), f32, {count + 1}, 3);
  const Tensor shifted = slice(x, {{0, 1}});
  const auto chain = [](const Tensor& t) { return relu(t * 3) + 1; };
  for (const Tensor& whole : {slice(x, {{0, 0, count}}), shifted}) {
    const Tensor result = chain(whole);
    for (std::int64_t at = 0; at < count; at += part) {
      const auto piece = [&](const Tensor& t) { return slice(t, {{0, at, std::min(at + part, count)}}); };
      ASSERT_TRUE(same_bits(piece(result), chain(piece(whole)))) << at;
    }
  }
}

TEST(Pointwise, ThreadsDoNotMatter) {
  for (const Shape& shape : {Shape{300000}, Shape{20000, 10}, Shape{300, 700}}) {
    expect_same_for_threads("chain", [&](Device d) {
      const Tensor x = random_tensor(d, f32, shape, 1), row = random_tensor(d, f32, Shape{shape[-1]}, 2);
      return tanh(x * row + 1) / (x + 2);
    });
  }
}

// ----------------------------------------------------------------------------------------------------------- in place

std::vector<Scalar> numbers(std::initializer_list<double> values) {
  std::vector<Scalar> scalars;
  for (double v : values) scalars.push_back({Scalar::Kind::floating, 0, v});
  return scalars;
}

// Runs an op that updates its first inputs and compares all of them afterwards.
void compare_update(const OpDef& op, std::size_t inputs, std::vector<Scalar> scalars, DType t, const Shape& shape) {
  const auto run = [&](Device device) {
    std::vector<Tensor> tensors;
    for (std::size_t i = 0; i < inputs; ++i) {
      const bool slot = i > 0 && i + 1 < inputs;
      tensors.push_back(abs(random_tensor(device, slot ? compute_dtype(t) : t, shape, i)));
    }
    invoke(op, std::vector<Operand>(tensors.begin(), tensors.end()), nullptr, scalars);
    return tensors;
  };
  const std::vector<Tensor> ours = run(cpu()), theirs = run(reference());
  for (std::size_t i = 0; i < inputs; ++i) EXPECT_TRUE(same_bits(ours[i], theirs[i])) << op.name << " operand " << i;
}

TEST(Pointwise, UpdatesInPlace) {
  for (DType t : {f32, f64, f16, bf16}) {
    for (const Shape& shape : {Shape{5}, Shape{1000}, Shape{70, 90}, Shape{200000}}) {
      compare_update(sgd_update_op(), 2, numbers({0.1}), t, shape);
      compare_update(momentum_update_op(), 3, numbers({0.1, 0.9, 1, 0}), t, shape);
      compare_update(adam_update_op(), 4, numbers({0.001, 0.9, 0.999, 0.1, 0.001, 10, 1000, 1e-8, 0.01}), t, shape);
    }
  }
}

// An op whose outputs are the old values of other outputs' memory.
const OpDef& rotate_op() {
  static const OpDef& op = []() -> const OpDef& {
    OpDef made = make_pointwise_op("test::rotate", 3,
                                   [](ProgramBuilder&, const OpCall&, std::span<const Expr> in) {
                                     return std::vector<Expr>{in[1], in[2], in[0] + in[1]};
                                   },
                                   {});
    made.outputs.clear();
    for (int i = 0; i < 3; ++i) {
      made.inputs[static_cast<std::size_t>(i)].mutable_ = true;
      made.outputs.push_back({.name = "y" + std::to_string(i), .in_place_of = i});
    }
    made.effects = Effects::state;
    made.differentiable = false;
    made.infer = [](InferContext& c) {
      for (std::size_t i = 0; i < 3; ++i) c.set(i, c.group_dtype(), c.shape(0));
    };
    return register_op(std::move(made));
  }();
  return op;
}

TEST(Pointwise, OutputsOverOneAnothersInputs) {
  for (const Shape& shape : {Shape{3}, Shape{900}, Shape{50000}}) compare_update(rotate_op(), 3, {}, f32, shape);
}

}  // namespace
}  // namespace lockstep::testing

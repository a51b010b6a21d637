// What the fuzzers of shapes and of calls share: random draws, and calls of ops with random extents, attributes and
// numbers.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "lockstep/lockstep.h"
#include "lockstep/op_def.h"
#include "ops/attribute_memory.h"

namespace lockstep {

/// The number in this environment variable, or `otherwise`.
inline std::uint64_t setting(const char* name, std::uint64_t otherwise) {
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
      for (std::size_t i = 0; i < bytes_of(f) / 8; ++i) {
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
    if (field.storage == AttrField::Storage::real) {
      const double v = draw_.scalar().as_double();
      std::memcpy(at, &v, sizeof v);
      return;
    }
    if (field.storage == AttrField::Storage::integer) {
      const std::int64_t v = draw_.number();
      std::memcpy(at, &v, sizeof v);
      return;
    }
    std::int64_t count = 0;
    std::memcpy(&count, at, sizeof count);
    if (draw_.one_in(4)) {
      count = draw_.one_in(4) ? draw_.number() : static_cast<std::int64_t>(draw_.below(field.capacity + 1));
      std::memcpy(at, &count, sizeof count);
    }
    for (std::size_t i = 8; i < bytes_of(field); i += 8) {
      if (!draw_.one_in(3)) continue;
      const std::int64_t v = draw_.one_in(6) ? draw_.dim().raw() : draw_.number();
      std::memcpy(at + i, &v, sizeof v);
    }
    if (field.storage != AttrField::Storage::text || draw_.one_in(4)) return;
    const auto size = static_cast<std::size_t>(count);
    if (size < field.capacity) std::memset(at + 8 + size, 0, field.capacity - size);  // as it should be
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
inline Wide elements(const Shape& shape) {
  if (shape.is_empty()) return 0;
  Wide n = 1;
  for (Dim d : shape.dims()) {
    if (__builtin_mul_overflow(n, static_cast<Wide>(d.value()), &n)) return std::numeric_limits<Wide>::max();
  }
  return n;
}

inline void check_spec(const TensorSpec& spec) {
  ASSERT_TRUE(is_dtype(spec.dtype)) << static_cast<int>(spec.dtype);
  ASSERT_FALSE(spec.shape.to_string().empty());
  if (!spec.shape.is_known()) return;
  const Wide exact = elements(spec.shape) * static_cast<Wide>(size_of(spec.dtype));
  ASSERT_LE(exact, Wide{INT64_MAX});
  ASSERT_EQ(spec.bytes(), static_cast<std::int64_t>(exact));
  ASSERT_EQ(spec.shape.element_count().value(), spec.shape.size());
}

}  // namespace lockstep

// Op definitions. Everything about an op is in its OpDef: eager calls, tapes, tracing, conformance and documentation
// read these fields. docs/adding_an_op.md walks through an example.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "lockstep/error.h"
#include "lockstep/export.h"
#include "lockstep/op_schema.h"
#include "lockstep/program.h"
#include "lockstep/shape.h"
#include "lockstep/tensor.h"

namespace LOCKSTEP_API lockstep {

class OpDef;
class LOCKSTEP_HIDDEN CallTypes;
class CallByName;

// -------------------------------------------------------------------------------------------------------------- calls

/// One call of an op, as the functions of its OpDef receive it.
struct OpCall {
  const OpDef& op;
  std::span<const Operand> inputs;
  const void* attrs = nullptr;           // the attribute struct
  std::span<const Scalar> scalars = {};  // in the order of OpDef::scalars
  CallSite where;

  template <class A>
  const A& attrs_as() const {
    return *static_cast<const A*>(attrs);
  }
};

/// The argument of OpDef::normalize, which completes what `normalize_attributes` does.
class NormalizeContext {
 public:
  NormalizeContext(const OpDef& op, std::span<const Operand> inputs, void* attrs, CallSite where)
      : op_(op), inputs_(inputs), attrs_(attrs), where_(where) {}
  /// The shape of input i; rank 0 for a number.
  const Shape& shape(std::size_t i) const;
  template <class A>
  A& attrs() const {
    return *static_cast<A*>(attrs_);
  }
  /// Throws the error and lists all operands in it.
  [[noreturn]] void fail(ErrorId id, std::string headline, std::string fix) const;

 private:
  const OpDef& op_;
  std::span<const Operand> inputs_;
  void* attrs_;
  CallSite where_;
};

/// Infers output specs from input specs, which may have symbolic extents.
class InferContext {
 public:
  InferContext(const OpCall& call, const CallTypes& types, std::span<TensorSpec> outputs)
      : call_(call), types_(types), outputs_(outputs) {}

  const OpCall& call() const { return call_; }
  std::size_t input_count() const { return call_.inputs.size(); }
  bool has(std::size_t i) const { return i < call_.inputs.size() && !call_.inputs[i].is_absent(); }
  const Shape& shape(std::size_t i) const;
  int rank(std::size_t i) const { return shape(i).rank(); }
  /// The dtype of input i; for a number, the dtype that it takes in this call.
  DType dtype(std::size_t i) const;
  /// The dtype of the inputs of group T.
  DType group_dtype() const;
  template <class A>
  const A& attrs() const {
    return call_.attrs_as<A>();
  }

  /// The number of outputs that the call has.
  std::size_t output_count() const { return outputs_.size(); }
  /// Throws StateError LS1007 if the call has no such output.
  void set(std::size_t output, DType dtype, const Shape& shape) {
    if (output >= outputs_.size()) [[unlikely]]
      refuse_output(output);
    outputs_[output] = {dtype, shape};
  }

  /// Throws the error and lists all operands in it.
  [[noreturn]] void fail(ErrorId id, std::string headline, std::string fix) const;
  void require_rank(std::size_t i, int rank) const;
  /// `axis` as an index from the front; throws ShapeError LS2004 if it is out of range.
  int axis(std::int64_t axis, int rank) const;
  /// The same for attributes that must count from the front, as drivers expect: also refuses a negative axis.
  int axis_from_front(std::int64_t axis, int rank) const;
  /// Throws ShapeError LS2007 unless `list`, called `what`, has `count` numbers.
  template <std::size_t N>
  void require_count(const BoundedList<N>& list, int count, std::string_view what) const {
    if (list.count != count) [[unlikely]]
      refuse_count(list.count, count, what);
  }
  /// The dtype with the number `number`, from an attribute; throws DTypeError LS2104 if there is none.
  DType dtype_from_attribute(std::int64_t number) const;
  /// Throws `id` if the extents are known to differ; a symbolic extent may equal any.
  void require_equal(Dim a, Dim b, ErrorId id, std::string_view what) const;

 private:
  [[noreturn]] void refuse_output(std::size_t output) const;
  [[noreturn]] void refuse_count(std::int64_t given, int needed, std::string_view what) const;

  const OpCall& call_;
  const CallTypes& types_;
  std::span<TensorSpec> outputs_;
};

/// The layout of a view: where the output's elements are in the input's memory.
struct ViewLayout {
  Shape shape;
  std::int64_t strides[max_rank] = {};
  std::int64_t offset = 0;  // in elements
};

/// How an output is made of copies: it is first filled with `fill`, if given, and then the inputs are copied into it.
struct CopyPlan {
  struct Copy {
    std::size_t input;
    ViewLayout place;  // where it goes in the output; has the input's shape
  };
  std::optional<Scalar> fill;
  std::vector<Copy> copies;
};

/// The argument of OpDef::decompose, which computes an op's outputs with other public ops.
class DecomposeContext {
 public:
  DecomposeContext(const OpCall& call, std::span<const TensorSpec> specs) : call_(call), specs_(specs) {}
  const OpCall& call() const { return call_; }
  bool has(std::size_t i) const { return i < call_.inputs.size() && !call_.inputs[i].is_absent(); }
  const Operand& input(std::size_t i) const { return call_.inputs[i]; }
  Tensor tensor(std::size_t i) const { return call_.inputs[i].tensor(); }
  const Scalar& scalar(std::size_t i) const { return call_.scalars[i]; }
  /// Inferred output spec.
  const TensorSpec& output_spec(std::size_t i) const { return specs_[i]; }
  template <class A>
  const A& attrs() const {
    return call_.attrs_as<A>();
  }
  void set(std::size_t output, Tensor value);
  /// Reports that this call cannot be decomposed.
  void refuse() { refused = true; }
  std::vector<std::optional<Tensor>> results;
  bool refused = false;

 private:
  const OpCall& call_;
  std::span<const TensorSpec> specs_;
};

/// The tensors of the forward pass that the gradient with respect to one input needs: bit i of `inputs` means input i,
/// bit i of `outputs` means output i. A tape does not keep other tensors alive.
struct Saves {
  std::uint32_t inputs = 0;
  std::uint32_t outputs = 0;
};

/// The argument of OpDef::gradient, which computes vector-Jacobian products with public ops, so that they are
/// differentiable too.
class GradContext {
 public:
  virtual ~GradContext() = default;
  /// A saved input; throws StateError LS1007 if the op does not declare it in `saves`.
  virtual Operand input(std::size_t i) const = 0;
  virtual Tensor output(std::size_t i = 0) const = 0;
  virtual const Shape& input_shape(std::size_t i) const = 0;
  virtual DType input_dtype(std::size_t i) const = 0;
  virtual bool has_input(std::size_t i) const = 0;
  virtual const Shape& output_shape(std::size_t i = 0) const = 0;
  /// The upstream gradient of an output; zeros if there is none.
  virtual Tensor upstream(std::size_t output = 0) const = 0;
  virtual bool has_upstream(std::size_t output) const = 0;
  /// Whether the gradient of input i is needed.
  virtual bool needs(std::size_t i) const = 0;
  /// Sets an input's gradient. For a broadcast input it may have the output's shape; it is then summed to the input's.
  virtual void set(std::size_t input, Tensor gradient) = 0;
  virtual std::size_t input_count() const = 0;
  virtual const void* raw_attrs() const = 0;
  virtual const Scalar& scalar(std::size_t i) const = 0;
  virtual CallSite where() const = 0;
  virtual const OpDef& op() const = 0;

  template <class A>
  const A& attrs() const {
    return *static_cast<const A*>(raw_attrs());
  }
};

// ------------------------------------------------------------------------------------------------- reference and cases

/// An array of the oracle. Its 64-bit mantissas hold every f64 and every i64 exactly.
struct RefArray {
  DType dtype = DType::f32;
  Shape shape;
  std::vector<long double> values;  // row-major
  /// First-order bound on the round-off error of each value, in units of the dtype's unit round-off. It is computed
  /// from the terms of sums, and step by step through programs. Empty if every value is exact.
  std::vector<long double> budget;
  /// The wider dtype in which f16 and bf16 results are computed before they are rounded to `dtype` once. If it is set,
  /// `values` are not rounded yet, and `budget` is in units of the wider dtype's unit round-off.
  std::optional<DType> rounded_from = std::nullopt;

  static RefArray zeros(DType dtype, const Shape& shape);
  std::int64_t size() const { return static_cast<std::int64_t>(values.size()); }
};

/// The argument of OpDef::reference: a slow, simple computation on the host, at least twice as precise as any device.
struct RefContext {
  const OpCall& call;                // attributes and scalars; inputs hold no tensors
  std::span<const RefArray> inputs;  // absent ones have rank 0 and no values
  std::span<const TensorSpec> output_specs;
  std::vector<RefArray> outputs;  // initially zero; to be filled

  template <class A>
  const A& attrs() const {
    return call.attrs_as<A>();
  }
};

/// How test values of an input are drawn.
struct CaseValues {
  enum class Kind : std::uint8_t {
    normal,    // floats around 0; integers in [-9, 9]
    range,     // uniform in [low, high]
    spread,    // both signs, magnitudes over many powers of two
    distinct,  // no two equal (for max, argmax, sorting)
    indices,   // integers in [low, high]
  };
  Kind kind = Kind::normal;
  double low = -1, high = 1;
};

struct CaseInput {
  Shape shape;
  DType dtype = DType::f32;
  CaseValues values;
  bool absent = false;
  std::optional<Scalar> scalar = std::nullopt;  // given as a number instead
};

/// One conformance case: a call that must succeed, or that must fail with `error` if it is set.
struct OpCase {
  std::string name;
  std::vector<CaseInput> inputs;
  std::vector<std::byte> attrs = {};
  std::vector<Scalar> scalars = {};
  std::optional<ErrorId> error = std::nullopt;
  bool gradient = true;

  template <class A>
  OpCase& with(const A& a) {
    attrs.resize(sizeof(A));
    std::memcpy(attrs.data(), &a, sizeof(A));
    return *this;
  }
};

/// How far results may differ from the oracle. The bounds depend on the class, not on the device.
enum class ErrorClass : std::uint8_t {
  exact,           // equal bits
  rounded,         // correctly rounded
  elementary,      // exp, log and similar
  transcendental,  // tanh, sigmoid, erf
  gelu,
  power,
  sum,       // a bound per element, from the magnitudes of the terms
  composed,  // built from several of the above
};

enum class Effects : std::uint8_t { pure, random, state };

// -------------------------------------------------------------------------------------------------------------- OpDef

/// Tells objects apart: no two in a process ever have the same number. A copy gets its own.
class UniqueNumber {
 public:
  UniqueNumber();
  UniqueNumber(const UniqueNumber&) : UniqueNumber() {}
  UniqueNumber& operator=(const UniqueNumber&);
  std::uint64_t number() const { return number_; }

 private:
  std::uint64_t number_;
};

/// The definition of one op. It must not be changed after the first call. `name`, `inputs`, `outputs`, `infer` and
/// `reference` are required, and one implementation: `body` (pointwise), `view`, `copy_plan`, `decompose`, `host` or a
/// kernel in a driver.
class OpDef {
 public:
  std::string name;           // "softmax"; user ops have a prefix: "acme::norm"
  std::string doc;            // what it computes; the first sentence of its public function's docstring
  bool internal = false;      // a part of other ops, of gradients or of optimizers, without a public function
  std::uint32_t version = 1;  // schema version of attributes and semantics
  std::vector<InputDef> inputs;
  std::vector<OutputDef> outputs = {{"y"}};
  AttrSchema attrs;
  std::vector<ScalarDef> scalars;
  ErrorClass error_class = ErrorClass::exact;
  Effects effects = Effects::pure;
  bool commutative = false;

  /// What a user may give beside the inputs. If it is empty, registration fills it from `attrs` and `scalars`. Unless
  /// `by_name` is set, it names those, in that order.
  std::vector<ArgumentDef> arguments;

  /// Makes attributes canonical where their kinds do not say how, such as padding "same". See normalize_attributes.
  std::function<void(NormalizeContext&)> normalize;

  /// Makes a call by name (`call_op`). For ops whose public function does more than normalise attributes, such as draw
  /// a key of random numbers: `by_name` does the same. If it is set, `arguments` are what it reads.
  std::function<std::vector<Tensor>(const CallByName&)> by_name;

  /// If the last output is variadic: the number of outputs of a call with these attributes. Only the form of the
  /// attributes has been checked, so it must accept any numbers in them. A call has 1 to 1,024 outputs. Such an op is a
  /// view, or it has `decompose` or `host`: drivers are not asked for it.
  std::function<std::int64_t(const void* attrs)> count_outputs;

  std::function<void(InferContext&)> infer;

  /// The dtype of a number that is given for an input of group '-'. If not set, the number's own: bool, i32 or f32.
  std::function<DType(const OpCall&)> dtype_of_number;

  /// Pointwise ops: records the computation for one element. `inputs` has the op's inputs in order (numbers among them
  /// are launch-time scalars), then OpDef::scalars. Inputs broadcast. An f16 or bf16 input arrives as f32, and an f32
  /// value that is returned for an f16 or bf16 output is rounded to that dtype.
  using Body = std::function<std::vector<Expr>(ProgramBuilder& p, const OpCall& call, std::span<const Expr> inputs)>;
  Body body;

  /// For outputs that are made of copies of the inputs.
  std::function<CopyPlan(const OpCall& call, const Shape& output)> copy_plan;

  /// Views: the layout of an output, which has the given number and shape, in the memory of the first input; or nullopt
  /// if a copy is needed. An op with several outputs shares memory for all of them or for none.
  std::function<std::optional<ViewLayout>(const OpCall& call, const ViewLayout& input, const Shape& shape,
                                          std::size_t output)>
      view;

  std::function<void(DecomposeContext&)> decompose;

  /// An implementation that runs in the runtime itself.
  std::function<std::vector<Tensor>(const OpCall& call, std::span<const TensorSpec> outputs)> host;

  /// Kernels for devices with host-visible memory, by driver name. They are called with pointers to dense row-major
  /// elements.
  struct HostKernelCall {
    const OpCall& call;
    std::span<const void* const> inputs;
    std::span<void* const> outputs;
    std::span<const TensorSpec> input_specs, output_specs;
  };
  std::map<std::string, std::function<void(const HostKernelCall&)>, std::less<>> kernels;

  std::vector<Saves> saves;  // per input; one entry serves all inputs
  std::function<void(GradContext&)> gradient;
  /// A pointwise op without `gradient` gets one by differentiation of its program, unless this is false.
  bool differentiable = true;

  /// For conformance tests of pointwise ops: d y / d x[which] at points where it is a matter of definition (at kinks,
  /// at NaN, next to points without a value), according to the op's public header. nullopt if the slopes on both sides
  /// determine it.
  std::function<std::optional<long double>(std::span<const long double> x, std::size_t which)> slope;

  /// The oracle. If an op is not pointwise and a call has f16 or bf16 operands, it is called in f32.
  std::function<void(RefContext&)> reference;
  std::function<std::vector<OpCase>()> cases;

  // Set on registration.
  std::uint32_t id = 0;   // LKS_OP_* of driver_ops.h; 0: drivers know the op only by name
  UniqueNumber identity;  // not the address, which another definition may get later
  bool pointwise() const { return static_cast<bool>(body); }
  const Saves& saves_for(std::size_t input) const;
};

/// Registers a user's op for the rest of the process. Throws StateError LS1006 if the name is taken, LS1007 if fields
/// contradict each other.
const OpDef& register_op(OpDef def);

/// The op with that name, or nullptr.
const OpDef* find_op(std::string_view name);

/// All ops: first the built-in ones in the order of their ids, then the users'.
std::vector<const OpDef*> registered_ops();

/// Makes attributes as a user gives them canonical, in place: axes count from the front and ascend, missing axes are
/// all axes; then OpDef::normalize. An axis that is out of range stays, and inference refuses it. Public functions and
/// calls by name take this step; `invoke` takes canonical attributes. The caller's line is that of the first input,
/// unless `where` is given.
void normalize_attributes(const OpDef& op, std::span<const Operand> inputs, void* attrs,
                          const CallSite* where = nullptr);

/// Runs a call on the device of its inputs. Every op call goes through this function. The caller's line is that of the
/// first input, unless `where` is given.
std::vector<Tensor> invoke(const OpDef& op, std::span<const Operand> inputs, const void* attrs = nullptr,
                           std::span<const Scalar> scalars = {}, const CallSite* where = nullptr);

/// The same for ops with one output.
Tensor invoke1(const OpDef& op, std::span<const Operand> inputs, const void* attrs = nullptr,
               std::span<const Scalar> scalars = {}, const CallSite* where = nullptr);
inline Tensor invoke1(const OpDef& op, std::initializer_list<Operand> inputs, const void* attrs = nullptr,
                      std::span<const Scalar> scalars = {}, const CallSite* where = nullptr) {
  return invoke1(op, std::span(inputs.begin(), inputs.size()), attrs, scalars, where);
}

// ----------------------------------------------------------------------------------------------------------- families

struct PointwiseOptions {
  std::string doc;
  TypeSet types = types::floating;
  ErrorClass error_class = ErrorClass::composed;
  bool commutative = false;
  CaseValues values = {};
};

/// An OpDef for an elementwise function, such as
///
///     register_op(pointwise_op("acme::swish", [](Expr x, Expr beta) { return x * sigmoid(beta * x); }));
///
/// It includes shape inference (broadcasting), the oracle, the conformance cases, and gradients of every order.
template <class F>
OpDef pointwise_op(std::string name, F body, PointwiseOptions options = {});

OpDef make_pointwise_op(std::string name, std::size_t arity, OpDef::Body body, PointwiseOptions options);

namespace detail {
template <class F, std::size_t... I>
Expr apply_body(const F& body, std::span<const Expr> inputs, std::index_sequence<I...>) {
  return body(inputs[I]...);
}
template <class T, std::size_t>
using Repeat = T;
template <class F, std::size_t... I>
constexpr bool takes(std::index_sequence<I...>) {
  return std::is_invocable_v<F, Repeat<Expr, I>...>;
}
template <class F, std::size_t N = 1>
constexpr std::size_t arity_of() {
  static_assert(N <= 8, "a pointwise body takes one to eight values of type Expr and returns one");
  if constexpr (takes<F>(std::make_index_sequence<N>())) {
    return N;
  } else {
    return arity_of<F, N + 1>();
  }
}
}  // namespace detail

template <class F>
OpDef pointwise_op(std::string name, F body, PointwiseOptions options) {
  constexpr std::size_t arity = detail::arity_of<F>();
  return make_pointwise_op(
      std::move(name), arity,
      [body](ProgramBuilder&, const OpCall&, std::span<const Expr> inputs) {
        return std::vector<Expr>{detail::apply_body(body, inputs, std::make_index_sequence<arity>())};
      },
      std::move(options));
}

}  // namespace lockstep

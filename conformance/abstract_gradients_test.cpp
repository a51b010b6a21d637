// Gradients of abstract tensors: every case of every differentiable op, as a call on tensors without elements, must
// make the op calls of the same case with elements, of first and second order. Extents are the case's, or symbols that
// stand for them. Nothing here depends on a driver, so this is not a suite of the conformance run.
#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <map>
#include <set>

#include "conformance/case_data.h"
#include "conformance/cases/extents.h"
#include "conformance/cases/inferred_outputs.h"
#include "conformance/checks/gradient.h"
#include "lockstep/lockstep.h"
#include "ops/observer.h"
#include "runtime/symbolic.h"
#include "runtime/thread_state.h"

namespace lockstep::conformance {
namespace {

using Sizes = std::map<std::string, std::int64_t>;

// The value of an extent such as "n0*4+2" or "n1*(n0-2)/2", in which a quotient binds more tightly than a product.
class Evaluation {
 public:
  Evaluation(std::string text, const Sizes& sizes) : text_(std::move(text)), sizes_(sizes) {}

  std::int64_t sum() {
    std::int64_t total = next('-') ? -product() : product();
    while (true) {
      if (next('+')) {
        total += product();
      } else if (next('-')) {
        total -= product();
      } else {
        return total;
      }
    }
  }

 private:
  bool next(char c) {
    const bool here = at_ < text_.size() && text_[at_] == c;
    at_ += here;
    return here;
  }
  std::int64_t product() {
    std::int64_t value = quotient();
    while (next('*')) value *= quotient();
    return value;
  }
  std::int64_t quotient() {
    const std::int64_t value = factor();
    return next('/') ? value / factor() : value;
  }
  std::int64_t factor() {
    if (next('(')) {
      const std::int64_t inside = sum();
      EXPECT_TRUE(next(')')) << text_;
      return inside;
    }
    std::string word;
    while (at_ < text_.size() && std::isalnum(static_cast<unsigned char>(text_[at_]))) word += text_[at_++];
    return std::isdigit(static_cast<unsigned char>(word.at(0))) ? std::stoll(word) : sizes_.at(word);
  }

  std::string text_;
  const Sizes& sizes_;
  std::size_t at_ = 0;
};

TensorSpec known(const TensorSpec& spec, const Sizes& sizes) {
  TensorSpec out{spec.dtype, {}};
  for (Dim d : spec.shape.dims()) out.shape.append(Evaluation(d.to_string(), sizes).sum());
  return out;
}

std::string text_of(const TensorSpec& spec) { return std::string(name_of(spec.dtype)) + " " + spec.shape.to_string(); }

// A call of an op: the words of its attributes, the bits of its own numbers, and the specs of its results and of its
// first input.
struct Step {
  std::string op;
  std::vector<std::int64_t> attributes, numbers;
  std::vector<TensorSpec> results;
  std::optional<TensorSpec> input;
};

// The steps without those that only write an extent in another way, which a sweep adds where an extent is known on one
// side and computed from symbols on the other, and without moves between devices, since an abstract tensor lies on
// none.
std::vector<Step> essential(const std::vector<Step>& steps, const Sizes& sizes) {
  std::vector<Step> kept;
  for (const Step& step : steps) {
    if (step.op == "reshape" && known(*step.input, sizes) == known(step.results[0], sizes)) continue;
    if (step.op != "to_device") kept.push_back(step);
  }
  return kept;
}

class Log : public OpObserver {
 public:
  Log() { op_observers().add(this); }
  ~Log() override { op_observers().remove(this); }
  void record(const OpCall& call, std::span<const TensorRef> outputs) override {
    Step step{call.op.name, {}, {}, {}, {}};
    step.attributes.resize(call.attrs ? call.op.attrs.size / sizeof(std::int64_t) : 0);
    if (!step.attributes.empty()) std::memcpy(step.attributes.data(), call.attrs, call.op.attrs.size);
    for (const Scalar& number : call.scalars) step.numbers.push_back(std::bit_cast<std::int64_t>(number.as_double()));
    if (!call.inputs.empty() && call.inputs[0].is_tensor()) {
      step.input = TensorSpec{call.inputs[0].impl()->dtype, call.inputs[0].impl()->shape};
    }
    for (const TensorRef& out : outputs) {
      step.results.push_back({out->dtype, out->shape});
      has_elements |= !out->is_abstract();
    }
    steps.push_back(std::move(step));
  }
  bool watches_any(const OpCall&) const override { return false; }
  void value_read(const TensorImpl&, const char* how, CallSite) override {
    ADD_FAILURE() << how << " in a gradient rule";
  }
  std::vector<Step> steps;
  bool has_elements = false;
};

struct Gradients {
  std::vector<Step> steps;
  std::vector<TensorSpec> first, second;
};

// The gradients of the contraction of a call's results with the cotangents, by its floating inputs; then those of the
// sum of their squares, also by the cotangents, by which the gradients of linear ops vary.
Gradients gradients_of(const OpCall& call, const std::vector<Tensor>& cotangents, bool abstract) {
  std::vector<Source> sources, all;
  for (const Operand& operand : call.inputs) {
    if (operand.is_tensor() && is_floating(operand.impl()->dtype)) sources.emplace_back(Tensor::share(operand.impl()));
  }
  all = sources;
  all.insert(all.end(), cotangents.begin(), cotangents.end());
  std::vector<KernelUse> kernels;
  thread_state().kernels_used = &kernels;
  Gradients result;
  {
    Log log;
    GradientTape outer;
    for (const Source& source : all) outer.watch(*source.tensor());
    std::optional<Tensor> squares;
    {
      GradientTape inner;
      for (const Source& source : sources) inner.watch(*source.tensor());
      const std::vector<Tensor> outputs = invoke(call.op, call.inputs, call.attrs, call.scalars);
      std::optional<Tensor> total;
      std::size_t next = 0;
      for (const Tensor& output : outputs) {
        if (!is_floating(output.dtype())) continue;
        const Tensor& cotangent = cotangents[next++];
        const Tensor part = sum(output * (abstract ? cotangent : cotangent.to(output.device())));
        total = total ? *total + part : part;
      }
      for (const Tensor& gradient : inner.gradient(*total, sources, {.unconnected = Unconnected::zero})) {
        result.first.push_back(gradient.spec());
        const Tensor part = sum(square(gradient));
        squares = squares ? *squares + part : part;
      }
    }
    for (const Tensor& gradient : outer.gradient(*squares, all, {.unconnected = Unconnected::zero})) {
      result.second.push_back(gradient.spec());
    }
    result.steps = std::move(log.steps);
    EXPECT_EQ(log.has_elements, !abstract);
  }
  thread_state().kernels_used = nullptr;
  EXPECT_TRUE(!abstract || kernels.empty()) << "a call on abstract tensors ran " << kernels[0].op;
  return result;
}

std::vector<TensorSpec> floating_outputs(const OpDef& op, const OpCase& c) {
  std::vector<TensorSpec> specs = *infer_outputs(op, c);
  std::erase_if(specs, [](const TensorSpec& spec) { return !is_floating(spec.dtype); });
  return specs;
}

Gradients with_elements(const OpDef& op, const OpCase& c) {
  const Device device("reference");
  DeviceScope scope(device);
  TestCase t = test_case_of(op, c);
  t.suite = "gradient";
  const std::vector<RefArray> values = case_inputs(t);
  const CaseOperands inputs(op, c, values, device, Layout::dense);
  std::vector<Tensor> cotangents;
  for (const TensorSpec& spec : floating_outputs(op, c)) cotangents.push_back(ones(spec.shape, spec.dtype));
  return gradients_of({op, inputs.operands(), attrs_of(op, c), c.scalars, CallSite::current()}, cotangents, false);
}

Gradients abstract(const OpDef& op, const OpCase& c) {
  const AbstractCase inputs(op, c);
  std::vector<Tensor> cotangents;
  for (const TensorSpec& spec : floating_outputs(op, c)) cotangents.push_back(Tensor::abstract(spec));
  return gradients_of(inputs.call(), cotangents, true);
}

// A case in which symbols stand for some extents.
struct Symbolic {
  OpCase call;
  Sizes sizes;
};

Symbolic with_symbols(const OpDef& op, const OpCase& c, std::span<const ExtentGroup> groups) {
  Symbolic s{c, {}};
  for (const ExtentGroup& group : groups) {
    const std::string name = "n" + std::to_string(s.sizes.size());
    const Dim symbol = Dim::symbol(name);
    s.sizes[name] = group.extent;
    for (const ExtentGroup::Dimension& d : group.dims) s.call.inputs[d.input].shape.set_dim(d.dim, symbol);
    if (!group.attributes.empty()) s.call.attrs = attribute_bytes(op, s.call);
    const std::int64_t handle = symbol.raw();
    for (std::size_t at : group.attributes) std::memcpy(s.call.attrs.data() + at, &handle, sizeof handle);
  }
  return s;
}

// Whether the op takes symbols there: not where an attribute is a number of something else than elements.
bool takes(const OpDef& op, const OpCase& c, const Symbolic& symbolic) {
  const auto with = infer_outputs(op, symbolic.call), without = infer_outputs(op, c);
  if (!with) return false;
  for (std::size_t o = 0; o < with->size(); ++o) {
    if (!(known((*with)[o], symbolic.sizes) == (*without)[o])) return false;
  }
  return true;
}

std::string compare(const std::vector<TensorSpec>& given, const std::vector<TensorSpec>& expected, const Sizes& sizes) {
  if (given.size() != expected.size()) return std::to_string(given.size()) + " results";
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (!(known(given[i], sizes) == expected[i])) {
      return "result " + std::to_string(i) + " is " + text_of(given[i]) + ", with elements " + text_of(expected[i]);
    }
  }
  return "";
}

// An attribute may be the handle of a symbolic extent.
bool same_attribute(std::int64_t given, std::int64_t expected, const Sizes& sizes) {
  if (given == expected) return true;
  if (sizes.empty() || !SymbolicTable::instance().holds(given)) return false;
  return Evaluation(Dim::from_raw(given).to_string(), sizes).sum() == expected;
}

std::string compare(const Gradients& given, const Gradients& expected, const Sizes& sizes) {
  const std::vector<Step> steps = essential(given.steps, sizes), others = essential(expected.steps, {});
  for (std::size_t i = 0; i < steps.size() && i < others.size(); ++i) {
    const Step &a = steps[i], &b = others[i];
    if (a.op != b.op) return "call " + std::to_string(i) + " is " + a.op + ", with elements " + b.op;
    if (a.numbers != b.numbers) return "call " + std::to_string(i) + ", " + a.op + ": other numbers";
    for (std::size_t k = 0; k < b.attributes.size(); ++k) {
      if (same_attribute(a.attributes[k], b.attributes[k], sizes)) continue;
      return "call " + std::to_string(i) + ", " + a.op + ": word " + std::to_string(k) + " of its attributes is " +
             std::to_string(a.attributes[k]) + ", with elements " + std::to_string(b.attributes[k]);
    }
    const std::string difference = compare(a.results, b.results, sizes);
    if (!difference.empty()) return "call " + std::to_string(i) + ", " + a.op + ": " + difference;
  }
  if (steps.size() != others.size()) {
    return std::to_string(steps.size()) + " calls, with elements " + std::to_string(others.size());
  }
  const std::string first = compare(given.first, expected.first, sizes);
  return first.empty() ? compare(given.second, expected.second, sizes) : first;
}

class AbstractGradients : public testing::Test {
 protected:
  void check(const OpDef& op, const OpCase& c) {
    if (c.error || !(op.gradient || op.decompose)) return;
    const auto is_source = [](const CaseInput& in) { return !in.absent && !in.scalar && is_floating(in.dtype); };
    if (!std::ranges::any_of(c.inputs, is_source) || floating_outputs(op, c).empty()) return;
    const Gradients expected = with_elements(op, c);
    check(op, {c, {}}, expected, c.name);
    ++cases_;
    std::vector<ExtentGroup> groups = extent_groups(op, c);
    // An extent of 1 may be broadcast, and an extent of 0 may be a case of its own. A symbol stands for neither.
    std::erase_if(groups, [](const ExtentGroup& group) { return group.extent <= 1; });
    for (const ExtentGroup& group : groups) check_symbolic(op, c, std::span(&group, 1), expected);
    if (groups.size() > 1) check_symbolic(op, c, groups, expected);
  }

  void check_symbolic(const OpDef& op, const OpCase& c, std::span<const ExtentGroup> groups,
                      const Gradients& expected) {
    const Symbolic symbolic = with_symbols(op, c, groups);
    std::string name = c.name;
    for (const CaseInput& in : symbolic.call.inputs) name += " " + in.shape.to_string();
    if (!takes(op, c, symbolic)) return;
    check(op, symbolic, expected, name);
    with_symbols_.insert(op.name);
    ++symbolic_cases_;
  }

  void check(const OpDef& op, const Symbolic& s, const Gradients& expected, const std::string& name) {
    try {
      const std::string difference = compare(abstract(op, s.call), expected, s.sizes);
      EXPECT_EQ(difference, "") << op.name << "/" << name;
    } catch (const Error& e) {
      thread_state().kernels_used = nullptr;
      ADD_FAILURE() << op.name << "/" << name << ": " << e.what();
    }
  }

  int cases_ = 0, symbolic_cases_ = 0;
  std::set<std::string> with_symbols_;
};

TEST_F(AbstractGradients, MakeTheCallsOfGradientsWithElements) {
  std::set<std::string> differentiable;
  for (const OpDef* op : registered_ops()) {
    if (!op->cases) continue;
    const int before = cases_;
    for (const OpCase& c : op->cases()) check(*op, c);
    if (cases_ > before) differentiable.insert(op->name);
  }
  EXPECT_GE(differentiable.size(), 55u);
  EXPECT_GT(symbolic_cases_, 5000);
  for (const std::string& name : with_symbols_) differentiable.erase(name);
  // The attributes of slice_backward fix all extents of its cases. It gets symbols as the gradient of slice.
  EXPECT_EQ(differentiable, (std::set<std::string>{"slice_backward"})) << "these ops had no symbols in any case";
}

}  // namespace
}  // namespace lockstep::conformance

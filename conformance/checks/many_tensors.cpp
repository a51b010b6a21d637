#include "conformance/checks/many_tensors.h"

#include <algorithm>
#include <iterator>

#include "conformance/case_data.h"
#include "conformance/checks/instruction_tensors.h"
#include "lockstep/program.h"
#include "ops/infer.h"
#include "ops/pointwise.h"
#include "ops/shape/indexing.h"

namespace lockstep::conformance {
namespace {

constexpr const char* op_name = "conformance::many_tensors";
// As many tensors in all as the reference driver and the driver template take.
constexpr std::size_t input_count = 10, output_count = 6;
const Shape matrix{5, 33}, images{2, 3, 4, 16};

// No two inputs of an output, and no two outputs of an input, have the same weight. All sums of the values below are
// exact in every dtype.
std::int64_t weight(std::size_t output, std::size_t input) {
  return 1 + static_cast<std::int64_t>((output * 7 + input * 3) % 11);
}

// An input of a case.
struct Input {
  Shape shape;
  Layout layout = Layout::dense;
};

// The inputs of a case: matrices of one layout, of several layouts and shapes, or images with what is repeated along
// some of their dimensions.
struct Arrangement {
  const char* name;
  Shape result;
  std::vector<Input> inputs;  // in turn

  const Input& of(std::size_t i) const { return inputs[i % inputs.size()]; }
};

const std::vector<Arrangement>& arrangements() {
  static const std::vector<Arrangement> all = {
      {"dense", matrix, {{matrix}}},
      {"strided", matrix, {{matrix}, {matrix, Layout::transposed}, {{1, 33}}, {matrix, Layout::padded_rows}, {{5, 1}}}},
      {"images",
       images,
       {{images},
        {{1, 1, 1, 16}},
        {{2, 1, 1, 16}},
        {{1, 3, 4, 1}},
        {images, Layout::channels_second},
        {{1, 3, 1, 16}},
        {{}}}}};
  return all;
}

const Arrangement* find_arrangement(const std::string& name) {
  const std::vector<Arrangement>& all = arrangements();
  const auto at = std::find_if(all.begin(), all.end(), [&](const Arrangement& a) { return name == a.name; });
  return at == all.end() ? nullptr : &*at;
}

RefArray values_of(std::size_t i, DType dtype, const Shape& shape) {
  RefArray array = RefArray::zeros(dtype, shape);
  for (std::size_t n = 0; n < array.values.size(); ++n) {
    array.values[n] = static_cast<long double>((n * (i + 2) + 5 * i) % 23) - 11;
  }
  return array;
}

std::string first_error(const std::vector<RefArray>& inputs, const RefArray& result, std::size_t output) {
  std::string error;
  for_each_index(result.shape, [&](const Index& index, std::int64_t n) {
    long double right = 0;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      right += static_cast<long double>(weight(output, i)) * at_broadcast(inputs[i], index);
    }
    const long double got = result.values[static_cast<std::size_t>(n)];
    if (got == right || !error.empty()) return;
    error = "output " + std::to_string(output) + ", element " + std::to_string(n) + " is " +
            std::to_string(static_cast<double>(got)) + ", not " + std::to_string(static_cast<double>(right));
  });
  return error;
}

constexpr DType dtypes[] = {DType::f32, DType::i32, DType::f64, DType::i64};

}  // namespace

OpDef many_tensors_op() {
  OpDef op = make_pointwise_op(op_name, input_count,
                               [](ProgramBuilder&, const OpCall&, std::span<const Expr> in) {
                                 std::vector<Expr> results;
                                 for (std::size_t o = 0; o < output_count; ++o) {
                                   Expr sum = in[0] * in[0].constant(weight(o, 0));
                                   for (std::size_t i = 1; i < in.size(); ++i) {
                                     sum = sum + in[i] * in[i].constant(weight(o, i));
                                   }
                                   results.push_back(sum);
                                 }
                                 return results;
                               },
                               {.doc = "Weighted sums of ten tensors, for the conformance suite.",
                                .types = types::of(f32, i32, f64, i64),
                                .error_class = ErrorClass::exact});
  op.differentiable = false;
  op.outputs.clear();
  for (std::size_t o = 0; o < output_count; ++o) op.outputs.push_back({"sum" + std::to_string(o)});
  op.infer = [](InferContext& c) {
    const Shape shape = broadcast_shape(c.call());
    for (std::size_t o = 0; o < output_count; ++o) c.set(o, c.group_dtype(), shape);
  };
  op.cases = nullptr;
  return op;
}

std::vector<std::string> many_tensors_ids(const SpecialRequest& request) {
  std::vector<std::string> ids;
  const Options& o = request.options;
  if (!o.op.empty() && !fits_pattern(o.op, op_name)) return ids;
  for (const DType dtype : dtypes) {
    if (!o.dtype.empty() && o.dtype != name_of(dtype)) continue;
    for (const MathMode mode : request.modes) {
      for (const Arrangement& a : arrangements()) {
        ids.push_back(program_id(op_name, std::string(name_of(dtype)), mode, a.name));
      }
    }
  }
  return ids;
}

bool run_many_tensors(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result) {
  if (parts.size() != 5 || parts[1] != op_name) return false;
  const Arrangement* const arrangement = find_arrangement(parts[4]);
  const auto mode = find_mode(parts[3]);
  if (!mode || !arrangement) return false;
  const DType dtype = parse_dtype(parts[2]);
  if (std::find(std::begin(dtypes), std::end(dtypes), dtype) == std::end(dtypes)) return false;
  const MathModeScope scope(*mode);
  const DeviceScope device(setting.device);
  std::vector<RefArray> inputs;
  std::vector<Tensor> tensors;
  for (std::size_t i = 0; i < input_count; ++i) {
    const Input& input = arrangement->of(i);
    inputs.push_back(values_of(i, dtype, input.shape));
    tensors.push_back(to_tensor(inputs.back(), setting.device, input.layout));
  }
  const std::vector<Operand> operands(tensors.begin(), tensors.end());
  result.bound = "the same bits";
  const std::vector<Tensor> results = invoke(*find_op(op_name), operands);
  if (!(results[0].shape() == arrangement->result)) {
    result.outcome = Outcome::fail;
    result.text = "the results have the shape " + results[0].shape().to_string();
    return true;
  }
  for (std::size_t o = 0; o < output_count && result.outcome == Outcome::pass; ++o) {
    result.text = first_error(inputs, to_array(results[o]), o);
    if (!result.text.empty()) result.outcome = Outcome::fail;
  }
  return true;
}

}  // namespace lockstep::conformance

#include "conformance/checks/many_tensors.h"

#include <algorithm>
#include <iterator>

#include "conformance/case_data.h"
#include "lockstep/program.h"
#include "ops/infer.h"
#include "ops/pointwise.h"

namespace lockstep::conformance {
namespace {

constexpr const char* op_name = "conformance::many_tensors";
// As many tensors in all as the reference driver and the driver template take.
constexpr std::size_t input_count = 10, output_count = 6;
constexpr std::int64_t rows = 5, columns = 33;

// No two inputs of an output, and no two outputs of an input, have the same weight. All sums of the values below are
// exact in every dtype.
std::int64_t weight(std::size_t output, std::size_t input) {
  return 1 + static_cast<std::int64_t>((output * 7 + input * 3) % 11);
}

// Input i in a case: dense, or one of several layouts and shapes.
struct Input {
  Shape shape{rows, columns};
  Layout layout = Layout::dense;
};
Input input_of(std::size_t i, bool strided) {
  if (!strided) return {};
  switch (i % 5) {
    case 1: return {{rows, columns}, Layout::transposed};
    case 2: return {{1, columns}, Layout::dense};
    case 3: return {{rows, columns}, Layout::padded_rows};
    case 4: return {{rows, 1}, Layout::dense};
    default: return {};
  }
}

RefArray values_of(std::size_t i, DType dtype, const Shape& shape) {
  RefArray array = RefArray::zeros(dtype, shape);
  for (std::size_t n = 0; n < array.values.size(); ++n) {
    array.values[n] = static_cast<long double>((n * (i + 2) + 5 * i) % 23) - 11;
  }
  return array;
}

// The value at a row and a column of an input that may be broadcast.
long double value_at(const RefArray& array, std::int64_t row, std::int64_t column) {
  const std::int64_t width = array.shape[1], r = array.shape[0] == 1 ? 0 : row, c = width == 1 ? 0 : column;
  return array.values[static_cast<std::size_t>(r * width + c)];
}

std::string first_error(const std::vector<RefArray>& inputs, const RefArray& result, std::size_t output) {
  for (std::int64_t n = 0; n < rows * columns; ++n) {
    long double right = 0;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      right += static_cast<long double>(weight(output, i)) * value_at(inputs[i], n / columns, n % columns);
    }
    const long double got = result.values[static_cast<std::size_t>(n)];
    if (got == right) continue;
    return "output " + std::to_string(output) + ", element " + std::to_string(n) + " is " +
           std::to_string(static_cast<double>(got)) + ", not " + std::to_string(static_cast<double>(right));
  }
  return "";
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
      for (const char* layout : {"dense", "strided"}) {
        ids.push_back(std::string("instructions/") + op_name + "/" + std::string(name_of(dtype)) + "/" +
                      std::string(name_of(mode)) + "/" + layout);
      }
    }
  }
  return ids;
}

bool run_many_tensors(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result) {
  if (parts.size() != 5 || parts[1] != op_name) return false;
  const bool strided = parts[4] == "strided";
  const auto mode = find_mode(parts[3]);
  if (!mode || (!strided && parts[4] != "dense")) return false;
  const DType dtype = parse_dtype(parts[2]);
  if (std::find(std::begin(dtypes), std::end(dtypes), dtype) == std::end(dtypes)) return false;
  const MathModeScope scope(*mode);
  const DeviceScope device(setting.device);
  std::vector<RefArray> inputs;
  std::vector<Tensor> tensors;
  for (std::size_t i = 0; i < input_count; ++i) {
    const Input input = input_of(i, strided);
    inputs.push_back(values_of(i, dtype, input.shape));
    tensors.push_back(to_tensor(inputs.back(), setting.device, input.layout));
  }
  const std::vector<Operand> operands(tensors.begin(), tensors.end());
  result.bound = "the same bits";
  const std::vector<Tensor> results = invoke(*find_op(op_name), operands);
  for (std::size_t o = 0; o < output_count && result.outcome == Outcome::pass; ++o) {
    result.text = first_error(inputs, to_array(results[o]), o);
    if (!result.text.empty()) result.outcome = Outcome::fail;
  }
  return true;
}

}  // namespace lockstep::conformance

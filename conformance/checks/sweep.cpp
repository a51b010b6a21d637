#include "conformance/checks/sweep.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "conformance/cases/extents.h"
#include "conformance/cases/inferred_outputs.h"
#include "conformance/cases/values.h"
#include "conformance/checks/forward.h"
#include "conformance/oracle.h"

namespace lockstep::conformance {
namespace {

DType result_dtype(const OpDef& op, const OpCase& c) { return (*infer_outputs(op, c))[0].dtype; }

// For each dtype of the result, the first own case of a pointwise op of `arity` inputs that all have this dtype and the
// same shape of more than one element.
std::vector<OpCase> cases_to_sweep(const OpDef& op, DType dtype, std::size_t arity) {
  std::vector<OpCase> found;
  if (!op.pointwise() || op.inputs.size() != arity || !op.cases) return found;
  for (OpCase& c : op.cases()) {
    const bool fits =
        !c.error && c.inputs.size() == arity && std::all_of(c.inputs.begin(), c.inputs.end(), [&](const CaseInput& in) {
          return !in.absent && !in.scalar && in.dtype == dtype && in.shape == c.inputs[0].shape && in.shape.size() > 1;
        });
    const bool is_new = fits && std::none_of(found.begin(), found.end(), [&](const OpCase& other) {
                          return result_dtype(op, other) == result_dtype(op, c);
                        });
    if (is_new) found.push_back(std::move(c));
  }
  return found;
}

struct Part {
  std::uint64_t first = 0, step = 1, count = 0;  // bit patterns
};

// Numbers at which functions change behaviour: zero, one, the smallest and the largest, the points at which exp, tanh,
// erf and similar functions saturate in f32 and f64, multiples of pi/2, and the borders of shorter dtypes. "near"
// sweeps all numbers around each.
constexpr double special_points[] = {
    0.0,        1.0,        2.0,       0.5,      0x1p-20,   0x1p-126, 0x1.fffffep127, 88.722839,  87.336544,
    103.972077, 9.010913,   3.919206,  5.920000, 16.635532, 26.54326, 1.570796,       3.14159265, 709.782712,
    708.396418, 745.133219, 0x1p-1022, 128,      256,       32768,    65520,          0x1p31,     0x1p32,
    0x1p53,     0x1p63,     0x1p64,    0x1p-14,  0x1p-24,   0x1p-25,  0x1.ffp127};
constexpr std::uint64_t reach = 1024;      // numbers on each side
constexpr std::uint64_t close_reach = 32;  // the same for "close", the short form of "near"

constexpr std::uint64_t sample_parts = 4, sample_size = 1 << 16, full_parts = 256;
constexpr std::uint64_t thin_size = 1 << 13;  // "thin": numbers over the whole range, in equal steps of their bits

std::optional<Part> parse_part(const std::string& text, DType dtype) {
  const int bits = static_cast<int>(8 * size_of(dtype));
  if (text == "all") return bits == 16 ? std::optional(Part{0, 1, 1 << 16}) : std::nullopt;
  if (text == "thin") {
    const std::uint64_t last = ~std::uint64_t{0} >> (64 - bits), step = last / thin_size | 1;
    return Part{0, step, last / step};
  }
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || bits == 16) return std::nullopt;
  const std::string rest(end, text.data() + text.size());
  if (rest == "of" + std::to_string(full_parts) + ".full" && bits == 32 && number < full_parts) {
    return Part{number << 24, 1, std::uint64_t{1} << 24};
  }
  if (rest != "of" + std::to_string(sample_parts) || number >= sample_parts) return std::nullopt;
  // An odd step reaches all patterns of the low bits.
  const std::uint64_t step = (~std::uint64_t{0} >> (64 - bits)) / (sample_parts * sample_size) | 1;
  return Part{number * sample_size * step, step, sample_size};
}

long double value_of(std::uint64_t bits, DType dtype) {
  switch (dtype) {
    case DType::f64: return std::bit_cast<double>(bits);
    case DType::f16: return static_cast<float>(std::bit_cast<Half>(static_cast<std::uint16_t>(bits)));
    case DType::bf16: return static_cast<float>(std::bit_cast<BFloat16>(static_cast<std::uint16_t>(bits)));
    default: return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
  }
}

std::uint64_t bits_at(double point, DType dtype) {
  return dtype == DType::f64 ? std::bit_cast<std::uint64_t>(point)
                             : std::bit_cast<std::uint32_t>(static_cast<float>(point));
}

// All numbers near the special points, `most` on each side, of both signs.
std::vector<std::uint64_t> bits_near_special_points(DType dtype, std::uint64_t most) {
  const std::uint64_t sign = std::uint64_t{1} << (8 * size_of(dtype) - 1);
  std::vector<std::uint64_t> bits;
  for (double point : special_points) {
    const std::uint64_t at = bits_at(point, dtype), first = at < most ? 0 : at - most;
    for (std::uint64_t b = first; b <= at + most; ++b) {
      bits.push_back(b);
      bits.push_back(b | sign);
    }
  }
  std::sort(bits.begin(), bits.end());
  bits.erase(std::unique(bits.begin(), bits.end()), bits.end());
  return bits;
}

// Numbers of both signs for every pair of which a function of two numbers is asked: around the special points of powers
// (0, 1, small integers and fractions), and over all magnitudes.
std::vector<long double> grid_numbers(DType dtype) {
  std::vector<long double> numbers;
  const auto add = [&](long double v) {
    const long double rounded = round_to(v, dtype);
    numbers.push_back(rounded);
    numbers.push_back(-rounded);
  };
  constexpr long double infinity = std::numeric_limits<long double>::infinity();
  for (long double v : {0.0L, infinity, std::numeric_limits<long double>::quiet_NaN(), 3.3e38L, 1.2e-38L, 1e-45L})
    add(v);
  for (int k = 1; k <= 9; ++k) {
    add(k);
    add(k + 0.5L);
    add(1.0L / k);
  }
  for (int k = 2; k <= 23; k += 3) {
    add(1 + std::ldexp(1.0L, -k));
    add(1 - std::ldexp(1.0L, -k));
  }
  const int most = dtype == DType::f16 ? 14 : 120;
  for (int step = -12; step <= 12; ++step) {
    const int exponent = step * most / 12;
    add(std::ldexp(1.37L, exponent));
    add(std::ldexp(1.0L, exponent));
  }
  for (long double v : {0x1p24L - 1, 0x1p24L, 0x1p24L + 2, 0x1p31L, 0x1p53L, 101.0L, 127.0L, 1001.0L}) add(v);
  return numbers;
}

// All pairs of the numbers of a grid.
std::vector<RefArray> grid_inputs(DType dtype) {
  const std::vector<long double> numbers = grid_numbers(dtype);
  const auto n = static_cast<std::int64_t>(numbers.size());
  std::vector<RefArray> inputs(2, RefArray::zeros(dtype, Shape{n * n}));
  for (std::size_t i = 0; i < numbers.size() * numbers.size(); ++i) {
    inputs[0].values[i] = numbers[i / numbers.size()];
    inputs[1].values[i] = numbers[i % numbers.size()];
  }
  return inputs;
}

Verdict check_slice(const TestCase& t, const std::vector<RefArray>& inputs, const Setting& setting) {
  const std::vector<Tensor> results = call_on(t, inputs, setting.device);
  const auto on_trusted = [&] { return call_on(t, inputs, setting.trusted); };
  if (const auto trusted = verdict_of_trusted(t, setting, results, on_trusted)) return *trusted;
  const Oracle oracle(*t.op, t.call);
  const std::vector<RefArray> exact = oracle.forward(inputs);
  const RefArray* argument = inputs.size() == 1 ? &inputs[0] : nullptr;
  const Measure measure{setting.bounds.find(t.op->error_class, exact[0].dtype, t.mode), argument, false};
  return judge(to_array(results[0]), exact[0], measure);
}

}  // namespace

std::vector<std::string> sweep_ids(const SpecialRequest& request) {
  std::vector<std::string> ids;
  for (const OpDef* op : registered_ops()) {
    if (!request.options.op.empty() && !fits_pattern(request.options.op, op->name)) continue;
    for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
      if (!request.options.dtype.empty() && request.options.dtype != name_of(dtype)) continue;
      const std::vector<OpCase> unary = cases_to_sweep(*op, dtype, 1);
      const bool is_binary = op->error_class != ErrorClass::exact && !cases_to_sweep(*op, dtype, 2).empty();
      for (MathMode mode : request.modes) {
        const std::string start =
            "sweep/" + op->name + "/" + std::string(name_of(dtype)) + "/" + std::string(name_of(mode)) + "/";
        if (mode == MathMode::fast) {
          // The bounds are those of strict mode, so a few numbers tell whether the functions are others.
          if (op->error_class == ErrorClass::exact || unary.empty()) continue;
          if (size_of(dtype) > 2) ids.push_back(start + "close");
          ids.push_back(start + "thin");
          continue;
        }
        if (is_binary) ids.push_back(start + "pairs");
        const bool is_short = size_of(dtype) == 2, full = request.stress && dtype == DType::f32;
        for (std::size_t c = 0; c < unary.size(); ++c) {
          // Results of the first dtype get more numbers.
          const std::string to = c == 0 ? "" : "." + std::string(name_of(result_dtype(*op, unary[c])));
          if (!is_short) ids.push_back(start + "near" + to);
          const std::uint64_t all = is_short ? 1 : full ? full_parts : dtype == DType::f32 ? sample_parts : 1;
          for (std::uint64_t k = 0; k < (c == 0 ? all : 1); ++k) {
            ids.push_back(start +
                          (is_short ? "all"
                           : full   ? std::to_string(k) + "of" + std::to_string(full_parts) + ".full"
                                    : std::to_string(k) + "of" + std::to_string(sample_parts)) +
                          to);
          }
        }
      }
    }
  }
  return ids;
}

bool run_sweep(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result) {
  const OpDef* op = parts.size() == 5 ? find_op(parts[1]) : nullptr;
  if (!op) return false;
  const DType dtype = parse_dtype(parts[2]);
  const bool pairs = parts[4] == "pairs";
  std::vector<OpCase> calls = cases_to_sweep(*op, dtype, pairs ? 2 : 1);
  std::string numbers = parts[4];
  std::size_t which = 0;
  for (std::size_t c = 1; c < calls.size(); ++c) {
    const std::string to = "." + std::string(name_of(result_dtype(*op, calls[c])));
    if (!numbers.ends_with(to)) continue;
    numbers.resize(numbers.size() - to.size());
    which = c;
  }
  const bool near = (numbers == "near" || numbers == "close") && size_of(dtype) > 2;
  const std::vector<RefArray> grid = pairs ? grid_inputs(dtype) : std::vector<RefArray>();
  const std::vector<std::uint64_t> listed =
      near ? bits_near_special_points(dtype, numbers == "close" ? close_reach : reach) : std::vector<std::uint64_t>();
  const auto part = pairs  ? std::optional(Part{0, 1, grid[0].values.size()})
                    : near ? std::optional(Part{0, 1, listed.size()})
                           : parse_part(numbers, dtype);
  if (calls.empty() || !part) return false;

  TestCase t{
      "forward",     op, std::move(calls[which]), false, find_mode(parts[3]).value_or(MathMode::strict), Layout::dense,
      Values::drawn, 0};
  const MathModeScope mode(t.mode);
  const DType to = result_dtype(*op, t.call);
  result.bound = setting.bounds.find(op->error_class, to, t.mode).text;
  if (is_half_width(to)) result.bound += " of f32, rounded once";
  constexpr std::uint64_t most = 1 << 18;  // elements per call
  std::int64_t elements = 0;
  for (std::uint64_t done = 0; done < part->count; done += most) {
    const std::uint64_t n = std::min(most, part->count - done);
    const Shape shape{static_cast<std::int64_t>(n)};
    for (CaseInput& in : t.call.inputs) in.shape = shape;
    std::vector<RefArray> inputs(t.call.inputs.size(), RefArray::zeros(dtype, shape));
    for (std::uint64_t i = 0; i < n; ++i) {
      const std::uint64_t number = part->first + (done + i) * part->step;
      for (std::size_t k = 0; k < inputs.size(); ++k) {
        inputs[k].values[i] = pairs ? grid[k].values[number] : value_of(near ? listed[number] : number, dtype);
      }
    }
    Verdict verdict = check_slice(t, inputs, setting);
    elements += verdict.errors.elements;
    if (done == 0 || verdict.errors.max_ulp > result.errors.max_ulp) result.errors = verdict.errors;
    if (verdict.ok) continue;
    result.outcome = Outcome::fail;
    result.text = verdict.text + (verdict.errors.worst.empty() ? "" : "; " + verdict.errors.worst);
    break;
  }
  result.errors.elements = elements;
  return true;
}

}  // namespace lockstep::conformance

#include "conformance/checks/sweep.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <optional>

#include "conformance/cases/extents.h"
#include "conformance/checks/forward.h"
#include "conformance/oracle.h"

namespace lockstep::conformance {
namespace {

// The first own case of a pointwise op of one input that has this dtype and more than one element.
std::optional<OpCase> unary_case(const OpDef& op, DType dtype) {
  if (!op.pointwise() || op.inputs.size() != 1 || !op.cases) return std::nullopt;
  for (OpCase& c : op.cases()) {
    const bool fits = !c.error && c.inputs.size() == 1 && !c.inputs[0].absent && !c.inputs[0].scalar &&
                      c.inputs[0].dtype == dtype && c.inputs[0].shape.size() > 1;
    if (fits) return std::move(c);
  }
  return std::nullopt;
}

struct Part {
  std::uint64_t first = 0, step = 1, count = 0;  // bit patterns
};

// Numbers at which functions change behaviour: zero, one, the smallest and the largest, the points at which exp, tanh,
// erf and similar functions saturate in f32 and f64, and multiples of pi/2. "near" sweeps all numbers around each.
constexpr double special_points[] = {
    0.0,       1.0,       2.0,        0.5,        0x1p-20,    0x1p-126,   0x1.fffffep127,
    88.722839, 87.336544, 103.972077, 9.010913,   3.919206,   5.920000,   16.635532,
    26.54326,  1.570796,  3.14159265, 709.782712, 708.396418, 745.133219, 0x1p-1022};
constexpr std::uint64_t reach = 1024;  // numbers on each side

constexpr std::uint64_t sample_parts = 4, sample_size = 1 << 16, full_parts = 256;

std::optional<Part> parse_part(const std::string& text, DType dtype) {
  const int bits = static_cast<int>(8 * size_of(dtype));
  if (text == "all") return bits == 16 ? std::optional(Part{0, 1, 1 << 16}) : std::nullopt;
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

// All numbers near the special points, of both signs.
std::vector<std::uint64_t> bits_near_special_points(DType dtype) {
  const std::uint64_t sign = std::uint64_t{1} << (8 * size_of(dtype) - 1);
  std::vector<std::uint64_t> bits;
  for (double point : special_points) {
    const std::uint64_t at = bits_at(point, dtype), first = at < reach ? 0 : at - reach;
    for (std::uint64_t b = first; b <= at + reach; ++b) {
      bits.push_back(b);
      bits.push_back(b | sign);
    }
  }
  std::sort(bits.begin(), bits.end());
  bits.erase(std::unique(bits.begin(), bits.end()), bits.end());
  return bits;
}

Verdict check_slice(const TestCase& t, const RefArray& x, const Setting& setting) {
  const Oracle oracle(*t.op, t.call);
  const std::vector<RefArray> inputs = {x}, exact = oracle.forward(inputs);
  const std::vector<Tensor> results = call_on(t, inputs, setting.device);
  const Measure measure{setting.bounds.find(t.op->error_class, exact[0].dtype, t.mode), &inputs[0], false};
  Verdict verdict = judge(to_array(results[0]), exact[0], measure);
  if (verdict.ok && t.mode == MathMode::lockstep && !(setting.device == setting.trusted)) {
    const std::string other = first_difference(results, call_on(t, inputs, setting.trusted));
    if (!other.empty()) return failure("the bits are not those of " + setting.trusted.name() + ": " + other);
  }
  return verdict;
}

}  // namespace

std::vector<std::string> sweep_ids(const SpecialRequest& request) {
  std::vector<std::string> ids;
  for (const OpDef* op : registered_ops()) {
    if (!request.options.op.empty() && !fits_pattern(request.options.op, op->name)) continue;
    for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
      if (!request.options.dtype.empty() && request.options.dtype != name_of(dtype)) continue;
      if (!unary_case(*op, dtype)) continue;
      for (MathMode mode : request.modes) {
        if (mode == MathMode::fast) continue;  // same arithmetic as strict mode
        const std::string start =
            "sweep/" + op->name + "/" + std::string(name_of(dtype)) + "/" + std::string(name_of(mode)) + "/";
        const bool is_short = size_of(dtype) == 2, full = request.stress && dtype == DType::f32;
        if (!is_short) ids.push_back(start + "near");
        const std::uint64_t parts = is_short ? 1 : full ? full_parts : dtype == DType::f32 ? sample_parts : 1;
        for (std::uint64_t k = 0; k < parts; ++k) {
          ids.push_back(start + (is_short ? "all"
                                 : full   ? std::to_string(k) + "of" + std::to_string(full_parts) + ".full"
                                          : std::to_string(k) + "of" + std::to_string(sample_parts)));
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
  auto call = unary_case(*op, dtype);
  const bool near = parts[4] == "near" && size_of(dtype) > 2;
  const std::vector<std::uint64_t> listed = near ? bits_near_special_points(dtype) : std::vector<std::uint64_t>();
  const auto part = near ? std::optional(Part{0, 1, listed.size()}) : parse_part(parts[4], dtype);
  if (!call || !part) return false;

  TestCase t{"forward",     op, std::move(*call), false, find_mode(parts[3]).value_or(MathMode::strict), Layout::dense,
             Values::drawn, 0};
  const MathModeScope mode(t.mode);
  result.bound = setting.bounds.find(op->error_class, dtype, t.mode).text;
  if (is_half_width(dtype)) result.bound += " of f32, rounded once";
  constexpr std::uint64_t most = 1 << 18;  // elements per call
  std::int64_t elements = 0;
  for (std::uint64_t done = 0; done < part->count; done += most) {
    const std::uint64_t n = std::min(most, part->count - done);
    t.call.inputs[0].shape = Shape{static_cast<std::int64_t>(n)};
    RefArray x = RefArray::zeros(dtype, t.call.inputs[0].shape);
    for (std::uint64_t i = 0; i < n; ++i) {
      const std::uint64_t number = part->first + (done + i) * part->step;
      x.values[i] = value_of(near ? listed[number] : number, dtype);
    }
    Verdict verdict = check_slice(t, x, setting);
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

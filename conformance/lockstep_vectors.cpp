#include "conformance/lockstep_vectors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "conformance/case_json.h"
#include "runtime/canonical_nan.h"
#include "runtime/sha256.h"

namespace lockstep::embedded {
std::string_view lockstep_vectors_json();
}

namespace lockstep::conformance {
namespace {

using Json = nlohmann::json;

// The random generator of docs/lockstep_mode.md, "Test vectors".
class Draw {
 public:
  explicit Draw(std::uint32_t seed) : state_(seed) {}

  long double value(DType t) {
    const std::uint32_t x = step();
    const int exponent = static_cast<int>((x >> 5) % 8);
    switch (t) {
      case DType::f32: return std::ldexp(static_cast<long double>(x >> 8) - 0x1p23L, -23 - exponent);
      case DType::f64: {
        const std::uint64_t joined = (static_cast<std::uint64_t>(x >> 8) << 24) + (step() >> 8);
        return std::ldexp(static_cast<long double>(joined) - 0x1p47L, -47 - exponent);
      }
      case DType::f16: return std::ldexp(static_cast<long double>(x >> 21) - 0x1p10L, -10 - exponent);
      case DType::bf16: return std::ldexp(static_cast<long double>(x >> 24) - 0x1p7L, -7 - exponent);
      case DType::i32: return static_cast<std::int32_t>(x);
      case DType::i64:
        return static_cast<long double>(static_cast<std::int64_t>((static_cast<std::uint64_t>(x) << 32) + step()));
      default: throw std::runtime_error("lockstep vectors draw no " + std::string(name_of(t)));
    }
  }
  long double index(std::uint32_t below) { return (step() >> 8) % below; }

 private:
  std::uint32_t step() { return state_ = 1664525u * state_ + 1013904223u; }
  std::uint32_t state_;
};

// Numbers in hexadecimal, separated by spaces.
std::vector<std::uint64_t> words_of(const std::string& text) {
  std::vector<std::uint64_t> words;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    words.push_back(std::stoull(text.substr(at, end - at), nullptr, 16));
    at = end + 1;
  }
  return words;
}

long double number_from(std::uint64_t bits, DType t) {
  switch (t) {
    case DType::f32: return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    case DType::f64: return std::bit_cast<double>(bits);
    case DType::i32: return static_cast<std::int32_t>(static_cast<std::uint32_t>(bits));
    case DType::i64: return static_cast<long double>(static_cast<std::int64_t>(bits));
    default: throw std::runtime_error("lockstep vectors give no bits of " + std::string(name_of(t)));
  }
}

RefArray input_from(const Json& json) {
  RefArray array = RefArray::zeros(parse_dtype(json.at("dtype").get<std::string>()), shape_from(json.at("shape")));
  if (json.contains("bits")) {
    const std::vector<std::uint64_t> words = words_of(json.at("bits").get<std::string>());
    if (words.size() != array.values.size()) throw std::runtime_error("a lockstep vector does not fill its shape");
    for (std::size_t i = 0; i < words.size(); ++i) array.values[i] = number_from(words[i], array.dtype);
    return array;
  }
  Draw draw(json.at("seed").get<std::uint32_t>());
  const bool indices = json.contains("below");
  for (long double& v : array.values) {
    v = indices ? draw.index(json.at("below").get<std::uint32_t>()) : draw.value(array.dtype);
  }
  return array;
}

VectorOutput output_from(const Json& json) {
  VectorOutput out{parse_dtype(json.at("dtype").get<std::string>()), shape_from(json.at("shape")), {}, {}};
  const bool hashed = json.contains("sha256");
  if (hashed) out.sha256 = json.at("sha256").get<std::string>();
  for (std::uint64_t word : words_of(json.at(hashed ? "first" : "bits").get<std::string>())) {
    for (std::size_t i = 0; i < size_of(out.dtype); ++i) out.first.push_back(static_cast<std::byte>(word >> (8 * i)));
  }
  const std::size_t all = static_cast<std::size_t>(out.shape.size()) * size_of(out.dtype);
  if (hashed ? out.first.size() > all : out.first.size() != all) {
    throw std::runtime_error("a result of a lockstep vector does not fill its shape");
  }
  return out;
}

VectorCase case_from(const Json& json) {
  VectorCase c;
  c.op = json.at("op").get<std::string>();
  c.call.name = json.at("name").get<std::string>();
  const OpDef* op = find_op(c.op);
  if (!op) throw std::runtime_error("lockstep vectors name the op " + c.op + ", which does not exist");
  for (const Json& input : json.at("inputs")) {
    c.inputs.push_back(input.is_null() ? RefArray{DType::f32, Shape{}, {}, {}} : input_from(input));
    c.call.inputs.push_back({c.inputs.back().shape, c.inputs.back().dtype, {}, input.is_null()});
  }
  if (json.contains("attrs")) c.call.attrs = attributes_from(*op, json.at("attrs"));
  for (const Json& output : json.at("outputs")) c.outputs.push_back(output_from(output));
  return c;
}

std::string hex_of(const std::byte* element, std::size_t size) {
  std::string text;
  char two[3];
  for (std::size_t i = size; i-- > 0;) {
    std::snprintf(two, sizeof two, "%02x", std::to_integer<unsigned>(element[i]));
    text += two;
  }
  return text;
}

std::string sha256_of(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.add(bytes.data(), bytes.size());
  return hash.hex();
}

Verdict compare(const Tensor& result, const VectorOutput& expected, const std::string& what) {
  if (!(result.spec() == TensorSpec{expected.dtype, expected.shape})) {
    return failure(what + "is " + result.describe() + ", needed is " + std::string(name_of(expected.dtype)) + " " +
                   expected.shape.to_string());
  }
  std::vector<std::byte> bytes = result.to_bytes();
  make_nans_canonical(expected.dtype, bytes);
  const std::size_t size = size_of(expected.dtype);
  for (std::size_t at = 0; at < expected.first.size(); at += size) {
    if (std::memcmp(bytes.data() + at, expected.first.data() + at, size) == 0) continue;
    return failure(what + "element " + std::to_string(at / size) + " has the bits " + hex_of(bytes.data() + at, size) +
                   ", expected are " + hex_of(expected.first.data() + at, size));
  }
  if (expected.sha256.empty() || sha256_of(bytes) == expected.sha256) return {};
  return failure(what + "the first " + std::to_string(expected.first.size() / size) + " of " +
                 std::to_string(expected.shape.size()) + " elements are right, some of the others are not");
}

}  // namespace

std::vector<VectorCase> read_lockstep_vectors(std::string_view text) {
  std::vector<VectorCase> cases;
  try {
    const Json all = Json::parse(text);
    for (const Json& c : all.at("cases")) cases.push_back(case_from(c));
  } catch (const Json::exception& e) {
    throw std::runtime_error(std::string("the lockstep vectors cannot be read: ") + e.what());
  }
  return cases;
}

const std::vector<VectorCase>& lockstep_vectors() {
  static const std::vector<VectorCase> cases = read_lockstep_vectors(embedded::lockstep_vectors_json());
  return cases;
}

std::vector<std::string> lockstep_devices() {
  std::vector<std::string> ids;
  for (const DeviceInfo& device : devices()) {
    const bool offers = std::find(device.modes.begin(), device.modes.end(), MathMode::lockstep) != device.modes.end();
    if (device.available && offers) ids.push_back(device.id);
  }
  return ids;
}

Verdict check_vector(const VectorCase& c, Device device, Layout layout) {
  const OpDef* op = find_op(c.op);
  for (const RefArray& input : c.inputs) {
    if (input.values.empty()) layout = Layout::dense;  // an empty tensor has no other layout
  }
  const MathModeScope mode(MathMode::lockstep);
  const DeviceScope scope(device);
  const CaseOperands operands(*op, c.call, c.inputs, device, layout);
  const std::vector<Tensor> results = invoke(*op, operands.operands(), attrs_of(*op, c.call), c.call.scalars);
  if (results.size() != c.outputs.size()) return failure("there are " + std::to_string(results.size()) + " results");
  for (std::size_t i = 0; i < results.size(); ++i) {
    Verdict v = compare(results[i], c.outputs[i], results.size() > 1 ? "output " + std::to_string(i) + ", " : "");
    if (!v.ok) return v;
  }
  return {};
}

}  // namespace lockstep::conformance

// Tensors as text.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ostream>

#include "runtime/device_state.h"
#include "runtime/element.h"
#include "runtime/tensor_impl.h"

namespace lockstep {
namespace {

constexpr std::int64_t max_elements = 1000;  // larger tensors are summarised: only the edges are printed
constexpr std::int64_t edge = 3;

// The format of floats; the same for all elements of a tensor.
struct FloatFormat {
  bool scientific, whole = true;

  explicit FloatFormat(const std::vector<double>& values) {
    double smallest = INFINITY, largest = 0;
    for (double v : values) {
      if (!std::isfinite(v)) continue;
      whole = whole && v == std::round(v);
      if (v != 0) smallest = std::min(smallest, std::fabs(v));
      largest = std::max(largest, std::fabs(v));
    }
    scientific = largest > 0 && (largest >= 1e8 || smallest < 1e-4 || (!whole && largest / smallest > 1000));
  }

  std::string operator()(double v) const {
    if (std::isnan(v)) return "nan";  // without its sign
    char text[40];
    const char* format = scientific ? "%.4e" : whole ? "%.0f." : "%.4f";
    std::snprintf(text, sizeof text, std::isfinite(v) ? format : "%g", v);
    return text;
  }
};

class Printer {
 public:
  Printer(const Tensor& tensor, std::ostream& out) : shape_(tensor.shape()), dtype_(tensor.dtype()), out_(out) {
    // Not with to_bytes(), which notifies tapes that a value was read: nothing is computed from printed text.
    const auto here = CallSite::current();
    const TensorImpl& impl = *tensor.impl();
    const TensorRef dense = impl.dense ? TensorRef::share(tensor.impl()) : completed_dense_copy(impl, here);
    bytes_.resize(static_cast<std::size_t>(tensor.size()) * size_of(dtype_));
    read_dense(*dense, bytes_.data(), here);
    // An empty tensor may have any number of rows, so its leading extents count too.
    std::int64_t count = 1;
    for (int d = 0; d < shape_.rank() && shape_[d] > 0 && count <= max_elements; ++d) {
      count = __builtin_mul_overflow(count, shape_[d], &count) ? max_elements + 1 : count;
    }
    summarise_ = count > max_elements;
  }

  void print() {
    std::vector<double> values;
    if (is_floating(dtype_)) collect(0, 0, values);
    format_.emplace(values);
    // Every element is padded to the width of the widest.
    measuring_ = true;
    nested(0, 0);
    measuring_ = false;
    nested(0, 0);
  }

 private:
  bool skipped(int d, std::int64_t i) const { return summarise_ && shape_[d] > 2 * edge && i == edge; }
  std::int64_t after_gap(int d) const { return shape_[d] - edge; }
  // Row-major position. 0 in an empty tensor, which has no elements and where the product might overflow.
  std::int64_t within(int d, std::int64_t position, std::int64_t i) const {
    return bytes_.empty() ? 0 : position * shape_[d] + i;
  }

  void collect(int d, std::int64_t position, std::vector<double>& values) const {
    if (d == shape_.rank()) return values.push_back(value_at(position));
    for (std::int64_t i = 0; i < shape_[d]; ++i) {
      if (skipped(d, i)) i = after_gap(d);
      collect(d + 1, within(d, position, i), values);
    }
  }

  double value_at(std::int64_t position) const {
    return static_cast<double>(
        element_value(bytes_.data() + static_cast<std::size_t>(position) * size_of(dtype_), dtype_));
  }

  std::string element(std::int64_t position) const {
    const std::byte* at = bytes_.data() + static_cast<std::size_t>(position) * size_of(dtype_);
    if (is_floating(dtype_)) return (*format_)(static_cast<double>(element_value(at, dtype_)));
    if (dtype_ == DType::boolean) return element_value(at, dtype_) != 0 ? "true" : "false";
    return std::to_string(static_cast<std::int64_t>(element_value(at, dtype_)));
  }

  void nested(int d, std::int64_t position) {
    if (d == shape_.rank()) {
      const std::string text = element(position);
      if (measuring_) {
        width_ = std::max(width_, text.size());
      } else {
        out_ << std::string(width_ - text.size(), ' ') << text;
      }
      return;
    }
    const bool innermost = d + 1 == shape_.rank();
    write("[");
    for (std::int64_t i = 0; i < shape_[d]; ++i) {
      if (i > 0) write(innermost ? ", " : ",\n" + std::string(static_cast<std::size_t>(d) + 1, ' '));
      if (skipped(d, i)) {
        write(innermost ? "…, " : "…\n" + std::string(static_cast<std::size_t>(d) + 1, ' '));
        i = after_gap(d);
      }
      nested(d + 1, within(d, position, i));
    }
    write("]");
  }

  void write(const std::string& text) {
    if (!measuring_) out_ << text;
  }

  const Shape shape_;
  const DType dtype_;
  std::ostream& out_;
  std::vector<std::byte> bytes_;
  std::optional<FloatFormat> format_;
  bool summarise_ = false, measuring_ = false;
  std::size_t width_ = 0;
};

}  // namespace

std::string describe(const TensorImpl& impl) {
  std::string text = impl.variable ? "Variable \"" + impl.variable->name + "\"" : "Tensor";
  text += " " + std::string(name_of(impl.dtype)) + " " + impl.shape.to_string();
  text += impl.is_abstract() ? " abstract" : " " + impl.device->name();
  if (impl.producer && !impl.variable) {
    text += "   output of " + (impl.scope ? impl.scope->path() + "/" : std::string()) + impl.producer;
  }
  return text;
}

std::ostream& operator<<(std::ostream& out, const Tensor& tensor) {
  out << "Tensor " << name_of(tensor.dtype()) << " " << tensor.shape();
  if (tensor.is_abstract()) return out << " abstract";
  out << " " << tensor.device() << "\n";
  Printer(tensor, out).print();
  return out;
}

}  // namespace lockstep

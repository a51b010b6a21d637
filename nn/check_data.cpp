#include "nn/check_data.h"

#include <cstdio>
#include <numeric>
#include <vector>

#include "lockstep/autodiff.h"
#include "lockstep/error.h"

namespace lockstep::nn {
namespace {

void check_features(const Model::State& state, const data::Dataset& data, const char* op, CallSite where) {
  NoGradient pause;
  const TensorSpec given = data.features();
  if (given == state.input) return;
  ErrorBuilder(given.dtype == state.input.dtype ? ErrorId::shapes_differ : ErrorId::dtypes_differ, op,
               "the data set has examples of " + std::string(name_of(given.dtype)) + " " + given.shape.to_string() +
                   ", the model was built for " + std::string(name_of(state.input.dtype)) + " " +
                   state.input.shape.to_string())
      .at(where)
      .fix("build the model for this data, or prepare() the data for the model")
      .raise();
}

double label_at(const std::byte* bytes, DType t, std::size_t i) {
  switch (t) {
    case DType::u8: return std::to_integer<int>(bytes[i]);
    case DType::i8: return static_cast<std::int8_t>(bytes[i]);
    case DType::i32: return reinterpret_cast<const std::int32_t*>(bytes)[i];
    case DType::f32: return static_cast<double>(reinterpret_cast<const float*>(bytes)[i]);
    case DType::f64: return reinterpret_cast<const double*>(bytes)[i];
    case DType::f16: return static_cast<double>(static_cast<float>(reinterpret_cast<const Half*>(bytes)[i]));
    case DType::bf16: return static_cast<double>(static_cast<float>(reinterpret_cast<const BFloat16*>(bytes)[i]));
    default: return static_cast<double>(reinterpret_cast<const std::int64_t*>(bytes)[i]);
  }
}

// Calls f(label, example) for each label of the examples that a pass can reach.
template <class F>
void for_each_label(const data::Dataset& data, F&& f) {
  const TensorSpec label = data.labels();
  std::vector<std::int64_t> indices(static_cast<std::size_t>(data.reach()));
  std::iota(indices.begin(), indices.end(), std::int64_t{0});
  const auto per_example = static_cast<std::size_t>(label.shape.size());
  std::vector<std::byte> bytes(indices.size() * per_example * size_of(label.dtype));
  data.source().copy(indices, nullptr, bytes.data());
  for (std::size_t i = 0; i < indices.size() * per_example; ++i)
    f(label_at(bytes.data(), label.dtype, i), i / per_example);
}

std::string text_of(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", number);
  return text;
}

// With a label far outside [0, 1] the loss can fall without bound, and training follows it.
void check_binary_labels(const data::Dataset& data, const std::string& loss, const char* op, CallSite where) {
  if (data.labels().dtype == DType::boolean) return;
  for_each_label(data, [&](double value, std::size_t example) {
    if (value >= 0 && value <= 1) return;
    raise(ErrorId::index_out_of_range, op,
          "the label of example " + std::to_string(example) + " is " + text_of(value) + ", " + loss +
              " takes labels in [0, 1]",
          "give 0 and 1, or probabilities; for more classes use losses::SparseCategoricalCrossentropy", where);
  });
}

// Class numbers must be in [0, number of the model's classes). On the device, a wrong number only shows as NaN.
void check_labels(const Model::State& state, const data::Dataset& data, const char* op, CallSite where) {
  const TensorSpec label = data.labels();
  NoGradient pause;
  if (state.compile->loss.binary_labels) check_binary_labels(data, state.compile->loss.name, op, where);
  if (!state.compile->loss.sparse_labels) return;
  if (is_floating(label.dtype)) {
    raise(ErrorId::dtype_not_accepted, op,
          "the labels are " + std::string(name_of(label.dtype)) + ", " + state.compile->loss.name +
              " takes class numbers, which are integers",
          "give cast(labels, i32) as labels", where);
  }
  if (!is_integer(label.dtype)) return;
  const std::int64_t classes = state.describe_output().shape[-1];
  for_each_label(data, [&](double value, std::size_t example) {
    if (value >= 0 && value < static_cast<double>(classes)) return;
    raise(ErrorId::index_out_of_range, op,
          "the label of example " + std::to_string(example) + " is " + text_of(value) + ", the model has " +
              std::to_string(classes) + " classes",
          "labels go from 0 to the number of classes - 1", where);
  });
}

void check_not_empty(const data::Dataset& data, const char* what, const char* op, CallSite where) {
  if (data.size() > 0) return;
  raise(ErrorId::invalid_attribute, op, std::string("the ") + what + " is empty", "give at least one example", where);
}

}  // namespace

void check_data(const Model::State& state, const data::Dataset& data, const char* what, const char* op,
                CallSite where) {
  check_features(state, data, op, where);
  check_not_empty(data, what, op, where);
  check_labels(state, data, op, where);
}

}  // namespace lockstep::nn

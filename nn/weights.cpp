// Saves variables to files, loads them, and computes their hash.
#include <algorithm>

#include "autodiff/variable_impl.h"
#include "lockstep/error.h"
#include "lockstep/serialize.h"
#include "nn/optimizer_file.h"
#include "nn/weights.h"
#include "runtime/caller.h"
#include "runtime/canonical_nan.h"
#include "runtime/device_state.h"
#include "runtime/sha256.h"

namespace lockstep {
namespace {

std::vector<Variable> by_name(std::span<const Variable> variables) {
  std::vector<Variable> sorted(variables.begin(), variables.end());
  std::sort(sorted.begin(), sorted.end(), [](const Variable& a, const Variable& b) { return a.name() < b.name(); });
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    if (sorted[i].name() != sorted[i - 1].name()) continue;
    ErrorBuilder(ErrorId::invalid_use, "weights", "two variables are named \"" + sorted[i].name() + "\"")
        .fix("give variables different names")
        .raise();
  }
  return sorted;
}

}  // namespace

std::map<std::string, Tensor> values_by_name(std::span<const Variable> variables) {
  std::map<std::string, Tensor> values;
  for (const Variable& v : by_name(variables)) values.emplace(v.name(), v.read());
  return values;
}

LoadedWeights::LoadedWeights(const LoadedFile& loaded, std::span<const Variable> variables)
    : variables_(by_name(variables)) {
  const TensorArchive& archive = loaded.archive;
  const auto fail = [&](const std::string& what) {
    loaded.fail(ErrorId::does_not_match, what, "load weights into the model that they were saved from");
  };
  for (const Variable& v : variables_) {
    const auto found = archive.entries().find(v.name());
    if (found == archive.entries().end()) fail("there is no tensor \"" + v.name() + "\"");
    const TensorSpec given = found->second.spec;
    if (given == TensorSpec{v.dtype(), v.shape()}) continue;
    fail("tensor \"" + v.name() + "\" is " + std::string(name_of(given.dtype)) + " " + given.shape.to_string() +
         ", the model has " + std::string(name_of(v.dtype())) + " " + v.shape().to_string());
  }
  const auto count =
      static_cast<std::size_t>(std::count_if(archive.entries().begin(), archive.entries().end(),
                                             [](const auto& t) { return !t.first.starts_with(optimizer_prefix); }));
  if (count != variables_.size()) {
    fail("it holds " + std::to_string(count) + " tensors, the model has " + std::to_string(variables_.size()));
  }
  for (const Variable& v : variables_) values_.push_back(archive.load(v.name(), v.device()));
  for (const Variable& v : variables_) {
    v.device().state().synchronize_stream();
    v.impl().settle(loaded.where);
  }
}

void LoadedWeights::assign() {
  for (std::size_t i = 0; i < values_.size(); ++i) variables_[i].impl().replace(TensorRef::share(values_[i].impl()));
}

void save_weights(const std::string& path, std::span<const Variable> variables) {
  save_tensors(path, values_by_name(variables), {{"format", "lockstep"}});
}

void load_weights(const std::string& path, std::span<const Variable> variables, CallSite where) {
  const CallerScope caller(where);
  const TensorArchive archive(path);
  LoadedWeights({"load_weights", path, archive, where}, variables).assign();
}

std::string weights_sha256(std::span<const Variable> variables) {
  Sha256 hash;
  for (const Variable& v : by_name(variables)) {
    hash.add(v.name());
    hash.add(name_of(v.dtype()));
    hash.add(static_cast<std::uint64_t>(v.shape().rank()));
    for (int d = 0; d < v.shape().rank(); ++d) hash.add(static_cast<std::uint64_t>(v.shape()[d]));
    std::vector<std::byte> bytes = v.read().to_bytes();
    make_nans_canonical(v.dtype(), bytes);
    hash.add(static_cast<std::uint64_t>(bytes.size()));
    hash.add(bytes.data(), bytes.size());
  }
  return hash.hex();
}

}  // namespace lockstep

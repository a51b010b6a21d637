// Saves variables to files, loads them, and computes their hash.
#include <algorithm>

#include "autodiff/variable_impl.h"
#include "lockstep/error.h"
#include "lockstep/serialize.h"
#include "runtime/canonical_nan.h"
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

void save_weights(const std::string& path, std::span<const Variable> variables) {
  std::map<std::string, Tensor> tensors;
  for (const Variable& v : by_name(variables)) tensors.emplace(v.name(), v.read());
  save_tensors(path, tensors, {{"format", "lockstep"}});
}

void load_weights(const std::string& path, std::span<const Variable> variables) {
  const TensorFile file = load_tensors(path);
  const auto fail = [&](const std::string& what) {
    ErrorBuilder(ErrorId::does_not_match, "load_weights", path + ": " + what)
        .fix("load weights into the model that they were saved from")
        .raise();
  };
  const std::vector<Variable> sorted = by_name(variables);
  for (const Variable& v : sorted) {
    const auto found = file.tensors.find(v.name());
    if (found == file.tensors.end()) fail("there is no tensor \"" + v.name() + "\"");
    const TensorSpec given = found->second.spec();
    if (given == TensorSpec{v.dtype(), v.shape()}) continue;
    fail("tensor \"" + v.name() + "\" is " + std::string(name_of(given.dtype)) + " " + given.shape.to_string() +
         ", the model has " + std::string(name_of(v.dtype())) + " " + v.shape().to_string());
  }
  if (file.tensors.size() != sorted.size()) {
    fail("it holds " + std::to_string(file.tensors.size()) + " tensors, the model has " +
         std::to_string(sorted.size()));
  }
  // All values are on their devices before the first variable changes; after that nothing can fail.
  std::vector<Tensor> values;
  for (const Variable& v : sorted) values.push_back(file.tensors.at(v.name()).to(v.device()));
  for (const Variable& v : sorted) synchronize(v.device());
  for (std::size_t i = 0; i < values.size(); ++i) sorted[i].impl().replace(TensorRef::share(values[i].impl()));
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

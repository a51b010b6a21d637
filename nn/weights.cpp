// Variables to and from files, and their hash.
#include <openssl/evp.h>

#include <algorithm>
#include <memory>

#include "autodiff/variable_impl.h"
#include "lockstep/error.h"
#include "lockstep/serialize.h"

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

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }
  void add(const void* data, std::size_t size) { EVP_DigestUpdate(context_.get(), data, size); }
  void add(std::uint64_t number) {
    unsigned char bytes[8];
    for (int i = 0; i < 8; ++i) bytes[i] = static_cast<unsigned char>(number >> (8 * i));
    add(bytes, sizeof bytes);
  }
  void add(std::string_view text) {
    add(text.size());
    add(text.data(), text.size());
  }
  std::string hex() {
    unsigned char digest[32];
    unsigned int length = 0;
    EVP_DigestFinal_ex(context_.get(), digest, &length);
    std::string text;
    char two[3];
    for (unsigned char byte : digest) {
      std::snprintf(two, sizeof two, "%02x", byte);
      text += two;
    }
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

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
    const Spec given = found->second.spec();
    if (given == Spec{v.dtype(), v.shape()}) continue;
    fail("tensor \"" + v.name() + "\" is " + std::string(name_of(given.dtype)) + " " + given.shape.to_string() +
         ", the model has " + std::string(name_of(v.dtype())) + " " + v.shape().to_string());
  }
  if (file.tensors.size() != sorted.size()) {
    fail("it holds " + std::to_string(file.tensors.size()) + " tensors, the model has " +
         std::to_string(sorted.size()));
  }
  // All lie on their devices before the first variable changes; from then on nothing can fail.
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
    const std::vector<std::byte> bytes = v.read().to_bytes();
    hash.add(bytes.size());
    hash.add(bytes.data(), bytes.size());
  }
  return hash.hex();
}

}  // namespace lockstep

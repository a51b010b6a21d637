#include "runtime/sha256.h"

#include <openssl/evp.h>

#include <fstream>
#include <vector>

namespace lockstep {

struct Sha256::Context {
  EVP_MD_CTX* raw = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(raw); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) { EVP_DigestInit_ex(context_->raw, EVP_sha256(), nullptr); }

Sha256::~Sha256() = default;

void Sha256::add(const void* data, std::size_t size) { EVP_DigestUpdate(context_->raw, data, size); }

void Sha256::add(std::uint64_t number) {
  unsigned char bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<unsigned char>(number >> (8 * i));
  add(bytes, sizeof bytes);
}

void Sha256::add(std::string_view text) {
  add(static_cast<std::uint64_t>(text.size()));
  add(text.data(), text.size());
}

std::string Sha256::hex() {
  unsigned char digest[32];
  unsigned int length = 0;
  EVP_DigestFinal_ex(context_->raw, digest, &length);
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (unsigned char byte : digest) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

std::string sha256_of_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return "";
  Sha256 hash;
  std::vector<char> block(1 << 16);
  while (file.read(block.data(), static_cast<std::streamsize>(block.size())) || file.gcount() > 0) {
    hash.add(block.data(), static_cast<std::size_t>(file.gcount()));
  }
  return file.bad() || !file.eof() ? "" : hash.hex();
}

}  // namespace lockstep

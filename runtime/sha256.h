// SHA-256 of values that are told apart by their lengths, and of files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace lockstep {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void add(const void* data, std::size_t size);
  /// As eight bytes, little-endian.
  void add(std::uint64_t number);
  /// Preceded by its length, so that no two lists of texts give the same bytes.
  void add(std::string_view text);
  /// 64 hexadecimal digits; nothing may be added afterwards.
  std::string hex();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

/// Of a file's bytes; empty where the file cannot be read.
std::string sha256_of_file(const std::string& path);

}  // namespace lockstep

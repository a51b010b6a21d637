// SHA-256 of values and of files.
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
  /// Adds eight bytes, little-endian.
  void add(std::uint64_t number);
  /// Adds the length before the text, so that different lists of texts never give the same bytes.
  void add(std::string_view text);
  /// 64 hexadecimal digits; nothing may be added afterwards.
  std::string hex();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

/// The hash of a file's bytes; empty if the file cannot be read.
std::string sha256_of_file(const std::string& path);

}  // namespace lockstep

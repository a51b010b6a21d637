#include "runtime/sha256.h"

#include <gtest/gtest.h>

#include "nn/test_files.h"

namespace lockstep {
namespace {

// From FIPS 180-2, appendix B.
const std::string of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const std::string of_a_million_a = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
const std::string of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

std::string of(const std::string& bytes) {
  Sha256 hash;
  hash.add(bytes.data(), bytes.size());
  return hash.hex();
}

TEST(Sha256, IsThatOfTheStandard) {
  EXPECT_EQ(of("abc"), of_abc);
  EXPECT_EQ(of(""), of_nothing);
  EXPECT_EQ(of(std::string(1'000'000, 'a')), of_a_million_a);
  Sha256 in_parts;
  in_parts.add("ab", std::size_t{2});
  in_parts.add("c", std::size_t{1});
  EXPECT_EQ(in_parts.hex(), of_abc);
}

TEST(Sha256, NumbersAreEightBytesTheLowestFirst) {
  Sha256 hash;
  hash.add(std::uint64_t{0x0807060504030201});
  EXPECT_EQ(hash.hex(), of("\x01\x02\x03\x04\x05\x06\x07\x08"));
}

TEST(Sha256, TextsBeginWithTheirLength) {
  Sha256 hash;
  hash.add(std::string_view("abc"));
  EXPECT_EQ(hash.hex(), of(std::string("\x03\0\0\0\0\0\0\0", 8) + "abc"));
}

TEST(Sha256, OfFiles) {
  const TemporaryFolder folder;
  EXPECT_EQ(sha256_of_file(folder.write("abc", "abc")), of_abc);
  EXPECT_EQ(sha256_of_file(folder.write("empty", "")), of_nothing);
  EXPECT_EQ(sha256_of_file(folder.write("long", std::string(1'000'000, 'a'))), of_a_million_a);
  const std::string block(1 << 16, 'x');  // exactly one read block
  EXPECT_EQ(sha256_of_file(folder.write("block", block)), of(block));
  EXPECT_EQ(sha256_of_file(folder.file("missing")), "");
}

}  // namespace
}  // namespace lockstep

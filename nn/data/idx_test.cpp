// Tests of IDX files, plain and gzipped, and of every kind of damage.
#include <gtest/gtest.h>
#include <zlib.h>

#include <bit>
#include <cstring>

#include "lockstep/lockstep.h"
#include "nn/test_files.h"

namespace lockstep::data {
namespace {

std::string header(int type, const std::vector<std::uint32_t>& extents) {
  std::string bytes = {'\0', '\0', static_cast<char>(type), static_cast<char>(extents.size())};
  for (std::uint32_t n : extents) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(n >> shift);
  }
  return bytes;
}

// Elements in the byte order of the format: big-endian.
template <class T>
std::string big_endian(std::initializer_list<T> values) {
  std::string bytes;
  for (T v : values) {
    char raw[sizeof v];
    std::memcpy(raw, &v, sizeof v);
    bytes.append(std::reverse_iterator(raw + sizeof v), std::reverse_iterator(raw));
  }
  return bytes;
}

std::string packed(const std::string& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

class IdxTest : public testing::Test {
 protected:
  void refuse(const std::string& bytes, ErrorId id, const std::string& part) {
    const std::string path = folder.write("broken", bytes);
    expect_io_error(id, path, part, [&] { IdxArray::open(path); });
  }
  TemporaryFolder folder;
  DeviceScope scope{Device("reference")};
};

const std::string six = header(8, {2, 3}) + std::string("\1\2\3\4\5\xff", 6);

TEST_F(IdxTest, PlainAndPackedGiveTheSame) {
  for (const std::string& bytes : {six, packed(six)}) {
    const IdxArray array = IdxArray::open(folder.write("array", bytes));
    EXPECT_EQ(array.dtype(), DType::u8);
    EXPECT_EQ(array.shape(), (Shape{2, 3}));
    EXPECT_EQ(std::to_integer<int>(array.bytes()[0]), 1);
    EXPECT_EQ(std::to_integer<int>(array.bytes()[5]), 255);
  }
}

TEST_F(IdxTest, RankEightIsTheLargest) {
  const IdxArray array = IdxArray::open(folder.write("array", header(8, {1, 2, 1, 1, 1, 1, 1, 3}) + "abcdef"));
  EXPECT_EQ(array.shape(), (Shape{1, 2, 1, 1, 1, 1, 1, 3}));
  EXPECT_EQ(std::to_integer<char>(array.bytes()[5]), 'f');
}

TEST_F(IdxTest, WideElementsComeInThisMachinesOrder) {
  const auto read = [&](int type, const std::string& elements, DType dtype, std::uint32_t count) {
    const IdxArray array = IdxArray::open(folder.write("wide", header(type, {count}) + elements));
    EXPECT_EQ(array.dtype(), dtype);
    return Tensor::from_bytes(array.bytes(), elements.size(), {dtype, array.shape()});
  };
  EXPECT_EQ(read(0x09, "\x80\x7f", DType::i8, 2).to_vector<std::int8_t>(), (std::vector<std::int8_t>{-128, 127}));
  EXPECT_EQ(read(0x0c, big_endian<std::int32_t>({1, -70000}), DType::i32, 2).to_vector<std::int32_t>(),
            (std::vector<std::int32_t>{1, -70000}));
  EXPECT_EQ(read(0x0d, big_endian<float>({1.5f, -2.0f}), DType::f32, 2).to_vector<float>(),
            (std::vector<float>{1.5f, -2.0f}));
  EXPECT_EQ(read(0x0e, big_endian<double>({0.1}), DType::f64, 1).to_vector<double>(), (std::vector<double>{0.1}));
}

TEST_F(IdxTest, LargePackedFilesUnpackWhole) {
  std::string elements(3'000'000, '\0');
  for (std::size_t i = 0; i < elements.size(); ++i) elements[i] = static_cast<char>(i * i >> 7);
  const IdxArray array = IdxArray::open(folder.write("large", packed(header(8, {3000, 1000}) + elements)));
  EXPECT_EQ(std::memcmp(array.bytes(), elements.data(), elements.size()), 0);
}

// `cat a.gz b.gz` and compressors that work in blocks write such files.
TEST_F(IdxTest, SeveralGzipMembersAreOneFile) {
  std::string elements(100'000, '\0');
  for (std::size_t i = 0; i < elements.size(); ++i) elements[i] = static_cast<char>(i * i >> 7);
  const std::string whole = header(8, {100'000}) + elements;
  for (std::size_t member : {1ul << 20, 50'000ul, 4'099ul, 8ul}) {
    std::string bytes;
    for (std::size_t at = 0; at < std::min<std::size_t>(whole.size(), 200 * member); at += member)
      bytes += packed(whole.substr(at, member));
    if (200 * member < whole.size()) bytes += packed(whole.substr(200 * member)) + packed("");
    for (const char* padding : {"", "zeros"}) {
      const std::string file = bytes + std::string(*padding ? 1000 : 0, '\0');
      const IdxArray array = IdxArray::open(folder.write("members", file));
      ASSERT_EQ(array.shape(), (Shape{100'000})) << member;
      EXPECT_EQ(std::memcmp(array.bytes(), elements.data(), elements.size()), 0) << member;
    }
  }
}

TEST_F(IdxTest, WhatFollowsAGzipMemberMustBeOne) {
  refuse(packed(six) + "junk", ErrorId::corrupt, "gzip stream is damaged");
  refuse(packed(six) + std::string("\0\0x", 3), ErrorId::corrupt, "gzip stream is damaged");
  const std::string second = packed(six.substr(7));
  refuse(packed(six.substr(0, 7)), ErrorId::truncated, "ends within its header");
  for (std::size_t size = 2; size < second.size(); ++size)
    refuse(packed(six.substr(0, 7)) + second.substr(0, size), ErrorId::truncated, "gzip");
}

TEST_F(IdxTest, EmptyArraysAndScalarsAreArraysToo) {
  EXPECT_EQ(IdxArray::open(folder.write("empty", header(8, {0, 28, 28}))).shape(), (Shape{0, 28, 28}));
  // Extents beside one of 0 may have a product that 64 bits do not count.
  constexpr std::int64_t far = std::int64_t{~0u};
  for (int type : {0x08, 0x0e}) {
    const IdxArray last = IdxArray::open(folder.write("last", header(type, {~0u, ~0u, ~0u, 0})));
    EXPECT_EQ(last.shape(), (Shape{far, far, far, 0}));
    const IdxArray first = IdxArray::open(folder.write("first", header(type, {0, ~0u, ~0u, ~0u})));
    EXPECT_EQ(first.shape(), (Shape{0, far, far, far}));
  }
  EXPECT_EQ(IdxArray::open(folder.write("scalar", header(8, {}) + "x")).shape(), Shape{});
}

TEST_F(IdxTest, MissingFilesAndFolders) {
  const std::string path = folder.file("missing");
  expect_io_error(ErrorId::file_not_found, path, "No such file", [&] { IdxArray::open(path); });
  const std::string here = folder.file("");
  expect_io_error(ErrorId::file_not_found, here, "not a regular file", [&] { IdxArray::open(here); });
}

TEST_F(IdxTest, OtherFormats) {
  refuse("PNG image", ErrorId::wrong_magic, "starts with 504e4720");
  refuse(header(0x0b, {1}) + "xx", ErrorId::wrong_magic, "is an IDX file of 16-bit integers, a dtype that Lockstep");
  refuse("\1" + header(0x0b, {1}).substr(1) + "xx", ErrorId::wrong_magic, "starts with 01000b01");
  refuse(header(0x07, {1}) + "x", ErrorId::wrong_magic, "00000701");
  refuse(packed("not an array"), ErrorId::wrong_magic, "not with an IDX header");
}

TEST_F(IdxTest, EveryTruncation) {
  for (std::size_t size = 0; size < six.size(); ++size) {
    refuse(six.substr(0, size), ErrorId::truncated, size == 0 ? "is empty" : "");
    if (size > 0) refuse(packed(six.substr(0, size)), ErrorId::truncated, "");
  }
}

TEST_F(IdxTest, EveryTruncationOfAPackedFile) {
  const std::string whole = packed(six);
  for (std::size_t size = 2; size < whole.size(); ++size) refuse(whole.substr(0, size), ErrorId::truncated, "gzip");
}

TEST_F(IdxTest, DamagedGzip) {
  std::string bytes = packed(six);
  bytes[bytes.size() - 6] ^= 1;  // a bit of the checksum
  refuse(bytes, ErrorId::corrupt, "gzip stream is damaged");
  bytes = packed(six);
  bytes[2] = 77;  // the compression method
  refuse(bytes, ErrorId::corrupt, "gzip stream is damaged");
}

TEST_F(IdxTest, ContradictionsWithinAFile) {
  refuse(six + "more", ErrorId::corrupt, "4 bytes more than (2, 3) takes");
  refuse(header(8, {1, 1, 1, 1, 1, 1, 1, 1, 1}) + "x", ErrorId::corrupt, "rank 9");
  refuse(header(0x0e, {~0u, ~0u, ~0u}), ErrorId::corrupt, "impossible shape");
  refuse(header(0x0e, {~0u, ~0u, ~0u, 0}) + "x", ErrorId::corrupt, "1 bytes more than");
  refuse(header(8, {1000, 1000}) + "short", ErrorId::truncated, "has 5 of the 1000000 bytes");
}

TEST_F(IdxTest, ImagesAndLabelsBelongTogether) {
  const std::string images = folder.write("images", header(8, {3, 2, 2}) + std::string(12, 'p'));
  const std::string labels = folder.write("labels", header(8, {3}) + std::string("\0\1\2", 3));
  const Dataset data = from_idx(images, labels);
  EXPECT_EQ(data.size(), 3);
  EXPECT_EQ(data.features(), (TensorSpec{DType::u8, {2, 2, 1}})) << "images gain a channel";
  EXPECT_EQ(data.labels(), (TensorSpec{DType::u8, {}}));

  const std::string fewer = folder.write("fewer", header(8, {2}) + std::string("\0\1", 2));
  expect_io_error(ErrorId::corrupt, images, fewer, [&] { from_idx(images, fewer); });
}

TEST_F(IdxTest, ImagesWithChannelsStayAndLabelsMayHaveAShape) {
  const std::string colour = folder.write("colour", header(8, {2, 1, 2, 3}) + "abcdefghijkl");
  const std::string rows = folder.write("rows", header(8, {2, 2}) + std::string("\1\2\3\4", 4));
  const Dataset data = from_idx(colour, rows);
  EXPECT_EQ(data.features().shape, (Shape{1, 2, 3}));
  EXPECT_EQ(data.labels().shape, (Shape{2}));
  Dataset::Pass pass = data.batches(2, Device("reference"));
  const std::optional<Batch> batch = pass.next();
  EXPECT_EQ(batch->features.to_vector<std::uint8_t>()[11], 'l');
  EXPECT_EQ(batch->labels.to_vector<std::uint8_t>(), (std::vector<std::uint8_t>{1, 2, 3, 4}));
  const std::string flat = folder.write("flat", header(8, {2, 3}) + "abcdef");
  EXPECT_EQ(from_idx(flat, rows).features().shape, (Shape{3}));
  const std::string scalar = folder.write("scalar", header(8, {}) + "x");
  const std::string part = "holds a single number, not a list of examples";
  for (const std::string& other : {scalar, rows}) {
    expect_io_error(ErrorId::corrupt, scalar, part, [&] { from_idx(scalar, other); });
    expect_io_error(ErrorId::corrupt, scalar, part, [&] { from_idx(other, scalar); });
  }
}

TEST_F(IdxTest, FashionMnistSaysWhereItLooked) {
  const std::string path = folder.file("train-images-idx3-ubyte.gz");
  expect_io_error(ErrorId::file_not_found, path, "dataset-fashion-mnist",
                  [&] { fashion_mnist(Split::train, folder.file("")); });
}

TEST_F(IdxTest, FashionMnistTakesThePlainFileOfTheSplitFirst) {
  folder.write("train-images-idx3-ubyte", header(8, {1, 1, 1}) + "\xff");
  folder.write("train-images-idx3-ubyte.gz", "broken");
  folder.write("train-labels-idx1-ubyte", header(8, {1}) + "\1");
  const Dataset data = fashion_mnist(Split::train, folder.file(""));
  EXPECT_EQ(data.size(), 1);
  EXPECT_EQ(data.features(), (TensorSpec{DType::f32, {1, 1, 1}}));
  const std::string missing = folder.file("t10k-images-idx3-ubyte.gz");
  expect_io_error(ErrorId::file_not_found, missing, "No such file",
                  [&] { fashion_mnist(Split::test, folder.file("")); });
}

TEST_F(IdxTest, FashionMnistScalesBytes) {
  folder.write("t10k-images-idx3-ubyte", header(8, {2, 1, 2}) + std::string("\0\xff\x33\0", 4));
  folder.write("t10k-labels-idx1-ubyte.gz", packed(header(8, {2}) + std::string("\7\3", 2)));
  const Dataset data = fashion_mnist(Split::test, folder.file(""));
  Dataset::Pass pass = data.batches(2, Device("reference"));
  const std::optional<Batch> batch = pass.next();
  EXPECT_EQ(batch->features.to_vector<float>(), (std::vector<float>{0, 1, 0.2f, 0}));
  EXPECT_EQ(batch->labels.to_vector<std::uint8_t>(), (std::vector<std::uint8_t>{7, 3}));
}

}  // namespace
}  // namespace lockstep::data

// Reads the IDX format: two zero bytes, an element type, a rank, the extents as big-endian 32-bit numbers, the
// elements.
#include <zlib.h>

#include <algorithm>
#include <cstdio>

#include "lockstep/data.h"
#include "lockstep/error.h"
#include "runtime/mapped_file.h"

namespace lockstep::data {
namespace {

[[noreturn]] void fail(ErrorId id, const std::string& path, const std::string& what, const std::string& fix) {
  ErrorBuilder(id, "idx", path + ": " + what).fix(fix).raise();
}

struct Contents {
  const std::byte* data = nullptr;
  std::size_t size = 0;
  std::shared_ptr<const void> owner;
};

Contents map_file(const std::string& path) {
  const MappedFile file("idx", path, "check the path; Debian's package dataset-fashion-mnist installs Fashion-MNIST");
  if (file.size() == 0) fail(ErrorId::truncated, path, "is empty", "fetch the file again");
  return {file.data(), file.size(), file.owner()};
}

bool is_gzip(const Contents& c) { return c.size >= 2 && c.data[0] == std::byte{0x1f} && c.data[1] == std::byte{0x8b}; }

constexpr std::size_t max_at_once = 1 << 30;

bool only_zeros(const Bytef* bytes, std::size_t count) {
  return std::all_of(bytes, bytes + count, [](Bytef b) { return b == 0; });
}

Contents unpack(const Contents& packed, const std::string& path) {
  z_stream stream{};
  if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK)
    fail(ErrorId::corrupt, path, "zlib cannot start", "free some memory");
  auto bytes = std::make_shared<std::vector<std::byte>>();
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data));
  std::size_t left = packed.size;  // bytes not yet passed to zlib, which counts in 32 bits
  int status = Z_OK;
  while (status == Z_OK) {
    const std::size_t more = std::min(left, max_at_once - stream.avail_in);
    stream.avail_in += static_cast<uInt>(more);
    left -= more;
    const std::size_t have = bytes->size(), step = std::clamp<std::size_t>(have, 1 << 20, max_at_once);
    bytes->resize(have + step);
    stream.next_out = reinterpret_cast<Bytef*>(bytes->data() + have);
    stream.avail_out = static_cast<uInt>(step);
    status = inflate(&stream, Z_NO_FLUSH);
    bytes->resize(have + step - stream.avail_out);
    // A file may consist of several gzip members, followed by zeros.
    if (status == Z_STREAM_END && !only_zeros(stream.next_in, stream.avail_in + left)) status = inflateReset(&stream);
  }
  inflateEnd(&stream);
  if (status == Z_BUF_ERROR) fail(ErrorId::truncated, path, "the gzip stream ends too early", "fetch the file again");
  if (status != Z_STREAM_END) fail(ErrorId::corrupt, path, "the gzip stream is damaged", "fetch the file again");
  return {bytes->data(), bytes->size(), bytes};
}

std::uint32_t big_endian(const std::byte* p) {
  std::uint32_t v = 0;
  for (int i = 0; i < 4; ++i) v = v << 8 | std::to_integer<std::uint32_t>(p[i]);
  return v;
}

std::optional<DType> dtype_of(std::byte code) {
  switch (std::to_integer<int>(code)) {
    case 0x08: return DType::u8;
    case 0x09: return DType::i8;
    case 0x0c: return DType::i32;
    case 0x0d: return DType::f32;
    case 0x0e: return DType::f64;
    default: return std::nullopt;
  }
}

std::size_t bytes_of(const TensorSpec& spec, const std::string& path) {
  try {
    return static_cast<std::size_t>(spec.bytes());
  } catch (const ShapeError&) {
    fail(ErrorId::corrupt, path, "claims the impossible shape " + spec.shape.to_string(), "check the file");
  }
}

// Copies the elements and converts them to this machine's byte order.
Contents swapped(const std::byte* data, std::size_t size, std::size_t element) {
  auto bytes = std::make_shared<std::vector<std::byte>>(data, data + size);
  for (std::size_t i = 0; i + element <= size; i += element) {
    std::reverse(bytes->begin() + static_cast<std::ptrdiff_t>(i),
                 bytes->begin() + static_cast<std::ptrdiff_t>(i + element));
  }
  return {bytes->data(), size, bytes};
}

}  // namespace

IdxArray IdxArray::open(const std::string& path) {
  Contents contents = map_file(path);
  if (is_gzip(contents)) contents = unpack(contents, path);
  if (contents.size < 4) fail(ErrorId::truncated, path, "is shorter than an IDX header", "fetch the file again");
  const auto byte = [&](std::size_t i) { return std::to_integer<int>(contents.data[i]); };
  const std::optional<DType> dtype = dtype_of(contents.data[2]);
  if (byte(0) == 0 && byte(1) == 0 && byte(2) == 0x0b) {
    fail(ErrorId::wrong_magic, path, "is an IDX file of 16-bit integers, a dtype that Lockstep does not have",
         "convert it to an IDX file of 32-bit integers (type 0x0c)");
  }
  if (byte(0) != 0 || byte(1) != 0 || !dtype) {
    char magic[16];
    std::snprintf(magic, sizeof magic, "%02x%02x%02x%02x", byte(0), byte(1), byte(2), byte(3));
    fail(ErrorId::wrong_magic, path, std::string("starts with ") + magic + ", not with an IDX header",
         "give a file in IDX format, plain or packed with gzip");
  }
  const int rank = byte(3);
  if (rank > max_rank)
    fail(ErrorId::corrupt, path, "has rank " + std::to_string(rank) + ", the limit is 8", "check the file");
  const std::size_t header = 4 + 4 * static_cast<std::size_t>(rank);
  if (contents.size < header) fail(ErrorId::truncated, path, "ends within its header", "fetch the file again");

  IdxArray array;
  array.dtype_ = *dtype;
  for (int d = 0; d < rank; ++d) array.shape_.append(big_endian(contents.data + 4 + 4 * d));
  const std::size_t expected = bytes_of({*dtype, array.shape_}, path);
  const std::size_t given = contents.size - header;
  if (given < expected) {
    fail(ErrorId::truncated, path,
         "has " + std::to_string(given) + " of the " + std::to_string(expected) + " bytes that " +
             array.shape_.to_string() + " takes",
         "fetch the file again");
  }
  if (given > expected) {
    fail(ErrorId::corrupt, path,
         "has " + std::to_string(given - expected) + " bytes more than " + array.shape_.to_string() + " takes",
         "check the file");
  }
  if (size_of(*dtype) > 1) {
    contents = swapped(contents.data + header, expected, size_of(*dtype));
    array.bytes_ = contents.data;
  } else {
    array.bytes_ = contents.data + header;
  }
  array.owner_ = contents.owner;
  return array;
}

}  // namespace lockstep::data

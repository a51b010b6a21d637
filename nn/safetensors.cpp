// The safetensors format.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lockstep/error.h"
#include "lockstep/serialize.h"

namespace lockstep {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t most_header = 100'000'000;  // the format's own limit

struct NamedDType {
  DType dtype;
  const char* name;
};
constexpr NamedDType dtype_names[] = {{DType::f64, "F64"}, {DType::f32, "F32"},   {DType::f16, "F16"},
                                      {DType::bf16, "BF16"}, {DType::i64, "I64"}, {DType::i32, "I32"},
                                      {DType::i8, "I8"},   {DType::u8, "U8"},     {DType::boolean, "BOOL"}};

const char* format_name(DType t) {
  for (const NamedDType& n : dtype_names) {
    if (n.dtype == t) return n.name;
  }
  return "F32";
}

[[noreturn]] void fail(ErrorId id, const std::string& path, const std::string& what, const std::string& fix) {
  ErrorBuilder(id, "safetensors", path + ": " + what).fix(fix).raise();
}

// A file that appears under its name only when it is complete.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path)
      : path_(std::move(path)), temporary_(path_ + ".part-" + std::to_string(getpid())), file_(std::fopen(temporary_.c_str(), "wb")) {
    if (!file_) fail(ErrorId::cannot_write, path_, std::strerror(errno), "check that the folder exists and can be written");
  }
  ~AtomicFile() {
    if (file_) std::fclose(file_);
    if (!done_) std::remove(temporary_.c_str());
  }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::size_t size) {
    if (std::fwrite(data, 1, size, file_) != size) fail(ErrorId::cannot_write, path_, std::strerror(errno), "free some disk space");
  }
  void finish() {
    const bool flushed = std::fflush(file_) == 0 && fsync(fileno(file_)) == 0;
    std::FILE* file = std::exchange(file_, nullptr);
    if (std::fclose(file) != 0 || !flushed || std::rename(temporary_.c_str(), path_.c_str()) != 0) {
      fail(ErrorId::cannot_write, path_, std::strerror(errno), "check the disk and the permissions");
    }
    done_ = true;
  }

 private:
  std::string path_, temporary_;
  std::FILE* file_;
  bool done_ = false;
};

struct Entry {
  Spec spec;
  std::uint64_t begin = 0, end = 0;
};

Entry parse_entry(const std::string& path, const std::string& name, const Json& json, std::uint64_t data_size) {
  const auto damaged = [&](const std::string& what) { fail(ErrorId::corrupt, path, "tensor \"" + name + "\" " + what, "save the file again"); };
  Entry entry;
  try {
    const auto dtype = json.at("dtype").get<std::string>();
    const NamedDType* known = nullptr;
    for (const NamedDType& n : dtype_names) {
      if (dtype == n.name) known = &n;
    }
    if (!known) damaged("has the unknown dtype " + dtype);
    entry.spec.dtype = known->dtype;
    for (const Json& extent : json.at("shape")) entry.spec.shape.append(extent.get<std::int64_t>());
    const Json& offsets = json.at("data_offsets");
    if (offsets.size() != 2) damaged("has no two data_offsets");
    entry.begin = offsets[0].get<std::uint64_t>();
    entry.end = offsets[1].get<std::uint64_t>();
  } catch (const Json::exception&) {
    damaged("is not described as the format asks");
  }
  const auto bytes = static_cast<std::uint64_t>(
      (entry.spec.shape.element_count() * Dim(static_cast<std::int64_t>(size_of(entry.spec.dtype)))).value());
  if (entry.begin > entry.end || entry.end - entry.begin != bytes) damaged("has data_offsets that do not fit its shape");
  if (entry.end > data_size) {
    fail(ErrorId::truncated, path, "the file ends before tensor \"" + name + "\" does", "copy or save the file again");
  }
  return entry;
}

std::vector<char> read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) fail(ErrorId::file_not_found, path, std::strerror(errno), "check the path");
  const std::streamoff size = file.tellg();
  std::vector<char> bytes(static_cast<std::size_t>(std::max<std::streamoff>(size, 0)));
  file.seekg(0);
  if (size < 0 || !file.read(bytes.data(), size)) fail(ErrorId::file_not_found, path, "cannot be read", "give the path of a file");
  return bytes;
}

Json parse_header(const std::string& path, const std::vector<char>& bytes, std::uint64_t& header) {
  if (bytes.size() < 8) fail(ErrorId::truncated, path, "is shorter than its header's length", "copy or save the file again");
  std::memcpy(&header, bytes.data(), 8);
  if (header > most_header || header < 2) {
    fail(ErrorId::wrong_magic, path, "does not start with the length of a header", "give a file in the safetensors format");
  }
  if (bytes.size() - 8 < header) fail(ErrorId::truncated, path, "ends within its header", "copy or save the file again");
  Json json = Json::parse(bytes.begin() + 8, bytes.begin() + 8 + static_cast<std::ptrdiff_t>(header), nullptr, false);
  if (json.is_discarded() || !json.is_object()) {
    fail(ErrorId::wrong_magic, path, "has no JSON header", "give a file in the safetensors format");
  }
  return json;
}

}  // namespace

void save_tensors(const std::string& path, const std::map<std::string, Tensor>& tensors,
                  const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::uint64_t bytes = static_cast<std::uint64_t>(tensor.size()) * size_of(tensor.dtype());
    Json shape = Json::array();
    for (int d = 0; d < tensor.rank(); ++d) shape.push_back(tensor.shape()[d]);
    header[name] = {{"dtype", format_name(tensor.dtype())}, {"shape", shape}, {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // so that the data is aligned
  const std::uint64_t length = text.size();
  AtomicFile file(path);
  file.write(&length, sizeof length);
  file.write(text.data(), text.size());
  for (const auto& [name, tensor] : tensors) {
    const std::vector<std::byte> bytes = tensor.to_bytes();
    file.write(bytes.data(), bytes.size());
  }
  file.finish();
}

void check_can_write(const std::string& path) {
  if (std::filesystem::is_directory(path)) fail(ErrorId::cannot_write, path, "is a folder", "give the name of a file");
  AtomicFile probe(path);  // its temporary file goes with it
}

TensorFile load_tensors(const std::string& path) {
  const std::vector<char> bytes = read_all(path);
  std::uint64_t header = 0;
  const Json json = parse_header(path, bytes, header);
  const char* data = bytes.data() + 8 + header;
  const std::uint64_t data_size = bytes.size() - 8 - header;
  TensorFile file;
  for (const auto& [name, value] : json.items()) {
    if (name == "__metadata__") {
      for (const auto& [key, text] : value.items()) file.metadata[key] = text.is_string() ? text.get<std::string>() : text.dump();
      continue;
    }
    const Entry entry = parse_entry(path, name, value, data_size);
    file.tensors.emplace(name, Tensor::from_bytes(data + entry.begin, entry.end - entry.begin, entry.spec));
  }
  return file;
}

}  // namespace lockstep

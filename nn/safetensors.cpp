// Reads and writes the safetensors format.
#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "lockstep/error.h"
#include "lockstep/serialize.h"
#include "nn/tensor_archive.h"
#include "runtime/atomic_file.h"
#include "runtime/caller.h"
#include "runtime/device_state.h"
#include "runtime/element.h"
#include "runtime/tensor_impl.h"

namespace lockstep {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t max_header_bytes = 100'000'000;  // a limit of the format
constexpr const char* metadata_key = "__metadata__";

struct NamedDType {
  DType dtype;
  const char* name;
};
constexpr NamedDType dtype_names[] = {{DType::f64, "F64"},   {DType::f32, "F32"}, {DType::f16, "F16"},
                                      {DType::bf16, "BF16"}, {DType::i64, "I64"}, {DType::i32, "I32"},
                                      {DType::i8, "I8"},     {DType::u8, "U8"},   {DType::boolean, "BOOL"}};

const char* format_name(DType t) {
  for (const NamedDType& n : dtype_names) {
    if (n.dtype == t) return n.name;
  }
  return "F32";
}

[[noreturn]] void fail(ErrorId id, const std::string& path, const std::string& what, const std::string& fix) {
  ErrorBuilder(id, "safetensors", path + ": " + what).fix(fix).raise();
}

using Entry = TensorArchive::Entry;

// Reads the JSON entry of one tensor. Every field is checked before it is used.
class EntryReader {
 public:
  EntryReader(const std::string& path, const std::string& name, const Json& json)
      : path_(path), name_(name), json_(json) {}

  Entry read(std::uint64_t data_size) {
    if (!json_.is_object()) damaged("is not described by an object");
    entry_.spec.dtype = dtype();
    const std::uint64_t bytes = read_shape();
    const Json& offsets = part("data_offsets");
    if (offsets.size() != 2) damaged("has no two data_offsets");
    entry_.begin = number(offsets[0], "an offset");
    entry_.end = number(offsets[1], "an offset");
    if (entry_.begin > entry_.end || entry_.end - entry_.begin != bytes)
      damaged("has data_offsets that do not fit its shape");
    if (entry_.end > data_size) {
      fail(ErrorId::truncated, path_, "the file ends before tensor \"" + name_ + "\" does",
           "copy or save the file again");
    }
    return entry_;
  }

 private:
  [[noreturn]] void damaged(const std::string& what) const {
    fail(ErrorId::corrupt, path_, "tensor \"" + name_ + "\" " + what, "save the file again");
  }
  const Json& part(const char* key) const {
    const auto found = json_.find(key);
    if (found == json_.end() || !found->is_array()) damaged(std::string("has no list of ") + key);
    return *found;
  }
  std::uint64_t number(const Json& json, const char* what) const {
    if (!json.is_number_unsigned()) damaged(std::string("has ") + what + " of " + json.dump());
    return json.get<std::uint64_t>();
  }
  DType dtype() const {
    const auto found = json_.find("dtype");
    if (found == json_.end() || !found->is_string()) damaged("has no dtype");
    for (const NamedDType& n : dtype_names) {
      if (*found == n.name) return n.dtype;
    }
    damaged("has the dtype " + found->dump() + ", which Lockstep does not have");
  }
  // Returns the number of bytes that the shape needs.
  std::uint64_t read_shape() {
    const Json& shape = part("shape");
    if (shape.size() > max_rank)
      damaged("has rank " + std::to_string(shape.size()) + ", the limit is " + std::to_string(max_rank));
    for (const Json& extent : shape) {
      const std::uint64_t n = number(extent, "an extent");
      if (n > INT64_MAX) damaged("has the impossible extent " + std::to_string(n));
      entry_.spec.shape.append(static_cast<std::int64_t>(n));
    }
    try {
      return static_cast<std::uint64_t>(entry_.spec.bytes());
    } catch (const ShapeError&) {
      damaged("has the impossible shape " + shape.dump());
    }
  }

  const std::string& path_;
  const std::string& name_;
  const Json& json_;
  Entry entry_;
};

// The format requires that the tensors cover the data without gaps and without overlap.
void check_coverage(const std::string& path, const std::map<std::string, Entry>& entries, std::uint64_t data_size) {
  std::vector<std::pair<const std::string*, const Entry*>> in_order;
  for (const auto& [name, entry] : entries) in_order.emplace_back(&name, &entry);
  std::sort(in_order.begin(), in_order.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second->begin, a.second->end) < std::pair(b.second->begin, b.second->end);
  });
  std::uint64_t covered = 0;
  for (const auto& [name, entry] : in_order) {
    if (entry->begin != covered) {
      fail(ErrorId::corrupt, path,
           "tensor \"" + *name + "\" " + (entry->begin < covered ? "overlaps another" : "follows a gap"),
           "save the file again");
    }
    covered = entry->end;
  }
  if (covered != data_size) {
    fail(ErrorId::corrupt, path, std::to_string(data_size - covered) + " bytes belong to no tensor",
         "save the file again");
  }
}

// A parser callback that detects a duplicate key in an object, which would be ambiguous, and values that are nested
// more deeply than the format has them. Those are not built: the parser copies them recursively.
class HeaderRules {
 public:
  bool see(int depth, Json::parse_event_t event, const Json& parsed) {
    using Event = Json::parse_event_t;
    constexpr int deepest = 2;  // the lists of a tensor in the header
    if (depth > deepest && (event == Event::object_start || event == Event::array_start)) {
      too_deep_ = true;
      return false;
    }
    if (too_deep_) return true;
    if (event == Event::object_start) open_.emplace_back();
    if (event == Event::object_end && !open_.empty()) open_.pop_back();
    if (event == Event::key && !open_.empty() && !repeated_) {
      const auto name = parsed.get<std::string>();
      if (!open_.back().insert(name).second) repeated_ = name;
    }
    return true;
  }
  const std::optional<std::string>& repeated() const { return repeated_; }
  bool too_deep() const { return too_deep_; }

 private:
  bool too_deep_ = false;
  std::vector<std::set<std::string>> open_;
  std::optional<std::string> repeated_;
};

Json parse_header(const std::string& path, const MappedFile& file, std::uint64_t& header) {
  if (file.size() < 8)
    fail(ErrorId::truncated, path, "is shorter than its header's length", "copy or save the file again");
  std::memcpy(&header, file.data(), 8);
  if (header > max_header_bytes || header < 2) {
    fail(ErrorId::wrong_magic, path, "does not start with the length of a header",
         "give a file in the safetensors format");
  }
  if (file.size() - 8 < header) fail(ErrorId::truncated, path, "ends within its header", "copy or save the file again");
  HeaderRules rules;
  const auto* text = reinterpret_cast<const char*>(file.data()) + 8;
  Json json = Json::parse(
      text, text + header,
      [&](int depth, Json::parse_event_t event, const Json& parsed) { return rules.see(depth, event, parsed); }, false);
  if (json.is_discarded() || !json.is_object()) {
    fail(ErrorId::wrong_magic, path, "has no JSON header", "give a file in the safetensors format");
  }
  if (rules.too_deep()) {
    fail(ErrorId::corrupt, path, "its header is nested more deeply than tensors and their lists",
         "give a file in the safetensors format");
  }
  if (rules.repeated()) {
    fail(ErrorId::corrupt, path, "its header names \"" + *rules.repeated() + "\" twice",
         "save the file again, with each name once");
  }
  return json;
}

void check_booleans(const std::string& path, const std::string& name, const Entry& entry, const std::byte* data) {
  if (entry.spec.dtype != DType::boolean) return;
  if (!are_booleans(data + entry.begin, static_cast<std::int64_t>(entry.end - entry.begin)))
    fail(ErrorId::corrupt, path, "tensor \"" + name + "\" holds booleans that are neither 0 nor 1",
         "save the file again");
}

std::map<std::string, std::string> parse_metadata(const std::string& path, const Json& json) {
  std::map<std::string, std::string> metadata;
  if (!json.is_object()) fail(ErrorId::corrupt, path, "its metadata is not an object", "save the file again");
  for (const auto& [key, text] : json.items()) {
    if (!text.is_string()) fail(ErrorId::corrupt, path, "its metadata holds more than texts", "save the file again");
    metadata[key] = text.get<std::string>();
  }
  return metadata;
}

}  // namespace

void save_tensors(const std::string& path, const std::map<std::string, Tensor>& tensors,
                  const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header[metadata_key] = metadata;
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    if (name == metadata_key)
      fail(ErrorId::cannot_write, path, "a tensor is named " + name + ", which the format keeps", "rename it");
    const std::uint64_t bytes = static_cast<std::uint64_t>(tensor.size()) * size_of(tensor.dtype());
    Json shape = Json::array();
    for (int d = 0; d < tensor.rank(); ++d) shape.push_back(tensor.shape()[d]);
    header[name] = {
        {"dtype", format_name(tensor.dtype())}, {"shape", shape}, {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const Json::exception&) {
    fail(ErrorId::cannot_write, path, "a name is not UTF-8", "rename the variable or tensor");
  }
  text.append((8 - text.size() % 8) % 8, ' ');  // aligns the data to 8 bytes
  const std::uint64_t length = text.size();
  AtomicFile file("safetensors", path);
  file.write(&length, sizeof length);
  file.write(text.data(), text.size());
  for (const auto& [name, tensor] : tensors) {
    const std::vector<std::byte> bytes = tensor.to_bytes();
    file.write(bytes.data(), bytes.size());
  }
  file.finish();
}

void check_can_write(const std::string& path) {
  AtomicFile probe("safetensors", path);  // the destructor removes its temporary file
}

TensorArchive::TensorArchive(const std::string& path) : file_("safetensors", path) {
  std::uint64_t header = 0;
  const Json json = parse_header(path, file_, header);
  data_begin_ = 8 + header;
  const std::uint64_t data_size = file_.size() - data_begin_;
  for (const auto& [name, value] : json.items()) {
    if (name == metadata_key) {
      metadata_ = parse_metadata(path, value);
    } else {
      entries_.emplace(name, EntryReader(path, name, value).read(data_size));
    }
  }
  check_coverage(path, entries_, data_size);
  for (const auto& [name, entry] : entries_) check_booleans(path, name, entry, file_.data() + data_begin_);
}

Tensor TensorArchive::load(const std::string& name, Device device) const {
  const Entry& entry = entries_.at(name);
  const CallSite where = CallSite::current();
  TensorRef tensor =
      make_tensor(device.state(), entry.spec.dtype, entry.spec.shape, {.label = "tensor", .where = &where});
  const std::byte* first = file_.data() + data_begin_ + entry.begin;
  write_owned(*tensor, std::shared_ptr<const void>(file_.owner(), first), where);
  return Tensor::adopt(tensor.detach());
}

TensorFile load_tensors(const std::string& path, std::optional<Device> device, CallSite where) {
  const CallerScope caller(where);
  const TensorArchive archive(path);
  TensorFile file{{}, archive.metadata()};
  for (const auto& [name, entry] : archive.entries()) {
    file.tensors.emplace(name, archive.load(name, device ? *device : default_device()));
  }
  // Then nobody reads the file any more.
  for (const auto& [name, tensor] : file.tensors) wait_for_contents(*tensor.impl()->block, where);
  return file;
}

}  // namespace lockstep

#include "backends/gpu/disk_cache.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "backends/common/option.h"

namespace gpu {
namespace {

// A file: this header, the key, the words. The last digits of `magic` are the version of this format.
struct Header {
  char magic[8] = {'l', 'k', 's', 'v', 'k', '0', '0', '1'};
  std::uint64_t key_bytes = 0, word_count = 0;
  std::uint64_t checksum = 0;  // of key and words
};

std::string_view bytes_of(const std::vector<std::uint32_t>& words) {
  return {reinterpret_cast<const char*>(words.data()), words.size() * sizeof words[0]};
}

constexpr std::uint64_t max_bytes = std::uint64_t{1} << 28;  // no file of this cache is larger

}  // namespace

std::uint64_t hash_of(std::string_view text, std::uint64_t seed) {
  std::uint64_t hash = seed;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

DiskCache::DiskCache(const lks_host_api& host, const std::string& driver) {
  const std::string folder = common::option(host, "cache.folder");
  if (folder.empty()) return;
  std::error_code error;
  folder_ = folder + "/" + driver;
  std::filesystem::create_directories(folder_, error);
  if (error) {
    folder_.clear();
  } else {
    make_room();
  }
}

// Evicts down to half of the limit, so that this does not happen each time. Another process may evict at the same time,
// so a file that is already gone is not an error.
void DiskCache::make_room() const {
  namespace fs = std::filesystem;
  constexpr std::uint64_t max_kept = std::uint64_t{256} << 20;
  struct File {
    fs::file_time_type written;
    std::uint64_t bytes;
    fs::path path;
  };
  std::vector<File> files;
  std::uint64_t total = 0;
  std::error_code error;
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    std::error_code gone;
    const std::uint64_t bytes = it->file_size(gone);
    if (gone) continue;
    files.push_back({it->last_write_time(gone), bytes, it->path()});
    total += bytes;
  }
  if (total <= max_kept) return;
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) { return a.written < b.written; });
  for (const File& file : files) {
    if (total <= max_kept / 2) return;
    fs::remove(file.path, error);
    total -= file.bytes;
  }
}

std::optional<std::vector<std::uint32_t>> DiskCache::load(const std::string& name, std::string_view key) const {
  if (folder_.empty()) return std::nullopt;
  std::ifstream file(folder_ + "/" + name, std::ios::binary);
  Header header;
  const Header expected;
  if (!file.read(reinterpret_cast<char*>(&header), sizeof header)) return std::nullopt;
  if (std::memcmp(header.magic, expected.magic, sizeof header.magic) != 0) return std::nullopt;
  if (header.key_bytes != key.size() || header.word_count > max_bytes / 4) return std::nullopt;
  std::string stored_key(key.size(), '\0');
  std::vector<std::uint32_t> words(header.word_count);
  file.read(stored_key.data(), static_cast<std::streamsize>(stored_key.size()));
  file.read(reinterpret_cast<char*>(words.data()), static_cast<std::streamsize>(words.size() * sizeof words[0]));
  if (!file || stored_key != key || header.checksum != hash_of(bytes_of(words), hash_of(key))) return std::nullopt;
  return words;
}

void DiskCache::store(const std::string& name, std::string_view key, const std::vector<std::uint32_t>& words) const {
  if (folder_.empty()) return;
  static std::atomic<unsigned> count{0};
  const std::string path = folder_ + "/" + name;
  const std::string scratch = path + "." + std::to_string(getpid()) + "." + std::to_string(count++);
  Header header;
  header.key_bytes = key.size();
  header.word_count = words.size();
  header.checksum = hash_of(bytes_of(words), hash_of(key));
  std::error_code error;
  {
    std::ofstream file(scratch, std::ios::binary);
    file.write(reinterpret_cast<const char*>(&header), sizeof header);
    file.write(key.data(), static_cast<std::streamsize>(key.size()));
    file.write(bytes_of(words).data(), static_cast<std::streamsize>(bytes_of(words).size()));
    if (file.flush()) {
      file.close();
      std::filesystem::rename(scratch, path, error);
      if (!error) return;
    }
  }
  std::filesystem::remove(scratch, error);
}

}  // namespace gpu

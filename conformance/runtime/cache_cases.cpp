// Files that a driver keeps in the folder of the option `cache.folder`: damaged ones, those of others, and a folder
// that cannot be used make it slower and nothing else.
#include <stdlib.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "conformance/runtime/kernels.h"
#include "conformance/runtime/suites.h"

namespace lockstep::conformance {
namespace {

namespace fs = std::filesystem;

// A new folder, which is removed at the end of the scope.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "lockstep-conformance-cache-XXXXXX").string();
    check(mkdtemp(name.data()) != nullptr, "there is no temporary folder for a cache");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

using Files = std::map<fs::path, std::string>;

Files read_files(const fs::path& folder) {
  Files all;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    all[entry.path()].assign(std::istreambuf_iterator<char>(file), {});
  }
  return all;
}

void write_file(const fs::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// Opens the device, runs a few kernels, and closes it.
std::vector<Bytes> use_device(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  std::vector<KernelSample> samples = {multiply_add_sample(777), exponential_sample()};
  for (KernelSample& sample : kernel_samples(target.seed, 1)) {
    if (sample.op == LKS_OP_SUM) samples.push_back(std::move(sample));
  }
  std::vector<Bytes> results;
  for (const KernelSample& sample : samples) {
    const Kernel kernel(s, sample);
    if (kernel) results.push_back(run_sample(s, queue, sample, kernel)[0]);
  }
  return results;
}

struct Damage {
  const char* what;
  std::string (*done_to)(const std::string& bytes, const std::string& of_another);
};

constexpr Damage damages[] = {
    {"cut in half", [](const std::string& bytes, const std::string&) { return bytes.substr(0, bytes.size() / 2); }},
    {"emptied", [](const std::string&, const std::string&) { return std::string(); }},
    {"changed in one byte",
     [](const std::string& bytes, const std::string&) {
       std::string changed = bytes;
       if (!changed.empty()) changed[changed.size() * 3 / 4] ^= 0x10;
       return changed;
     }},
    {"overwritten", [](const std::string& bytes, const std::string&) { return std::string(bytes.size(), 'Z'); }},
    {"exchanged", [](const std::string&, const std::string& of_another) { return of_another; }},
};

void check_same_results(const std::vector<Bytes>& got, const std::vector<Bytes>& expected, const std::string& when) {
  check(got.size() == expected.size(),
        text("%s: %zu kernels, before there were %zu", when.c_str(), got.size(), expected.size()));
  for (std::size_t i = 0; i < got.size(); ++i) check_same_bytes(got[i], expected[i], when + text(", kernel %zu", i));
}

void damaged_cache(const RuntimeTarget& target) {
  const TemporaryFolder folder;
  std::vector<Bytes> expected;
  {
    const fs::path file = folder.path() / "a_file";
    write_file(file, "this is not a folder");
    const CacheFolder unusable(file.string());
    expected = use_device(target);
    fs::remove(file);
  }
  const CacheFolder cache(folder.path().string());
  check_same_results(use_device(target), expected, "with an empty cache folder");
  check_same_results(use_device(target), expected, "with the cache of an earlier run");
  const Files kept = read_files(folder.path());
  if (kept.empty()) throw NotOffered("the driver keeps no files in the folder for caches");
  for (const Damage& damage : damages) {
    for (auto file = kept.begin(); file != kept.end(); ++file) {
      const auto next = std::next(file) == kept.end() ? kept.begin() : std::next(file);
      write_file(file->first, damage.done_to(file->second, next->second));
    }
    check_same_results(use_device(target), expected, text("with cached files that were %s", damage.what));
    for (const auto& [path, bytes] : kept) write_file(path, bytes);
  }
}

}  // namespace

std::vector<RuntimeCase> cache_cases() {
  return {
      {"abi", "damaged_cache", "files of a cache that are damaged or foreign are not used, and nothing fails",
       &damaged_cache},
  };
}

}  // namespace lockstep::conformance

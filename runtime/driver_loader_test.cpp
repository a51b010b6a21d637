// Tests that unusable driver libraries are listed with the reason, and that everything else still works.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "api/internal/abi_1_0.h"
#include "lockstep/lockstep.h"
#include "runtime/driver_registry.h"
#include "runtime/driver_table.h"

namespace lockstep {
namespace {

const std::string broken_folder = TEST_DRIVERS "/broken/";

DriverRecord load_broken(const std::string& kind) {
  return load_driver(broken_folder + "liblockstep_driver_" + kind + ".so");
}

struct Expected {
  const char* kind;
  const char* stage;
  std::string text;
};

#if defined(__SANITIZE_ADDRESS__)
const std::string own_sanitizer = "AddressSanitizer";
#elif defined(__SANITIZE_THREAD__)
const std::string own_sanitizer = "ThreadSanitizer";
#else
const std::string own_sanitizer = "no sanitizer";
#endif

class BrokenDriver : public testing::TestWithParam<Expected> {};

TEST_P(BrokenDriver, IsListedWithTheReason) {
  const DriverRecord record = load_broken(GetParam().kind);
  EXPECT_FALSE(record.ready);
  EXPECT_EQ(record.stage, GetParam().stage);
  EXPECT_EQ(record.text, GetParam().text);
  const std::vector<DriverRecord> all = driver_records();
  EXPECT_TRUE(std::any_of(all.begin(), all.end(), [&](const DriverRecord& r) { return r.path == record.path; }));
  // The other drivers still work.
  EXPECT_EQ((Tensor(2.0f) + 1.0f).item<float>(), 3.0f);
}

INSTANTIATE_TEST_SUITE_P(
    All, BrokenDriver,
    testing::Values(
        Expected{"entry_is_data", "symbol", "its symbol lks_driver_entry_v1 is not a function"},
        Expected{"no_symbol", "symbol",
                 "it exports no symbol lks_driver_entry_v1: not a Lockstep driver, or one of another major version"},
        Expected{"refusing_entry", "negotiate", "its entry refused: this driver needs a newer runtime"},
        Expected{"silent_refusal", "negotiate", "its entry refused: status -4 without an explanation"},
        Expected{"no_table", "negotiate", "its entry returned no table"},
        Expected{"other_major", "negotiate", "it implements ABI 2.1, this runtime needs 1.x: rebuild the driver"},
        Expected{"short_table", "negotiate",
                 "its table lacks the entry driver_open: it has 64 bytes, and that of ABI 1.0 has " +
                     std::to_string(driver_api_1_0)},
        Expected{"empty_slot", "negotiate", "its table lacks the entry queue_fill"},
        Expected{"no_name", "negotiate", "it has no name"},
        Expected{"other_sanitizer", "negotiate",
                 "it was built with MemorySanitizer, this runtime with " + own_sanitizer + ": build both alike"},
        Expected{"unknown_sanitizer", "negotiate",
                 "it was built with an unknown sanitizer, this runtime with " + own_sanitizer + ": build both alike"},
        Expected{"failed_probe", "probe", "no quantum driver: libquantum.so.1 not found (install the quantum runtime)"},
        Expected{"no_device", "enumerate", "it reports no device"},
        Expected{"undescribed", "enumerate", "device 0 cannot be described: it does not answer"},
        Expected{"lying_capability", "enumerate", "it claims capability 1 and has no table for it"},
        Expected{"empty_group", "enumerate", "its table for capability 1 has an empty entry"},
        Expected{"small_alignment", "enumerate",
                 "device 0 aligns its buffers to 8 bytes, which is not a power of two of 16 or more"},
        Expected{"odd_alignment", "enumerate",
                 "device 0 aligns its buffers to 24 bytes, which is not a power of two of 16 or more"}),
    [](const auto& test) { return std::string(test.param.kind); });

TEST(DriverLoader, MissingFileAndMissingDependencyAreNamed) {
  const DriverRecord record = load_driver("/nowhere/liblockstep_driver_x.so");
  EXPECT_FALSE(record.ready);
  EXPECT_EQ(record.stage, "open");
  EXPECT_NE(record.text.find("No such file"), std::string::npos) << record.text;
}

TEST(DriverLoader, AFileThatIsNoLibraryIsNoCrash) {
  const DriverRecord record = load_driver(__FILE__);
  EXPECT_FALSE(record.ready);
  EXPECT_EQ(record.stage, "open");
}

TEST(DriverLoader, ALibraryThatIsCutOffIsNoCrash) {
  const std::string whole = TEST_DRIVERS "/liblockstep_driver_toy.so";
  const std::string part = testing::TempDir() + "liblockstep_driver_part.so";
  // Cut inside the ELF header, the program headers and the code. Parts that only debuggers read may be missing.
  for (const std::uintmax_t left : {1, 70, 5000, 40000}) {
    std::filesystem::copy_file(whole, part, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(part, left);
    const DriverRecord record = load_driver(part);
    EXPECT_FALSE(record.ready);
    EXPECT_EQ(record.stage, "open") << left;
  }
  std::filesystem::remove(part);
}

TEST(DriverLoader, OnlyRegularFilesAreOpened) {
  const std::string folder = testing::TempDir() + "lockstep_no_files";
  const std::string pipe = folder + "/liblockstep_driver_pipe.so", link = folder + "/liblockstep_driver_link.so";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::filesystem::create_symlink(pipe, link);
  for (const std::string& path : {pipe, link, folder}) {
    const DriverRecord record = load_driver(path);  // opening the pipe would wait for a writer for ever
    EXPECT_FALSE(record.ready);
    EXPECT_EQ(record.stage, "open");
    EXPECT_EQ(record.text, path == folder ? "it is a folder, not a file" : "it is not a regular file");
  }
  std::filesystem::remove(link);
  std::filesystem::create_symlink(TEST_DRIVERS "/liblockstep_driver_toy.so", link);
  EXPECT_TRUE(load_driver_library(link)->record.ready);
  std::filesystem::remove_all(folder);
}

// A driver that was built with another minor version of driver.h. The older one's table ends where memory ends.
class DriverOfAnotherAge : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { set_option("toy.table", GetParam()); }
  void TearDown() override { set_option("toy.table", std::nullopt); }
};

TEST_P(DriverOfAnotherAge, LoadsAndRuns) {
  const DriverRecord record = load_driver(TEST_DRIVERS "/liblockstep_driver_toy.so");
  ASSERT_TRUE(record.ready) << record.text;
  EXPECT_EQ(record.name, GetParam());
  const DeviceScope scope{Device(record.name)};
  const Tensor x = ones({4, 4});
  EXPECT_EQ(sum(matmul(x, x) + 1.0f).item<float>(), 80.0f);
}

TEST_P(DriverOfAnotherAge, HasTheCapabilitiesOfItsAge) {
  set_option("toy.copies_writes", "1");
  const auto driver = load_driver_library(TEST_DRIVERS "/liblockstep_driver_toy.so");
  set_option("toy.copies_writes", std::nullopt);
  ASSERT_EQ(driver->devices.size(), 1u) << driver->record.text;
  const bool is_newer = GetParam() == std::string("newer");
  EXPECT_EQ((driver->devices[0].capabilities & LKS_CAP_COPIES_WRITES) != 0, is_newer);
}

INSTANTIATE_TEST_SUITE_P(All, DriverOfAnotherAge, testing::Values("older", "newer"));

TEST(DriverLoader, UnknownDevicesListTheKnownOnes) {
  try {
    Device("warp:9");
    FAIL();
  } catch (const DeviceError& e) {
    EXPECT_EQ(e.id(), ErrorId::unknown_device);
    EXPECT_NE(e.hint().find("reference:0"), std::string::npos) << e.hint();
  }
}

TEST(DriverLoader, LoadsAndUnloadsFiftyTimes) {
  for (int i = 0; i < 50; ++i) {
    auto driver = load_driver_library(TEST_DRIVERS "/liblockstep_driver_toy.so");
    ASSERT_TRUE(driver->record.ready) << driver->record.text;
  }
}

TEST(DriverLoader, DevicesParseAndPrint) {
  EXPECT_EQ(Device("reference").name(), "reference:0");
  EXPECT_EQ(Device("reference:0"), Device("reference"));
  EXPECT_EQ(Device("reference").driver(), "reference");
  EXPECT_EQ(Device("reference").index(), 0);
  EXPECT_TRUE(describe(best_device()).available);
}

TEST(DeviceScope, NestsAndRestores) {
  const Device before = default_device();
  {
    DeviceScope scope(Device("reference"));
    EXPECT_EQ(zeros({2}).device().name(), "reference:0");
  }
  EXPECT_EQ(default_device(), before);
}

}  // namespace
}  // namespace lockstep

// Tests which of the found drivers are used, their names, and which device is chosen.
#include "runtime/driver_registry.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "lockstep/lockstep.h"
#include "nn/test_files.h"
#include "runtime/expect_error.h"

namespace lockstep {
namespace {

class Registry : public testing::Test {
 protected:
  void TearDown() override {
    set_option("driver.path", std::nullopt);
    DriverRegistry::instance().reset();
  }

  // Copies the driver that lists one device to `folder`, and returns the path.
  std::string add(const std::string& description, const TemporaryFolder& folder) const {
    const std::string path = folder.file("liblockstep_driver_listed." + description + ".so");
    std::filesystem::copy_file(TEST_DRIVERS "/broken/liblockstep_driver_listed.so", path);
    return path;
  }
  std::string add(const std::string& description) const { return add(description, first_); }

  // Repeats the search for drivers: in both folders, then in the library's own folder.
  void search() const {
    set_option("driver.path", first_.file("") + ":" + second_.file(""));
    DriverRegistry::instance().reset();
  }

  static DriverRecord record_of(const std::string& path) {
    for (const DriverRecord& r : driver_records()) {
      if (std::filesystem::equivalent(r.path, path)) return r;
    }
    ADD_FAILURE() << path << " is not listed";
    return {};
  }

  static std::vector<std::string> device_names() {
    std::vector<std::string> names;
    for (const DeviceInfo& d : devices()) names.push_back(d.id);
    return names;
  }

  static bool is_listed(const std::string& device) { return std::ranges::count(device_names(), device) > 0; }

  TemporaryFolder first_, second_;
};

TEST_F(Registry, OfTwoFilesOfOneNameTheFirstFolderCounts) {
  const std::string used = add("solo.1.cpu.0.usable", first_), hidden = add("solo.1.cpu.0.usable", second_);
  search();
  EXPECT_TRUE(record_of(used).ready);
  EXPECT_EQ(record_of(used).stage, "ready");
  EXPECT_EQ(record_of(used).name, "solo");
  EXPECT_EQ(record_of(used).version, "9.8");
  const DriverRecord r = record_of(hidden);
  EXPECT_FALSE(r.ready);
  EXPECT_EQ(r.stage, "superseded");
  EXPECT_EQ(r.text, "a library of the same name was found earlier");
  EXPECT_EQ(std::ranges::count(device_names(), "solo:0"), 1);
}

TEST_F(Registry, OfSeveralBuildsOfADriverTheHighestPriorityServes) {
  const std::string low = add("twin.1.cpu.0.usable"), high = add("twin.3.gpu.0.usable"),
                    middle = add("twin.2.cpu.0.usable");
  search();
  EXPECT_TRUE(record_of(high).ready);
  for (const std::string& path : {low, middle}) {
    const DriverRecord r = record_of(path);
    EXPECT_FALSE(r.ready);
    EXPECT_EQ(r.stage, "superseded");
    EXPECT_TRUE(r.text.starts_with("usable, but liblockstep_driver_listed.twin.")) << r.text;
    EXPECT_TRUE(r.text.ends_with("suits this machine better")) << r.text;
  }
  EXPECT_EQ(std::ranges::count(device_names(), "twin:0"), 1);
  EXPECT_EQ(describe(Device("twin")).type, "gpu") << "the one of priority 3";
}

TEST_F(Registry, DevicesComeByPriority) {
  add("a.100001.cpu.0.usable");
  add("b.100003.cpu.0.usable");
  add("c.100002.cpu.0.usable");
  add("d.-100001.cpu.0.usable");
  search();
  const std::vector<std::string> names = device_names();
  ASSERT_GE(names.size(), 5u) << "the library's own are there, too";
  EXPECT_EQ(std::vector(names.begin(), names.begin() + 3), (std::vector<std::string>{"b:0", "c:0", "a:0"}));
  EXPECT_EQ(names.back(), "d:0");
}

TEST_F(Registry, TheBestDeviceIsAGpuThenAnAcceleratorThenByPriority) {
  add("works.100000.cpu.0.usable");
  search();
  EXPECT_EQ(best_device().name(), "works:0") << "no other CPU has that priority";
  add("shared.1.integrated.0.usable");
  search();
  EXPECT_EQ(best_device().name(), "shared:0");
  add("npu.1.accelerator.0.usable");
  search();
  EXPECT_EQ(best_device().name(), "npu:0");
  add("slow.1.gpu.0.usable");
  add("off.9.gpu.0.off");
  search();
  EXPECT_EQ(best_device().name(), "slow:0") << "what cannot be used is not chosen";
  add("fast.2.gpu.0.usable");
  search();
  EXPECT_EQ(best_device().name(), "fast:0");
}

TEST_F(Registry, TheDefaultDeviceIsTheCpu) {
  add("loud.100000.gpu.0.usable");
  search();
  EXPECT_EQ(DriverRegistry::instance().first_available().name(), is_listed("cpu:0") ? "cpu:0" : "loud:0");
}

TEST_F(Registry, WithoutACpuItIsTheFirstThatWorks) {
  for (const char* name : {"cpu", "reference", "vulkan"}) add(std::string(name) + ".1000000.cpu.0.off");
  search();
  const auto choose_first = [] { DriverRegistry::instance().first_available(); };
  const std::string text = error_text(choose_first);
  EXPECT_TRUE(text.starts_with("DeviceError[LS3003] device: no driver offers a device\n  looked \n    /")) << text;
  EXPECT_NE(text.find("liblockstep_driver_listed.reference.1000000.cpu.0.off.so: ready: \n"), std::string::npos)
      << text;
  EXPECT_NE(text.find(": superseded: usable, but liblockstep_driver_listed.reference."), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("\n  fix    set LOCKSTEP_DRIVER_PATH to the folder that holds liblockstep_driver_*.so"))
      << text;
  EXPECT_EQ(error_text([] { best_device(); }), text);
  add("quiet.100001.gpu.0.usable");
  add("loud.100002.gpu.0.usable");
  add("off.100003.gpu.0.off");
  search();
  EXPECT_EQ(DriverRegistry::instance().first_available().name(), "loud:0");
}

TEST_F(Registry, UnknownDevicesNameTheDriverThatWouldOfferThem) {
  first_.write("liblockstep_driver_warp.so", "no library");
  add("ghost.1.cpu.0.missing");
  add("twin.1.cpu.0.usable");
  add("twin.2.cpu.0.usable");
  search();
  const auto message = [](const char* device) {
    try {
      Device d(device);
      return std::string("there is one");
    } catch (const DeviceError& e) {
      EXPECT_EQ(e.id(), ErrorId::unknown_device);
      return std::string(e.what());
    }
  };
  EXPECT_NE(message("warp").find("\n  driver "), std::string::npos) << message("warp");
  EXPECT_NE(message("ghost:0").find("\n  driver it reports no device"), std::string::npos) << message("ghost:0");
  EXPECT_EQ(message("twin:1").find("\n  driver "), std::string::npos) << "that driver works: " << message("twin:1");
  EXPECT_EQ(message("other").find("\n  driver "), std::string::npos) << message("other");
  EXPECT_NE(message("other").find("there is no device \"other\""), std::string::npos) << message("other");
  EXPECT_NE(message("other").find("twin:0, "), std::string::npos) << message("other");
}

TEST_F(Registry, DriversOfOneNameThatAreLoadedLaterGetNumbers) {
  const std::string path = add("guest.1.cpu.0.usable");
  DriverRegistry::instance().reset();
  EXPECT_EQ(load_driver(path).name, "guest");
  EXPECT_EQ(load_driver(path).name, "guest-2");
  EXPECT_EQ(load_driver(path).name, "guest-3");
  const std::vector<std::string> names = device_names();
  EXPECT_EQ(std::vector(names.end() - 3, names.end()), (std::vector<std::string>{"guest:0", "guest-2:0", "guest-3:0"}));
  EXPECT_EQ(driver_records().back().path, path);
}

TEST_F(Registry, DriversOfOnePieceOfHardwareShareItsMemory) {
  add("one.1.gpu.7.usable");
  add("other.1.gpu.8.usable");
  add("same.1.gpu.7.usable");
  add("unknown.1.gpu.0.usable");
  add("unknown_too.1.gpu.0.usable");
  search();
  const auto budget = [](const char* name) { return Device(name).entry().budget; };
  EXPECT_EQ(budget("one"), budget("same"));
  EXPECT_NE(budget("one"), budget("other"));
  EXPECT_NE(budget("unknown"), budget("unknown_too")) << "nobody knows whether they are one";
}

TEST_F(Registry, WhatIsKnownOfADeviceIsTold) {
  add("on.1.accelerator.171.usable");
  add("off.1.integrated.0.off");
  search();
  const DeviceInfo on = describe(Device("on")), off = describe(Device("off"));
  EXPECT_EQ(on.id, "on:0");
  EXPECT_EQ(on.driver, "on");
  EXPECT_EQ(on.name, "a listed device");
  EXPECT_EQ(on.vendor, "nobody");
  EXPECT_EQ(on.version, "0.1");
  EXPECT_EQ(on.type, "accelerator");
  EXPECT_TRUE(on.available);
  EXPECT_EQ(on.reason, "");
  EXPECT_EQ(on.memory_total, 2000u) << "what the driver says now counts, not what it listed";
  EXPECT_EQ(on.memory_free, 500u);
  EXPECT_EQ(on.modes, (std::vector<MathMode>{MathMode::strict, MathMode::lockstep}));
  EXPECT_EQ(on.compute_units, 12u);
  EXPECT_EQ(on.uuid, "ab000000000000000000000000000000");
  EXPECT_EQ(on.largest_allocation, 800u);
  EXPECT_EQ(off.type, "integrated gpu");
  EXPECT_FALSE(off.available);
  EXPECT_EQ(off.reason, "it is switched off");
  EXPECT_EQ(off.memory_total, 1000u);
  EXPECT_FALSE(off.memory_free);
  EXPECT_EQ(off.uuid, "");
  EXPECT_EQ(off.largest_allocation, 700u);
}

TEST_F(Registry, DevicesThatDoNotOpenSayWhy) {
  add("off.1.gpu.0.off");
  add("shut.1.gpu.0.usable");
  search();
  const auto failure = [](const char* device) {
    try {
      Device(device).state();
      return std::string("it opened");
    } catch (const DeviceError& e) {
      return e.code() + " " + e.headline() + "; " + e.hint();
    }
  };
  EXPECT_EQ(
      failure("off"),
      "LS3003 the device cannot be used: it is switched off; run `lockstep devices --why` for all drivers and devices");
  EXPECT_EQ(failure("shut"), "LS3005 the driver of shut:0 reports: internal error: it is only listed; ");
}

}  // namespace
}  // namespace lockstep

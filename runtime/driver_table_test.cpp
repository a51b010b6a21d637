// Tests that tables of older and of newer drivers are accepted, and that a table without a slot of ABI 1.0 is not.
#include "runtime/driver_table.h"

#include <gtest/gtest.h>

#include <cstring>

#include "api/internal/abi_1_0.h"
#include "backends/testing/whole_table.h"
#include "lockstep/driver_provisional.h"

namespace lockstep {
namespace {

using Slot = void (*)();

// The table of a driver or a runtime of a later minor version, which has two more slots.
struct GrownTable {
  lks_driver_api api;
  Slot later[2];
};

Slot some_function() {
  return [] {};
}

// A runtime that is newer than the driver calls none of the slots that the driver does not have.
TEST(DriverTable, SlotsThatAnOlderDriverDoesNotHaveAreNull) {
  lks_driver_api older = whole_table();
  older.hdr.size = driver_api_1_0;
  GrownTable own;
  std::memset(static_cast<void*>(&own), 0x5c, sizeof own);
  EXPECT_EQ(copy_driver_table(older, own.api, sizeof own), "");
  EXPECT_EQ(std::memcmp(&own.api, &older, driver_api_1_0), 0);
  EXPECT_EQ(own.later[0], nullptr);
  EXPECT_EQ(own.later[1], nullptr);
}

TEST(DriverTable, OptionalSlotsMayBeNull) {
  GrownTable given{whole_table(), {nullptr, some_function()}}, own{};
  given.api.hdr.size = sizeof given;
  EXPECT_EQ(copy_driver_table(given.api, own.api, sizeof own), "");
  EXPECT_EQ(own.later[0], nullptr);
  EXPECT_EQ(own.later[1], given.later[1]);
}

TEST(DriverTable, SlotsThatOnlyANewerDriverHasAreLeftOut) {
  GrownTable newer{whole_table(), {some_function(), some_function()}}, own{};
  newer.api.hdr.size = sizeof newer;
  newer.api.abi_minor = LKS_ABI_MINOR + 1;
  EXPECT_EQ(copy_driver_table(newer.api, own.api, sizeof own.api), "");
  EXPECT_EQ(std::memcmp(&own.api, &newer.api, sizeof own.api), 0);
  EXPECT_EQ(own.later[0], nullptr) << "it wrote beyond the runtime's table";
}

TEST(DriverTable, WithoutASlotOfTheFirstVersionItIsRefused) {
  lks_driver_api own{}, given = whole_table();
  given.queue_fill = nullptr;
  EXPECT_EQ(copy_driver_table(given, own, sizeof own), "its table lacks the entry queue_fill");
  given = whole_table();
  given.hdr.size = driver_api_1_0 - 1;
  EXPECT_EQ(copy_driver_table(given, own, sizeof own),
            "its table lacks the entry kernel_variant: it has " + std::to_string(driver_api_1_0 - 1) +
                " bytes, and that of ABI 1.0 has " + std::to_string(driver_api_1_0));
  EXPECT_EQ(own.driver_open, nullptr) << "it is unchanged";
}

TEST(DriverTable, GroupsMayHaveMoreSlotsThanTheRuntimeKnows) {
  struct {
    lks_peer_group group;
    Slot later;
  } newer{};
  newer.group.hdr.size = sizeof newer;
  EXPECT_EQ(missing_in_group(LKS_CAP_PEER, &newer), "its table for capability 2 has an empty entry");
  newer.group.peer_query = [](lks_device*, lks_device*, double*, lks_diag*) -> lks_status { return LKS_OK; };
  EXPECT_EQ(missing_in_group(LKS_CAP_PEER, &newer), "");
  newer.group.hdr.size = sizeof(lks_header);
  EXPECT_EQ(missing_in_group(LKS_CAP_PEER, &newer),
            "its table for capability 2 has 16 bytes where " + std::to_string(sizeof(lks_peer_group)) + " are needed");
}

// Whatever this runtime's group has: one slot behind the header.
TEST(DriverTable, GroupsOfTheirFirstVersionAreAccepted) {
  struct {
    lks_header hdr{sizeof(lks_header) + sizeof(void*), 0, nullptr};
    Slot buffer_import = [] {};
  } older;
  EXPECT_EQ(missing_in_group(LKS_CAP_IMPORT_EXPORT, &older), "");
}

}  // namespace
}  // namespace lockstep

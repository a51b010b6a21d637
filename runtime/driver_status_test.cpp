// Tests how a driver's failure becomes an error: its class, its id and its complete text.
#include "runtime/driver_status.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <source_location>

#include "lockstep/lockstep.h"
#include "runtime/host_api.h"

namespace lockstep {
namespace {

template <class E>
void expect_failure(lks_status status, const lks_diag& diag, const DriverCall& call, const std::string& text) {
  try {
    check_driver(status, diag, "toy:0", call);
    ADD_FAILURE() << "nothing was thrown for status " << status;
  } catch (const E& e) {
    EXPECT_EQ(std::string(e.what()), text);
  }
}

TEST(DriverFailures, AreNamedByTheirStatus) {
  const std::string head = "LS3005] matmul: the driver of toy:0 reports: ";
  const lks_diag silent = empty_diag();
  const DriverCall call{"matmul"};
  expect_failure<DeviceError>(LKS_INVALID_ARGUMENT, silent, call, "DeviceError[" + head + "invalid argument");
  expect_failure<DeviceError>(LKS_TIMEOUT, silent, call, "DeviceError[" + head + "timeout");
  expect_failure<DeviceError>(LKS_CANCELLED, silent, call, "DeviceError[" + head + "cancelled");
  expect_failure<DeviceError>(LKS_ABI_MISMATCH, silent, call, "DeviceError[" + head + "ABI mismatch");
  expect_failure<DeviceError>(LKS_DATA_CORRUPT, silent, call, "DeviceError[" + head + "data corrupt");
  expect_failure<DeviceError>(LKS_INTERNAL, silent, call, "DeviceError[" + head + "internal error");
  expect_failure<DeviceError>(lks_status{999}, silent, call, "DeviceError[" + head + "internal error");
  expect_failure<UnsupportedError>(LKS_UNSUPPORTED, silent, call,
                                   "UnsupportedError[LS6001] matmul: the driver of toy:0 reports: unsupported");
  expect_failure<DeviceError>(LKS_UNAVAILABLE, silent, call,
                              "DeviceError[LS3003] matmul: the driver of toy:0 reports: unavailable");
  expect_failure<DeviceError>(LKS_DEVICE_LOST, silent, call,
                              "DeviceError[LS3004] matmul: the driver of toy:0 reports: device lost\n"
                              "  fix    its tensors are gone: restart the process, or go on with another device");
  expect_failure<OutOfMemoryError>(LKS_OUT_OF_MEMORY, silent, call,
                                   "OutOfMemoryError[LS5001] matmul: the driver of toy:0 reports: out of memory\n"
                                   "  fix    use smaller batches, or free tensors that are no longer needed");
  EXPECT_NO_THROW(check_driver(LKS_OK, silent, "toy:0", call));
}

TEST(DriverFailures, CarryWhatTheDriverSays) {
  lks_diag diag = empty_diag();
  std::snprintf(diag.what, sizeof diag.what, "3 of 4 lanes hang");
  std::snprintf(diag.native_name, sizeof diag.native_name, "TOY_HANG");
  std::snprintf(diag.where, sizeof diag.where, "queue.cpp:12");
  std::snprintf(diag.hint, sizeof diag.hint, "cool it");
  const std::source_location here = std::source_location::current();
  const CallSite site = here;
  expect_failure<DeviceError>(LKS_DEVICE_LOST, diag, {"add", &site},
                              "DeviceError[LS3004] add: the driver of toy:0 reports: device lost: 3 of 4 lanes hang\n"
                              "  native TOY_HANG\n"
                              "  driver queue.cpp:12\n"
                              "  where  called at driver_status_test.cpp:" +
                                  std::to_string(here.line()) + "\n  fix    cool it");
  // Texts of one letter are printed too.
  std::snprintf(diag.what, sizeof diag.what, "a");
  std::snprintf(diag.native_name, sizeof diag.native_name, "b");
  std::snprintf(diag.where, sizeof diag.where, "c");
  std::snprintf(diag.hint, sizeof diag.hint, "d");
  expect_failure<DeviceError>(LKS_DEVICE_LOST, diag, {"add"},
                              "DeviceError[LS3004] add: the driver of toy:0 reports: device lost: a\n"
                              "  native b\n"
                              "  driver c\n"
                              "  fix    d");
  diag = empty_diag();
  expect_failure<DeviceError>(LKS_INTERNAL, diag, {.op = "add", .first_of = 3},
                              "DeviceError[LS3005] add: the driver of toy:0 reports: internal error\n"
                              "  launch the first of 3 that were submitted together; the driver does not say which one "
                              "failed");
  diag.reason = LKS_REASON_INDEX;
  std::snprintf(diag.what, sizeof diag.what, "index 7 is outside of 5 rows");
  expect_failure<ShapeError>(LKS_INVALID_ARGUMENT, diag, {"gather"},
                             "ShapeError[LS2009] gather: index 7 is outside of 5 rows");
}

}  // namespace
}  // namespace lockstep

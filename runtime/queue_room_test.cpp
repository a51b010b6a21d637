// Tests of uploads whose bytes the host does not keep, and of how many commands of a queue may be pending.
#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "lockstep/lockstep.h"
#include "runtime/queue_script.h"

namespace lockstep {
namespace {

using queue_script::Recovery, queue_script::script, queue_script::table, queue_script::never;

// A write of memory that is not kept.
class CopiedWrite : public testing::Test {
 protected:
  std::uint64_t write(std::uint64_t capabilities, const std::function<void(CommandQueue&)>& before) {
    script = {};
    const auto device = std::make_unique<ScriptedDevice>(table(), capabilities);
    CommandQueue queue(device->state(), LKS_QUEUE_COMPUTE);
    before(queue);
    const std::uint64_t enqueued = script.newest;
    const std::uint64_t value = queue.write_copied(block, 0, &bytes, sizeof bytes, {.op = "write"});
    EXPECT_EQ(script.newest, enqueued + (value ? 1 : 0)) << "a write that is refused enqueues nothing";
    return value;
  }
  void fill(CommandQueue& queue) { queue.fill(block, 0, 4, 0, 4, {.op = "fill"}); }
  Block block;
  const std::uint32_t bytes = 7;
};

TEST_F(CopiedWrite, IsForDriversThatCopy) {
  const auto nothing = [](CommandQueue&) {};
  EXPECT_EQ(write(0, nothing), 0u);
  EXPECT_EQ(write(LKS_CAP_COPIES_WRITES | LKS_CAP_INLINE_QUEUE, nothing), 0u);
  EXPECT_NE(write(LKS_CAP_COPIES_WRITES, nothing), 0u);
}

// If the earlier command failed, the write would be skipped, and nobody would have its bytes.
TEST_F(CopiedWrite, DoesNotFollowACommandThatMayFail) {
  const auto pending_fill = [&](CommandQueue& queue) {
    script.done_to = 0;
    fill(queue);
  };
  EXPECT_EQ(write(LKS_CAP_COPIES_WRITES, pending_fill), 0u);
  EXPECT_NE(write(LKS_CAP_COPIES_WRITES, [&](CommandQueue& queue) { fill(queue); }), 0u) << "the fill is done";
  const auto failed_upload = [&](CommandQueue& queue) {
    script.done_to = 0;
    script.fails_at = queue.write_copied(block, 0, &bytes, sizeof bytes, {.op = "write"});
  };
  EXPECT_EQ(write(LKS_CAP_COPIES_WRITES, failed_upload), 0u) << "an upload that has failed";
}

// Nobody has the bytes of the second one any more. So its memory has no contents, and every use says why.
TEST_F(CopiedWrite, BehindAnUploadThatFailsReportsThatFailure) {
  script = {};
  ScriptedDevice device(table(), LKS_CAP_COPIES_WRITES);
  CommandQueue queue(device.state(), LKS_QUEUE_COMPUTE);
  const auto upload = [&] { return queue.write_copied(block, 0, &bytes, sizeof bytes, {.op = "write"}); };
  script.done_to = 0;
  const std::uint64_t failing = upload(), behind = upload();
  ASSERT_NE(behind, 0u);
  script.fails_at = failing;
  EXPECT_THROW(queue.wait(behind), DeviceError);
  EXPECT_THROW(queue.check(behind), DeviceError) << "each time";
  EXPECT_THROW(queue.check(failing), DeviceError);
  EXPECT_NO_THROW(queue.synchronize()) << "it was told";
  script.done_to = never;
  const std::uint64_t later = upload();
  ASSERT_NE(later, 0u);
  EXPECT_NO_THROW(queue.wait(later));
}

TEST_F(CopiedWrite, FollowsOtherUploads) {
  const auto pending_uploads = [&](CommandQueue& queue) {
    script.done_to = 0;
    for (int i = 0; i < 3; ++i) EXPECT_NE(queue.write_copied(block, 0, &bytes, sizeof bytes, {.op = "write"}), 0u);
  };
  EXPECT_NE(write(LKS_CAP_COPIES_WRITES, pending_uploads), 0u);
}

// ---------------------------------------------------------------------------------------------------------------- room

constexpr std::uint64_t max_pending = 4096;

class Room : public Recovery {};

TEST_F(Room, AQueueWithTooManyCommandsIsWaitedForUntilItIsHalfEmpty) {
  script.done_to = 0;
  for (std::uint64_t i = 0; i < max_pending; ++i) command();
  EXPECT_EQ(script.waited_for, 0u);
  command();
  EXPECT_EQ(script.waited_for, max_pending / 2 + 1) << "half of them are left then";
}

TEST_F(CopiedWrite, OfManyAreWaitedFor) {
  script = {};
  ScriptedDevice device(table(), LKS_CAP_COPIES_WRITES);
  CommandQueue queue(device.state(), LKS_QUEUE_COMPUTE);
  const auto upload = [&] { return queue.write_copied(block, 0, &bytes, sizeof bytes, {.op = "write"}); };
  script.done_to = 0;
  for (std::uint64_t i = 0; i < max_pending; ++i) upload();
  EXPECT_EQ(script.waited_for, 0u);
  EXPECT_NE(upload(), 0u);
  EXPECT_EQ(script.waited_for, max_pending / 2 + 1);
}

}  // namespace
}  // namespace lockstep

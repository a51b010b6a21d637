// Tests of how tensors are saved: a file is replaced whole or not at all, and keeps its mode and owner.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "lockstep/lockstep.h"
#include "nn/test_files.h"

namespace lockstep {
namespace {

class SavedFile : public testing::Test {
 protected:
  TemporaryFolder folder;
  DeviceScope scope{Device("reference")};
};

TEST_F(SavedFile, SavingWhereItCannotIsAnErrorAndLeavesNothing) {
  const std::string nowhere = folder.file("no/such/folder/file");
  expect_io_error(ErrorId::cannot_write, nowhere, "No such file", [&] { save_tensors(nowhere, {{"a", ones({3})}}); });
  expect_io_error(ErrorId::cannot_write, nowhere, "No such file", [&] { check_can_write(nowhere); });
  const std::string path = folder.file("file");
  expect_io_error(ErrorId::cannot_write, path, "__metadata__", [&] {
    save_tensors(path, {{"__metadata__", ones({3})}});
  });
  expect_io_error(ErrorId::cannot_write, path, "UTF-8", [&] { save_tensors(path, {{"\xff", ones({3})}}); });
  EXPECT_EQ(folder.file_count(), 0u);
}

// A limit on file size makes writes fail as a full disk does.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &previous_);
    const rlimit limit{bytes, previous_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &previous_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit previous_{};
  void (*handler_)(int) = nullptr;
};

TEST_F(SavedFile, AFullDiskLeavesTheOldFileAndNoPartOfTheNew) {
  const std::string path = folder.file("weights");
  save_tensors(path, {{"a", ones({3})}});
  const std::string before = read_file(path);
  const Tensor large = ones({100000});
  {
    const FileSizeLimit limit(50000);
    expect_io_error(ErrorId::cannot_write, path, "File too large", [&] { save_tensors(path, {{"a", large}}); });
  }
  EXPECT_EQ(read_file(path), before);
  EXPECT_EQ(folder.file_count(), 1u);
}

TEST_F(SavedFile, CheckingLeavesExistingFilesAsTheyAre) {
  const std::string path = folder.write("kept", "contents");
  EXPECT_NO_THROW(check_can_write(path));
  EXPECT_EQ(read_file(path), "contents");
  EXPECT_NO_THROW(check_can_write(folder.file("new")));
  EXPECT_EQ(folder.file_count(), 1u);
}

mode_t mode_of(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

TEST_F(SavedFile, AFileThatIsReplacedKeepsItsMode) {
  const std::string path = folder.write("kept", "contents"), link = folder.file("link");
  std::filesystem::create_symlink("kept", link);
  for (mode_t mode : {0600, 0644, 0664, 0640, 0666, 0444, 0400, 0755}) {
    for (const std::string& name : {path, link}) {
      ASSERT_EQ(chmod(path.c_str(), mode), 0);
      save_tensors(name, {{"a", ones({3})}});
      EXPECT_EQ(mode_of(path), mode) << std::oct << mode << " through " << name;
      EXPECT_EQ(load_tensors(name).tensors.size(), 1u);
    }
  }
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(folder.file_count(), 2u);
}

TEST_F(SavedFile, AFileThatIsReplacedKeepsItsOwner) {
  if (geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  const std::string path = folder.write("kept", "contents");
  ASSERT_EQ(chown(path.c_str(), 1234, 2345), 0);
  ASSERT_EQ(chmod(path.c_str(), 0640), 0);
  save_tensors(path, {{"a", ones({3})}});
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 1234u);
  EXPECT_EQ(info.st_gid, 2345u);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
}

TEST_F(SavedFile, ANewFileHasTheModeThatTheProcessGives) {
  const mode_t before = umask(0027);
  save_tensors(folder.file("new"), {{"a", ones({3})}});
  umask(before);
  EXPECT_EQ(mode_of(folder.file("new")), 0640u);
}

// The name of the temporary file is predictable, so another program could have put a link there.
TEST_F(SavedFile, WhatLiesUnderTheTemporaryNameIsNotWrittenThrough) {
  const std::string path = folder.file("weights"), victim = folder.write("victim", "contents");
  for (int i = 0; i < 2000; ++i) {
    std::filesystem::create_symlink(victim, path + ".part-" + std::to_string(getpid()) + "-" + std::to_string(i));
  }
  save_tensors(path, {{"a", ones({3})}});
  EXPECT_EQ(read_file(victim), "contents");
  EXPECT_FALSE(std::filesystem::is_symlink(path));
  EXPECT_EQ(load_tensors(path).tensors.size(), 1u);
}

TEST_F(SavedFile, OnlyRegularFilesAreReplaced) {
  const std::string pipe = folder.file("pipe"), link = folder.file("link"), loop = folder.file("loop");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::filesystem::create_symlink("pipe", link);
  std::filesystem::create_symlink("loop", loop);
  const auto refuse = [](const std::string& path, const std::string& part) {
    expect_io_error(ErrorId::cannot_write, path, part, [&] { save_tensors(path, {{"a", ones({3})}}); });
    expect_io_error(ErrorId::cannot_write, path, part, [&] { check_can_write(path); });
  };
  refuse(pipe, "is not a regular file");
  refuse(link, "is not a regular file");
  refuse(loop, "symbolic link");
  refuse(folder.file("."), "is a folder");
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
  EXPECT_EQ(folder.file_count(), 3u);
}

TEST_F(SavedFile, SymbolicLinksAreFollowed) {
  const TemporaryFolder elsewhere;
  const std::string link = folder.file("link"), next = folder.file("next");
  std::filesystem::create_symlink("next", link);
  std::filesystem::create_symlink(elsewhere.file("weights"), next);
  for (const bool exists : {false, true}) {
    EXPECT_NO_THROW(check_can_write(link));
    save_tensors(link, {{"a", full({3}, exists)}});
    EXPECT_TRUE(std::filesystem::is_symlink(link));
    EXPECT_TRUE(std::filesystem::is_symlink(next));
    EXPECT_EQ(load_tensors(elsewhere.file("weights")).tensors.at("a").to_vector<float>(),
              std::vector<float>(3, exists));
  }
  EXPECT_EQ(folder.file_count(), 2u);
  EXPECT_EQ(elsewhere.file_count(), 1u);
}

TEST_F(SavedFile, ThreadsMaySaveUnderOneName) {
  const std::string path = folder.file("weights");
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const DeviceScope on{Device("reference")};
      for (int i = 0; i < 25; ++i) {
        try {
          save_tensors(path, {{"a", full({100}, t)}});
          const std::vector<float> a = load_tensors(path).tensors.at("a").to_vector<float>();
          failures += a != std::vector<float>(100, a[0]);
        } catch (const Error&) {
          ++failures;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(folder.file_count(), 1u);
}

}  // namespace
}  // namespace lockstep

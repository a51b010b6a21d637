// Tests the host services for drivers against driver.h, and the location of the cache folder.
#include "runtime/host_api.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <cstring>

#include "lockstep/lockstep.h"
#include "runtime/cache_folder.h"

namespace lockstep {
namespace {

std::int64_t ask(const char* key, char* buffer, std::uint64_t size) {
  return host_api().get_option(host_api().host, key, buffer, size);
}

class HostOptions : public testing::Test {
 protected:
  void SetUp() override { std::memset(buffer, '#', sizeof buffer); }
  void TearDown() override { set_option("host_api_test.key", std::nullopt); }
  char buffer[8];
};

TEST_F(HostOptions, ComeWithTheirLength) {
  EXPECT_EQ(ask("host_api_test.key", buffer, sizeof buffer), -1) << "it is not set";
  EXPECT_EQ(buffer[0], '#');
  set_option("host_api_test.key", "abc");
  EXPECT_EQ(ask("host_api_test.key", buffer, sizeof buffer), 3);
  EXPECT_EQ(std::string(buffer, 8), std::string("abc\0####", 8));
}

TEST_F(HostOptions, AreCutToTheBuffer) {
  set_option("host_api_test.key", "abcdef");
  EXPECT_EQ(ask("host_api_test.key", buffer, 4), 6) << "the whole length, so that the driver can ask again";
  EXPECT_EQ(std::string(buffer, 8), std::string("abc\0####", 8));
  EXPECT_EQ(ask("host_api_test.key", buffer, 1), 6);
  EXPECT_EQ(std::string(buffer, 4), std::string("\0bc\0", 4));
  EXPECT_EQ(ask("host_api_test.key", nullptr, 0), 6) << "only the length is asked";
  std::memset(buffer, '#', sizeof buffer);
  EXPECT_EQ(ask("host_api_test.key", buffer, 7), 6) << "it fits";
  EXPECT_EQ(std::string(buffer, 8), std::string("abcdef\0#", 8));
}

class CacheFolder : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"XDG_CACHE_HOME", "HOME"}) {
      const char* value = getenv(name);
      before_.emplace_back(name, value ? std::optional<std::string>(value) : std::nullopt);
    }
  }
  void TearDown() override {
    for (const auto& [name, value] : before_) value ? setenv(name, value->c_str(), 1) : unsetenv(name);
    set_option("cache.folder", std::nullopt);
  }

 private:
  std::vector<std::pair<const char*, std::optional<std::string>>> before_;
};

TEST_F(CacheFolder, IsThatOfTheXdgSpecification) {
  setenv("HOME", "/home/somebody", 1);
  setenv("XDG_CACHE_HOME", "/var/caches", 1);
  EXPECT_EQ(default_cache_folder(), "/var/caches/lockstep");
  for (const char* ignored : {"", "relative/path"}) {
    setenv("XDG_CACHE_HOME", ignored, 1);
    EXPECT_EQ(default_cache_folder(), "/home/somebody/.cache/lockstep") << ignored;
  }
  unsetenv("XDG_CACHE_HOME");
  EXPECT_EQ(default_cache_folder(), "/home/somebody/.cache/lockstep");
  setenv("HOME", "relative", 1);
  EXPECT_EQ(default_cache_folder(), std::nullopt);
  unsetenv("HOME");
  EXPECT_EQ(default_cache_folder(), std::nullopt);
}

TEST_F(CacheFolder, IsTheAnswerToDriversUnlessTheOptionIsSet) {
  setenv("XDG_CACHE_HOME", "/var/caches", 1);
  char buffer[64];
  EXPECT_EQ(ask("cache.folder", buffer, sizeof buffer), 20);
  EXPECT_STREQ(buffer, "/var/caches/lockstep");
  set_option("cache.folder", "/elsewhere");
  EXPECT_EQ(ask("cache.folder", buffer, sizeof buffer), 10);
  EXPECT_STREQ(buffer, "/elsewhere");
}

TEST(HostApi, IsOfThisVersion) {
  EXPECT_EQ(host_api().hdr.size, sizeof(lks_host_api));
  EXPECT_EQ(host_api().abi_major, static_cast<std::uint32_t>(LKS_ABI_MAJOR));
  EXPECT_EQ(host_api().abi_minor, static_cast<std::uint32_t>(LKS_ABI_MINOR));
}

TEST(HostApi, PassesMessagesOn) {
  static int level = -1;
  static std::string component, text;
  set_log_sink([](int l, std::string_view c, std::string_view t) {
    level = l;
    component = c;
    text = t;
  });
  host_api().log(host_api().host, LKS_LOG_WARN, "toy", "it is warm");
  set_log_sink(nullptr);
  EXPECT_EQ(level, LKS_LOG_WARN);
  EXPECT_EQ(component, "toy");
  EXPECT_EQ(text, "it is warm");
}

TEST(HostApi, RunsPiecesOfARange) {
  std::atomic<std::int64_t> covered{0};
  const auto add = [](void* sum, std::int64_t begin, std::int64_t end) {
    *static_cast<std::atomic<std::int64_t>*>(sum) += end - begin;
  };
  host_api().parallel_for(host_api().host, 1000, 10, add, &covered);
  EXPECT_EQ(covered, 1000);
  EXPECT_GE(host_api().thread_count(host_api().host), 1u);
}

TEST(HostApi, DiagnosesBeginEmpty) {
  const lks_diag diag = empty_diag();
  EXPECT_EQ(diag.hdr.size, sizeof(lks_diag));
  EXPECT_EQ(diag.operand, -1) << "none in particular";
  EXPECT_EQ(diag.code, LKS_OK);
  EXPECT_EQ(diag.what[0], '\0');
}

}  // namespace
}  // namespace lockstep

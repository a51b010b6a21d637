#include "conformance/runtime/alone.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>

#include "conformance/runtime/footprint.h"
#include "conformance/runtime/kernels.h"
#include "runtime/may_fork.h"

namespace lockstep::conformance {
namespace {

constexpr unsigned max_child_seconds = 20;  // an alarm ends a child that hangs

std::vector<std::string>& command() {
  static std::vector<std::string> words;
  return words;
}

// The handler of each signal.
using Handlers = std::array<void (*)(int), NSIG>;

Handlers signal_handlers() {
  Handlers all{};
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action;
    std::memset(&action, 0, sizeof action);
    if (sigaction(number, nullptr, &action) == 0) all[static_cast<std::size_t>(number)] = action.sa_handler;
  }
  return all;
}

void check_handlers(const Handlers& before, const char* when) {
  const Handlers now = signal_handlers();
  for (std::size_t number = 1; number < now.size(); ++number) {
    check(now[number] == before[number],
          text("%s, signal %zu (%s) has another handler than before the driver was loaded", when, number,
               strsignal(static_cast<int>(number))));
  }
}

// What a library finds in its process, and leaves as it is.
struct Surroundings {
  sigset_t blocked;  // signals, on this thread
  std::string locale, folder;
};

Surroundings surroundings() {
  Surroundings now;
  sigemptyset(&now.blocked);
  pthread_sigmask(SIG_SETMASK, nullptr, &now.blocked);
  now.locale = std::setlocale(LC_ALL, nullptr);
  std::error_code error;
  now.folder = std::filesystem::current_path(error).string();
  return now;
}

// This process inherits what the driver may have changed in its parent, and would change to the same again.
void use_other_surroundings() {
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);
  std::error_code ignored;
  std::filesystem::current_path(std::filesystem::temp_directory_path(ignored), ignored);
}

void check_surroundings(const Surroundings& before) {
  const Surroundings now = surroundings();
  for (int number = 1; number < NSIG; ++number) {
    check(sigismember(&now.blocked, number) == sigismember(&before.blocked, number),
          text("after the driver was used, signal %d (%s) is blocked or not on this thread, and was otherwise before",
               number, strsignal(number)));
  }
  check(now.locale == before.locale, "the driver changed the locale from " + before.locale + " to " + now.locale);
  check(now.folder == before.folder, "the driver changed the current folder to " + now.folder);
}

// Takes what is printed on standard output until the end of the scope.
class Printed {
 public:
  Printed() {
    std::fflush(stdout);
    std::FILE* const file = std::tmpfile();
    if (!file) return;
    saved_ = dup(STDOUT_FILENO);
    dup2(fileno(file), STDOUT_FILENO);
    std::fclose(file);
  }
  ~Printed() { end(); }
  Printed(const Printed&) = delete;
  Printed& operator=(const Printed&) = delete;

  /// Returns the number of bytes that were printed.
  long long end() {
    if (saved_ < 0) return 0;
    std::fflush(stdout);
    const auto bytes = static_cast<long long>(lseek(STDOUT_FILENO, 0, SEEK_END));
    dup2(saved_, STDOUT_FILENO);
    close(std::exchange(saved_, -1));
    return bytes;
  }

 private:
  int saved_ = -1;
};

// The system removes a thread from its list a moment after the thread was joined.
void check_threads(std::int64_t before) {
  std::int64_t now = footprint().threads;
  for (int i = 0; i < 100 && now > before; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    now = footprint().threads;
  }
  check(now <= before, text("driver_close of a driver with LKS_DRIVER_UNLOADABLE leaves %lld threads behind",
                            static_cast<long long>(now - before)));
}

void use_device(const RuntimeTarget& target) {
  Session s(target);
  Queue queue(s);
  const KernelSample sample = multiply_add_sample(100);
  const Kernel kernel(s, sample);
  check(static_cast<bool>(kernel), "a pointwise program on i32 is refused");
  check_same_bytes(run_sample(s, queue, sample, kernel)[0], multiply_add(sample.values[0], sample.values[1]),
                   "a kernel in a process of its own");
}

[[noreturn]] void be_the_child(const RuntimeTarget& target) {
  alarm(max_child_seconds);
  try {
    use_device(target);
    _exit(0);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "in the child: %s\n", e.what());
    std::fflush(stderr);
  }
  _exit(1);
}

void use_device_in_child(const RuntimeTarget& target) {
  const pid_t child = fork();
  check(child >= 0, "the process cannot fork");
  if (child == 0) be_the_child(target);
  int status = -1;
  waitpid(child, &status, 0);
  const char* const what = "a forked child, whose parent has opened the driver and no device, cannot use the driver";
  if (WIFSIGNALED(status)) {
    throw CheckFailed(text("%s: it was killed by signal %d (%s)%s", what, WTERMSIG(status), strsignal(WTERMSIG(status)),
                           WTERMSIG(status) == SIGALRM ? ", because it did not end in time" : ""));
  }
  check(WIFEXITED(status) && WEXITSTATUS(status) == 0, what);
}

// Many programs list devices before they fork their workers.
void list_devices_and_fork(const RuntimeTarget& target, const lks_driver_api& api, const Handlers& handlers) {
  TestHost host;
  lks_driver* driver = nullptr;
  Call open("driver_open");
  open.ok(api.driver_open(&host.api(), &driver, open.diag()));
  describe(api, driver, target.ordinal);
  check_handlers(handlers, "after driver_open");
  if (may_fork) use_device_in_child(target);
  api.driver_close(driver);
}

// Loads, uses and unloads the driver. Only the first time has the process opened no device before.
void use_library(const RuntimeTarget& target, bool first) {
  const Handlers handlers = signal_handlers();
  const Surroundings before = surroundings();
  const std::int64_t threads = footprint().threads;
  Printed printed;
  DriverLibrary library(target.library);  // stays loaded until the threads are counted
  TestHost host;
  const lks_driver_api& api = library.table(host.api());
  check(footprint().threads <= threads, "loading the library and calling its entry starts a thread");
  if (first) list_devices_and_fork(target, api, handlers);
  use_device(target);
  const long long bytes = printed.end();
  check(bytes == 0,
        text("the driver prints on standard output, %lld bytes; programs use that for their results", bytes));
  check_surroundings(before);
  check_handlers(handlers, "after driver_close");
  if (api.flags & LKS_DRIVER_UNLOADABLE) check_threads(threads);
}

std::string read_line(int file) {
  std::string line;
  for (char c = 0; read(file, &c, 1) == 1 && c != '\n';) line += c;
  return line;
}

std::string answer_for(const RuntimeTarget& target) {
  try {
    use_library(target, true);
    use_library(target, false);
    return "done";
  } catch (const NotOffered& e) {
    return std::string("skipped ") + e.what();
  } catch (const std::exception& e) {
    return std::string("failed ") + e.what();
  }
}

}  // namespace

void set_alone_command(std::vector<std::string> words) { command() = std::move(words); }

const std::vector<std::string>& alone_command() { return command(); }

int run_alone(int in, int out) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // the worker may be killed while this process hangs
  const std::string request = read_line(in);
  const std::size_t space = request.find(' ');
  if (space == std::string::npos) return 2;
  const auto ordinal = static_cast<std::uint32_t>(std::strtoul(request.c_str(), nullptr, 10));
  const std::string library = std::filesystem::absolute(request.substr(space + 1)).string();
  use_other_surroundings();
  std::string answer = answer_for({library, ordinal, 1});
  const bool done = answer == "done";
  std::replace(answer.begin(), answer.end(), '\n', ' ');
  answer += '\n';
  const ssize_t written = write(out, answer.data(), answer.size());
  return done && written == static_cast<ssize_t>(answer.size()) ? 0 : 1;
}

}  // namespace lockstep::conformance

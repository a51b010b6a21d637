#include "conformance/suite/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "lockstep/error.h"

extern char** environ;

namespace lockstep::conformance {
namespace {

constexpr int child_reads = 3, child_writes = 4;

[[noreturn]] void fail(const char* what, int error) {
  ErrorBuilder(ErrorId::file_not_found, "lockstep conformance", std::string(what) + ": " + std::strerror(error))
      .fix("free processes, file descriptors or space in the folder for temporary files")
      .raise();
}

// A temporary file that is already unlinked.
int temporary_file() {
  const char* folder = std::getenv("TMPDIR");
  std::string name = std::string(folder && *folder ? folder : "/tmp") + "/lockstep-conformance-XXXXXX";
  const int file = mkostemp(name.data(), O_CLOEXEC);
  if (file >= 0) unlink(name.c_str());
  return file;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

struct Pipe {
  int read_end = -1, write_end = -1;
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) fail("no pipe", errno);
    // Moved above the descriptor numbers that the child uses.
    read_end = fcntl(ends[0], F_DUPFD_CLOEXEC, 10);
    write_end = fcntl(ends[1], F_DUPFD_CLOEXEC, 10);
    close(ends[0]);
    close(ends[1]);
  }
};

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& command, const std::vector<std::string>& more_environment) {
  signal(SIGPIPE, SIG_IGN);
  const Pipe to, from;
  output_ = temporary_file();
  if (output_ < 0) fail("no temporary file", errno);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output_, 1);
  posix_spawn_file_actions_adddup2(&actions, output_, 2);
  posix_spawn_file_actions_adddup2(&actions, to.read_end, child_reads);
  posix_spawn_file_actions_adddup2(&actions, from.write_end, child_writes);

  std::vector<std::string> arguments = command, variables = more_environment;
  for (char** v = environ; *v; ++v) {
    const std::string name(*v, std::strcspn(*v, "="));
    bool replaced = false;
    for (const std::string& m : more_environment) replaced = replaced || m.starts_with(name + "=");
    if (!replaced) variables.emplace_back(*v);
  }
  const int error = posix_spawn(&pid_, command[0].c_str(), &actions, nullptr, pointers_to(arguments).data(),
                                pointers_to(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  close(to.read_end);
  close(from.write_end);
  to_ = to.write_end;
  from_ = from.read_end;
  if (error == 0) return;
  pid_ = -1;
  for (int file : {to_, from_, output_}) close(file);
  fail(("cannot start " + command[0]).c_str(), error);
}

ChildProcess::~ChildProcess() {
  close(to_);  // an idle child ends when its input ends
  end();
  for (int file : {from_, output_}) close(file);
}

bool ChildProcess::send(const std::string& line) {
  const std::string text = line + "\n";
  return write(to_, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool ChildProcess::receive() {
  char chunk[65536];
  const ssize_t n = read(from_, chunk, sizeof chunk);
  if (n < 0 && errno == EINTR) return true;
  if (n <= 0) return false;
  buffer_.append(chunk, static_cast<std::size_t>(n));
  return true;
}

std::optional<std::string> ChildProcess::next_line() {
  const std::size_t end = buffer_.find('\n', taken_);
  if (end == std::string::npos) {
    buffer_.erase(0, std::exchange(taken_, 0));
    return std::nullopt;
  }
  std::string line = buffer_.substr(taken_, end - taken_);
  taken_ = end + 1;
  return line;
}

std::string ChildProcess::end() {
  if (pid_ < 0) return "";
  int status = 0;
  // Wait about 0.1 s before SIGKILL, so that a process that is already ending reports its own exit status.
  for (int wait = 0; wait < 50 && waitpid(pid_, &status, WNOHANG) == 0; ++wait) {
    if (wait == 49) {
      kill(pid_, SIGKILL);
      waitpid(pid_, &status, 0);
    } else {
      usleep(2000);
    }
  }
  pid_ = -1;
  if (WIFSIGNALED(status)) {
    return "killed by signal " + std::to_string(WTERMSIG(status)) + " (" + strsignal(WTERMSIG(status)) + ")";
  }
  return "ended with exit status " + std::to_string(WEXITSTATUS(status));
}

std::string ChildProcess::last_words() const {
  const off_t size = lseek(output_, 0, SEEK_END);
  constexpr off_t most = 600;
  const off_t from = size > most ? size - most : 0;
  std::string text(static_cast<std::size_t>(size - from), '\0');
  if (pread(output_, text.data(), text.size(), from) < 0) return "";
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace lockstep::conformance

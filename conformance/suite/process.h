// A child process that is spoken to in lines, and that may die or hang at any time.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace lockstep::conformance {

class ChildProcess {
 public:
  /// Starts the program. In the child, descriptor 3 is read from and 4 is written to; what it prints goes into a file
  /// that only `last_words` reads. Throws IoError LS8001 where it cannot be started.
  ChildProcess(const std::vector<std::string>& command, const std::vector<std::string>& more_environment);
  /// Kills it if it still runs.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// False if it no longer listens.
  bool send(const std::string& line);
  /// What poll() is to wait for.
  int readable() const { return from_; }
  /// Reads what is there. False at the end: the process has gone.
  bool receive();
  /// The next whole line among what was read.
  std::optional<std::string> next_line();
  /// Ends it, and says how it ended: "killed by signal 11 (Segmentation fault)".
  std::string end();
  /// The last lines that it printed.
  std::string last_words() const;

 private:
  pid_t pid_ = -1;
  int to_ = -1, from_ = -1, output_ = -1;
  std::string buffer_;
};

}  // namespace lockstep::conformance

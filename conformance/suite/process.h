// A child process with line-based input and output, which may crash or hang at any time.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace lockstep::conformance {

class ChildProcess {
 public:
  /// Starts the program. The child reads from descriptor 3 and writes to 4; its stdout and stderr go into a file that
  /// `last_words` reads. Throws IoError LS8001 if it cannot be started.
  ChildProcess(const std::vector<std::string>& command, const std::vector<std::string>& more_environment);
  /// Kills the child if it still runs.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// Returns false if the child has closed its input.
  bool send(const std::string& line);
  /// The descriptor for poll().
  int readable() const { return from_; }
  /// Reads the available output. Returns false if the process has ended.
  bool receive();
  /// The next complete line that was read.
  std::optional<std::string> next_line();
  /// Ends the child and returns how it ended, such as "killed by signal 11 (Segmentation fault)".
  std::string end();
  /// The end of what it printed, at most 600 bytes.
  std::string last_words() const;

 private:
  pid_t pid_ = -1;
  int to_ = -1, from_ = -1, output_ = -1;
  std::string buffer_;
  std::size_t taken_ = 0;  // of the buffer, by next_line()
};

}  // namespace lockstep::conformance

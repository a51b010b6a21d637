// Splits strings such as case ids and options.
#pragma once

#include <string>
#include <vector>

namespace lockstep::conformance {

/// "a/b/" at '/' is "a", "b" and "".
inline std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts(1);
  for (char c : text) {
    if (c == at) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

}  // namespace lockstep::conformance

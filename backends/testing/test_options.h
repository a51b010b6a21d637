// Options by which a test controls a test driver.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>

#include "backends/common/option.h"

namespace test_options {

using common::option;

inline std::uint64_t number_option(const lks_host_api& api, const char* key, std::uint64_t otherwise) {
  const std::string text = option(api, key);
  return text.empty() ? otherwise : std::strtoull(text.c_str(), nullptr, 10);
}

// An option "<generation>:<number>". The generation is 0 if the option is not set.
struct TestOption {
  long generation = 0, number = 0;
};

inline TestOption test_option(const lks_host_api& api, const char* key) {
  const std::string text = option(api, key);
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) return {};
  return {std::atol(text.c_str()), std::atol(text.c_str() + colon + 1)};
}

}  // namespace test_options

// For tests of failures: counts how often a program gets the failure of a gather whose index is out of range.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <source_location>
#include <string>

#include "lockstep/error.h"

namespace lockstep {

/// How often `program` throws in the given number of tries. Each error must name a gather in the caller's file.
inline int failures_of(const std::function<void()>& program, int tries = 1,
                       const std::source_location& here = std::source_location::current()) {
  const std::string place = short_location(here), file = place.substr(0, place.find(':') + 1);
  int failed = 0;
  for (int i = 0; i < tries; ++i) {
    try {
      program();
    } catch (const Error& e) {
      EXPECT_EQ(e.id(), ErrorId::index_out_of_range) << e.what();
      EXPECT_EQ(e.op(), "gather");
      EXPECT_NE(e.where().find(file), std::string::npos) << e.what();
      ++failed;
    }
  }
  return failed;
}

}  // namespace lockstep

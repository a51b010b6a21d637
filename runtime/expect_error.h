// Test helpers that check the text of an error.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <regex>
#include <string>

#include "lockstep/error.h"

namespace lockstep {

/// Expects that `f` throws an Error with this id, whose text contains all `parts` and whose location is in `file`, such
/// as "ops_test.cpp:". If `file` is nullptr, the location is not checked.
template <class F>
void expect_error_saying(F&& f, ErrorId id, const std::initializer_list<std::string>& parts, const char* file,
                         bool has_fix = false) {
  try {
    f();
    ADD_FAILURE() << "nothing was thrown: " << *parts.begin();
  } catch (const Error& e) {
    const std::string text = e.what();
    EXPECT_EQ(e.id(), id) << text;
    for (const std::string& part : parts) EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
    if (file) {
      EXPECT_NE(e.where().find(file), std::string::npos) << text;
    }
    if (has_fix) {
      EXPECT_FALSE(e.hint().empty()) << text;
    }
  }
}

/// The whole text of the error that `f` throws, with N in place of the test's line number.
template <class F>
std::string error_text(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return std::regex_replace(e.what(), std::regex("(_test\\.cpp):[0-9]+"), "$1:N");
  }
  return "nothing was thrown";
}

}  // namespace lockstep

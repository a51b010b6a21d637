// Tests that docs/errors.md has one complete section for each error id, and no others.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <vector>

#include "lockstep/error.h"

namespace lockstep {
namespace {

struct Known {
  int number;
  std::string category, name;
};

const std::vector<Known>& known_ids() {
  static const std::vector<Known> all = {
#define LOCKSTEP_ERROR(number, category, name, summary) {number, #category, #name},
#include "lockstep/error_ids.def"
#undef LOCKSTEP_ERROR
  };
  return all;
}

struct Section {
  int number;
  std::string name, text;
};

// The sections of the document with headings such as "### LS2003 `inner_dimensions`".
std::vector<Section> sections() {
  std::ifstream file(ERRORS_DOCUMENT);
  std::vector<Section> all;
  const std::regex heading("### LS([0-9]+) `([a-z_]+)`");
  std::smatch found;
  for (std::string line; std::getline(file, line);) {
    if (std::regex_match(line, found, heading)) {
      all.push_back({std::stoi(found[1]), found[2], ""});
    } else if (line.starts_with("#")) {
      EXPECT_FALSE(line.starts_with("###")) << "not the heading of an error: " << line;
    } else if (!all.empty()) {
      all.back().text += line + "\n";
    }
  }
  return all;
}

TEST(ErrorsDocument, HasTheSectionsOfAllIdsInOrder) {
  std::vector<std::string> expected, given;
  for (const Known& id : known_ids()) expected.push_back("LS" + std::to_string(id.number) + " " + id.name);
  for (const Section& s : sections()) given.push_back("LS" + std::to_string(s.number) + " " + s.name);
  EXPECT_EQ(given, expected);
}

TEST(ErrorsDocument, EachSectionHasAnExampleOfItsClassAndSaysWhatToDo) {
  std::map<int, std::string> category;
  for (const Known& id : known_ids()) category[id.number] = id.category;
  for (const Section& s : sections()) {
    const std::string example = "```\n" + category[s.number] + "[LS" + std::to_string(s.number) + "] ";
    EXPECT_NE(s.text.find(example), std::string::npos) << s.name;
    EXPECT_NE(s.text.find("**What to do:** "), std::string::npos) << s.name;
    EXPECT_GT(s.text.find(example), 30u) << s.name << " says when it comes";
  }
}

}  // namespace
}  // namespace lockstep

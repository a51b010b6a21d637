// Compares the layout of the driver ABI, field by field, with the golden file: a change that moves a field breaks every
// driver that was built before it.
#include <gtest/gtest.h>

#include <cstddef>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "lockstep/driver.h"
#include "lockstep/driver_provisional.h"

namespace {

class Layout {
 public:
  void open(const char* name, std::size_t size) { text_ << name << " " << size << "\n"; }
  void field(const char* name, std::size_t offset, std::size_t size) {
    text_ << "  " << name << " " << offset << " " << size << "\n";
  }
  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
};

#define STRUCT(type) \
  {                  \
    using S = type;  \
    layout.open(#type, sizeof(S));
#define FIELD(name) layout.field(#name, offsetof(S, name), sizeof(S::name));
#define END }

std::string present_layout() {
  Layout layout;
#include "runtime/abi_fields.inc"
  return layout.text();
}

TEST(DriverAbi, LayoutIsTheGoldenOne) {
  std::ifstream file(GOLDEN_LAYOUT);
  ASSERT_TRUE(file) << "missing " GOLDEN_LAYOUT;
  std::ostringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(present_layout(), golden.str()) << "A field moved. Append instead; where a table or struct grew at its "
                                               "end, raise LKS_ABI_MINOR and replace the file by:\n"
                                            << present_layout();
}

// The structs of a header file that do not begin with an lks_header.
std::set<std::string> structs_without_header(const char* path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  const std::string code = text.str();
  const std::regex definition("typedef struct (lks_[a-z_]+) \\{\\s*(lks_header hdr;)?");
  std::set<std::string> names;
  for (std::sregex_iterator at(code.begin(), code.end(), definition), end; at != end; ++at) {
    if ((*at)[2].length() == 0) names.insert((*at)[1]);
  }
  return names;
}

// A plain struct can never grow, so there are as few as possible. driver.h lists them under "Arrays".
TEST(DriverAbi, EveryOtherStructBeginsWithAHeader) {
  EXPECT_EQ(structs_without_header(DRIVER_HEADER),
            (std::set<std::string>{"lks_header", "lks_heap", "lks_instr", "lks_function", "lks_attached_program",
                                   "lks_alias", "lks_operand_deps", "lks_binding"}));
  EXPECT_EQ(structs_without_header(PROVISIONAL_HEADER), std::set<std::string>{"lks_region_node"});
}

// An element of an array begins where the previous one ends, and is aligned there.
TEST(DriverAbi, StructsInArraysHaveSizesThatAreMultiplesOfEight) {
  EXPECT_EQ(sizeof(lks_tensor_desc) % 8, 0u);
  EXPECT_EQ(sizeof(lks_launch) % 8, 0u);
}

TEST(DriverAbi, HeaderNeedsNothingButStdint) {
  std::ifstream file(DRIVER_HEADER);
  int lines = 0;
  std::string code;  // without comments
  for (std::string line; std::getline(file, line); ++lines) code += line + "\n";
  for (std::size_t at = code.find("/*"); at != std::string::npos; at = code.find("/*")) {
    code.erase(at, code.find("*/", at) + 2 - at);
  }
  EXPECT_EQ(std::regex_search(code, std::regex("\\b(long|bool|size_t|int|unsigned)\\b")), false)
      << "types whose size differs between platforms";
  for (std::size_t at = code.find("#include"); at != std::string::npos; at = code.find("#include", at + 1)) {
    EXPECT_EQ(code.substr(at, code.find('\n', at) - at), "#include <stdint.h>");
  }
  EXPECT_GT(lines, 100);
  EXPECT_LE(lines, 600) << "the header is to stay readable in one sitting";
}

}  // namespace

#include "conformance/minimal/requirements.h"

#include <algorithm>
#include <sstream>
#include <vector>

namespace minimal {
namespace {

constexpr const char* not_needed = "–";

using Row = std::vector<std::string>;

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" `"), last = text.find_last_not_of(" `");
  return first == std::string::npos ? "" : text.substr(first, last + 1 - first);
}

}  // namespace

std::vector<std::string> split(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t end; (end = text.find(separator, begin)) != std::string::npos; begin = end + separator.size()) {
    parts.push_back(trimmed(text.substr(begin, end - begin)));
  }
  parts.push_back(trimmed(text.substr(begin)));
  return parts;
}

namespace {

// The cells of "| a | b |".
Row cells_of(const std::string& line) {
  Row cells = split(line, "|");
  cells.erase(cells.begin());
  if (!cells.empty()) cells.pop_back();
  return cells;
}

void read_number(std::uint64_t& number, const std::string& cell) { number = std::stoull(cell); }

void read_kernel(Requirements& r, const Row& row) {
  if (row[2] != not_needed) read_number(r.core.kernels[{row[0], row[1]}], row[2]);
  if (row[3] != not_needed) read_number(r.train.kernels[{row[0], row[1]}], row[3]);
}

void read_instruction(Requirements& r, const Row& row) {
  for (std::size_t profile = 0; profile < 2; ++profile) {
    const std::string& cell = row[1 + profile];
    if (cell == not_needed) continue;
    for (const std::string& dtypes : split(cell, ", ")) {
      (profile == 0 ? r.core : r.train).instructions.insert({row[0], dtypes});
    }
  }
}

void read_size(Requirements& r, const Row& row) {
  read_number(r.core.sizes[row[0]], row[1]);
  read_number(r.train.sizes[row[0]], row[2]);
}

struct Table {
  const char *begin, *end;  // the marker lines before and after it
  std::size_t columns;
  void (*read)(Requirements&, const Row&);
};
constexpr Table tables[] = {{"<!-- kernels -->", "<!-- end of kernels -->", 4, &read_kernel},
                            {"<!-- instructions -->", "<!-- end of instructions -->", 3, &read_instruction},
                            {"<!-- sizes -->", "<!-- end of sizes -->", 3, &read_size}};

// The rank, such as "8", or `not_needed` if the profile does not need the kernel.
std::string rank_in(const Demand& demand, const std::pair<std::string, std::string>& kernel) {
  const auto at = demand.kernels.find(kernel);
  return at == demand.kernels.end() ? not_needed : std::to_string(at->second);
}

std::string dtypes_in(const Demand& demand, const std::string& instruction) {
  std::string all;
  for (const auto& [name, dtypes] : demand.instructions) {
    if (name == instruction) all += (all.empty() ? "" : ", ") + dtypes;
  }
  return all.empty() ? not_needed : all;
}

std::string kernel_rows(const Requirements& r) {
  std::string text = "| kernel | operands → results | largest rank, `core` | `train` |\n| --- | --- | --- | --- |\n";
  for (const auto& [kernel, rank] : r.train.kernels) {
    text += "| `" + kernel.first + "` | " + kernel.second + " | " + rank_in(r.core, kernel) + " | " +
            std::to_string(rank) + " |\n";
  }
  return text;
}

std::string instruction_rows(const Requirements& r) {
  std::string text = "| instruction | dtypes, `core` | `train` |\n| --- | --- | --- |\n";
  std::set<std::string> names;
  for (const auto& instruction : r.train.instructions) names.insert(instruction.first);
  for (const std::string& name : names) {
    text += "| `" + name + "` | " + dtypes_in(r.core, name) + " | " + dtypes_in(r.train, name) + " |\n";
  }
  return text;
}

std::string size_rows(const Requirements& r) {
  std::string text = "| the most | `core` | `train` |\n| --- | --- | --- |\n";
  for (const auto& [what, size] : r.train.sizes) {
    const auto core = r.core.sizes.find(what);
    text += "| " + what + " | " + std::to_string(core == r.core.sizes.end() ? 0 : core->second) + " | " +
            std::to_string(size) + " |\n";
  }
  return text;
}

}  // namespace

Requirements read_requirements(std::istream& page) {
  Requirements requirements;
  const Table* table = nullptr;
  int header_lines = 0;
  for (std::string line; std::getline(page, line);) {
    for (const Table& t : tables) {
      if (line == t.end) table = nullptr;
      if (line != t.begin) continue;
      table = &t;
      header_lines = 2;
    }
    if (!table || line.empty() || line[0] != '|' || header_lines-- > 0) continue;
    const Row row = cells_of(line);
    if (row.size() == table->columns) table->read(requirements, row);
  }
  return requirements;
}

std::string with_requirements(std::istream& page, const Requirements& requirements) {
  const std::string contents[] = {kernel_rows(requirements), instruction_rows(requirements), size_rows(requirements)};
  std::string text;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    for (const Table& t : tables) {
      if (line == t.end) inside = false;
    }
    if (!inside) text += line + "\n";
    for (std::size_t t = 0; t < std::size(tables); ++t) {
      if (line != tables[t].begin) continue;
      text += "\n" + contents[t] + "\n";
      inside = true;
    }
  }
  return text;
}

std::string record_of(const Demand& demand) {
  std::string text;
  for (const auto& [kernel, rank] : demand.kernels) {
    text += "kernel|" + kernel.first + "|" + kernel.second + "|" + std::to_string(rank) + "\n";
  }
  for (const auto& [name, dtypes] : demand.instructions) text += "instruction|" + name + "|" + dtypes + "\n";
  for (const auto& [what, size] : demand.sizes) text += "size|" + what + "|" + std::to_string(size) + "\n";
  return text;
}

Demand read_record(std::istream& record) {
  Demand all;
  for (std::string line; std::getline(record, line);) {
    const std::vector<std::string> parts = split(line, "|");
    Demand one;
    if (parts[0] == "kernel" && parts.size() == 4) read_number(one.kernels[{parts[1], parts[2]}], parts[3]);
    if (parts[0] == "instruction" && parts.size() == 3) one.instructions.insert({parts[1], parts[2]});
    if (parts[0] == "size" && parts.size() == 3) read_number(one.sizes[parts[1]], parts[2]);
    all.add(one);
  }
  return all;
}

}  // namespace minimal

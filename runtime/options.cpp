#include "lockstep/options.h"

#include <atomic>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "api/internal/mutex.h"

namespace lockstep {
namespace {

struct Table {
  Mutex mutex;
  std::map<std::string, std::string, std::less<>> values LOCKSTEP_GUARDED_BY(mutex);
};

Table& table() {
  static auto* t = new Table;
  return *t;
}

std::string variable_name(std::string_view key) {
  std::string name = "LOCKSTEP_";
  for (char c : key) name += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

void print_to_stderr(int level, std::string_view component, std::string_view text) {
  static const int most = [] {
    const auto set = option("log");
    return set ? std::atoi(set->c_str()) : 2;
  }();
  if (level > most) return;
  std::fprintf(stderr, "lockstep: %.*s: %.*s\n", static_cast<int>(component.size()), component.data(),
               static_cast<int>(text.size()), text.data());
}

std::atomic<LogSink> current_sink{&print_to_stderr};

}  // namespace

void set_option(std::string_view key, std::optional<std::string> value) {
  LockGuard lock(table().mutex);
  if (value) {
    table().values.insert_or_assign(std::string(key), *value);
  } else if (auto it = table().values.find(key); it != table().values.end()) {
    table().values.erase(it);
  }
}

std::optional<std::string> option(std::string_view key) {
  {
    LockGuard lock(table().mutex);
    if (auto it = table().values.find(key); it != table().values.end()) return it->second;
  }
  const char* set = secure_getenv(variable_name(key).c_str());
  if (!set || !*set) return std::nullopt;
  return std::string(set);
}

void set_log_sink(LogSink sink) { current_sink = sink ? sink : &print_to_stderr; }

void log(int level, std::string_view component, std::string_view text) { current_sink.load()(level, component, text); }

}  // namespace lockstep

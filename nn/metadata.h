// Numbers in the texts that a safetensors file has beside its tensors.
#pragma once

#include <charconv>
#include <string>
#include <type_traits>

#include "lockstep/call_site.h"
#include "lockstep/error.h"
#include "lockstep/serialize.h"
#include "nn/tensor_archive.h"

namespace lockstep {

/// The shortest text that gives the same number again. Does not depend on the locale.
template <class Number>
std::string exact_text(Number value) {
  char text[40];
  if constexpr (std::is_same_v<Number, bool>) {
    return value ? "true" : "false";
  } else {
    return {text, std::to_chars(text, text + sizeof text, value).ptr};
  }
}

/// A file that is being loaded, for reading its texts and for errors about it.
struct LoadedFile {
  const char* op;  // for errors, such as "load_optimizer"
  const std::string& path;
  const TensorArchive& archive;
  CallSite where;

  [[noreturn]] void fail(ErrorId id, const std::string& what, const std::string& fix) const {
    raise(id, op, path + ": " + what, fix, where);
  }
  [[noreturn]] void damaged(const std::string& what) const { fail(ErrorId::corrupt, what, "save the file again"); }

  bool has(const std::string& key) const { return archive.metadata().contains(key); }

  /// Throws IoError LS8004 if there is no such text.
  const std::string& text(const std::string& key) const {
    const auto found = archive.metadata().find(key);
    if (found == archive.metadata().end()) damaged("its metadata has no \"" + key + "\"");
    return found->second;
  }

  /// Throws IoError LS8004 if the text is missing or is not a number of this type.
  template <class Number>
  void read(const std::string& key, Number& value) const {
    const std::string& given = text(key);
    const char* const end = given.data() + given.size();
    if constexpr (std::is_same_v<Number, bool>) {
      value = given == "true";
      if (value || given == "false") return;
    } else {
      const auto [rest, error] = std::from_chars(given.data(), end, value);
      if (error == std::errc() && rest == end) return;
    }
    damaged("its metadata has the \"" + key + "\" \"" + given + "\"");
  }
};

}  // namespace lockstep

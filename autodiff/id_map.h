// Maps tensor ids to nodes of a tape: a hash table with linear probing, because every recorded op looks up each of its
// inputs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lockstep {

class IdMap {
 public:
  static constexpr std::uint32_t absent = ~std::uint32_t{0};

  std::uint32_t find(std::uint64_t id) const {
    if (slots_.empty()) return absent;
    for (std::size_t i = hash(id) & mask_;; i = (i + 1) & mask_) {
      if (slots_[i].id == id) return slots_[i].node;
      if (slots_[i].id == 0) return absent;
    }
  }

  /// `id` must not be in the map.
  void insert(std::uint64_t id, std::uint32_t node) {
    if ((count_ + 1) * 2 > slots_.size()) grow();
    place(id, node);
    ++count_;
  }

  void clear() {
    slots_.clear();
    count_ = 0;
  }

 private:
  struct Slot {
    std::uint64_t id = 0;  // 0: empty
    std::uint32_t node = absent;
  };

  static std::size_t hash(std::uint64_t id) { return static_cast<std::size_t>((id * 0x9e3779b97f4a7c15u) >> 20); }

  void place(std::uint64_t id, std::uint32_t node) {
    std::size_t i = hash(id) & mask_;
    while (slots_[i].id != 0) i = (i + 1) & mask_;
    slots_[i] = {id, node};
  }

  void grow() {
    std::vector<Slot> old = std::move(slots_);
    slots_.assign(old.empty() ? 16 : old.size() * 2, Slot());
    mask_ = slots_.size() - 1;
    for (const Slot& s : old) {
      if (s.id != 0) place(s.id, s.node);
    }
  }

  std::vector<Slot> slots_;
  std::size_t mask_ = 0, count_ = 0;
};

}  // namespace lockstep

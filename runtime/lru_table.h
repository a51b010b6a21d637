// A table with a limit. When it is full, the item that was used longest ago goes.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_set>
#include <utility>
#include <vector>

namespace lockstep {

/// A key that is only looked up: it does not own its words.
struct WordsView {
  std::span<const std::uint64_t> words;
  std::uint64_t hash = 0;

  explicit WordsView(std::span<const std::uint64_t> of) : words(of) {
    for (std::uint64_t word : words) {
      hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
      hash ^= hash >> 29;
    }
  }
};

/// What a table keeps, with its key. Any thread may set `used` at any time; the larger, the later.
struct LruItem {
  explicit LruItem(const WordsView& key) : hash(key.hash), words(key.words.begin(), key.words.end()) {}

  bool has(const WordsView& key) const {
    if (hash != key.hash || words.size() != key.words.size()) return false;
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (words[i] != key.words[i]) return false;
    }
    return true;
  }

  std::uint64_t hash;
  std::vector<std::uint64_t> words;
  std::atomic<std::uint64_t> used{0};
};

/// Not synchronised, except that `used` of its items may change. Item is derived from LruItem.
template <class Item>
class LruTable {
 public:
  using Ref = std::shared_ptr<Item>;

  explicit LruTable(std::size_t capacity) : capacity_(capacity) {}

  /// nullptr if there is none. Allocates nothing, and does not count as a use.
  const Ref* find(const WordsView& key) const {
    const auto it = items_.find(key);
    return it == items_.end() ? nullptr : &*it;
  }

  /// The key must be new. Appends what has to go to `evicted`, so that the caller can destroy it without a lock.
  void insert(Ref item, std::vector<Ref>& evicted) {
    while (items_.size() >= capacity_) evicted.push_back(remove_oldest());
    order_.emplace_back(item->used.load(std::memory_order_relaxed), item);
    std::push_heap(order_.begin(), order_.end(), Later());
    items_.insert(std::move(item));
  }

  void clear(std::vector<Ref>& removed) {
    for (auto& [used, item] : order_) removed.push_back(std::move(item));
    order_.clear();
    items_.clear();
  }

  std::size_t size() const { return items_.size(); }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(const Ref& item) const { return item->hash; }
    std::size_t operator()(const WordsView& key) const { return key.hash; }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const Ref& a, const Ref& b) const { return a->hash == b->hash && a->words == b->words; }
    bool operator()(const Ref& item, const WordsView& key) const { return item->has(key); }
    bool operator()(const WordsView& key, const Ref& item) const { return item->has(key); }
  };
  using Place = std::pair<std::uint64_t, Ref>;
  struct Later {
    bool operator()(const Place& a, const Place& b) const { return a.first > b.first; }
  };

  // Uses do not move items in the heap. An item that has been used since it was placed is placed anew here.
  Ref remove_oldest() {
    while (true) {
      std::pop_heap(order_.begin(), order_.end(), Later());
      Place& last = order_.back();
      const std::uint64_t used = last.second->used.load(std::memory_order_relaxed);
      if (used == last.first) break;
      last.first = used;
      std::push_heap(order_.begin(), order_.end(), Later());
    }
    Ref oldest = std::move(order_.back().second);
    order_.pop_back();
    items_.erase(oldest);
    return oldest;
  }

  std::size_t capacity_;
  std::unordered_set<Ref, Hash, Equal> items_;
  std::vector<Place> order_;  // a heap with the smallest number on top; no item was used before its number
};

}  // namespace lockstep

#include "random.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace steepest {
namespace {

constexpr int kBlocks = 256;  // two keys each
constexpr int kRowsInABucket = 16;

}  // namespace

Shuffle::Shuffle(const Kernels& kernels, uint64_t seed, uint32_t purpose, std::size_t size,
                 std::vector<double> cumulative)
    : kernels_(kernels), seed_(seed), purpose_(purpose), cumulative_(std::move(cumulative)), items_(size) {
  const int digits = std::bit_width(size / kRowsInABucket);
  shift_ = 32 - digits;
  starts_.resize(std::size_t{1} << digits);
}

// Calls f(index, lower and upper half of its key) for each index.
template <class F>
void Shuffle::for_each_key(uint32_t step, F f) const {
  alignas(64) uint32_t words[4 * (kBlocks + 8)];
  const std::size_t size = items_.size();
  for (std::size_t first = 0; first < size; first += 2 * kBlocks) {
    const int count = static_cast<int>(std::min<std::size_t>(2 * kBlocks, size - first));
    kernels_.random_words(seed_, step, purpose_, first / 2, (count + 1) / 2, words);
    for (int i = 0; i < count; ++i) {
      f(static_cast<uint32_t>(first + i), words[2 * i], words[2 * i + 1]);
    }
  }
}

uint32_t Shuffle::lower_half(uint32_t step, uint32_t index) const {
  uint32_t words[4 * (1 + 8)];
  kernels_.random_words(seed_, step, purpose_, index / 2, 1, words);
  return words[2 * (index % 2)];
}

const uint32_t* Shuffle::order(uint32_t step) {
  const std::pair asked(seed_, step);
  if (found_ != asked) {
    if (cumulative_.empty()) {
      sort(step);
    } else {
      draw(step);
    }
    found_ = asked;
  }
  return reinterpret_cast<const uint32_t*>(items_.data());
}

// The first row whose cumulative weight is above u times the total, u the key's upper 53 bits.
void Shuffle::draw(uint32_t step) {
  uint32_t* order = reinterpret_cast<uint32_t*>(items_.data());
  for_each_key(step, [&](uint32_t index, uint32_t low, uint32_t high) {
    const double u = double((uint64_t{high} << 32 | low) >> 11) * 0x1p-53 * cumulative_.back();
    const auto at = std::upper_bound(cumulative_.begin(), cumulative_.end(), u);
    order[index] = static_cast<uint32_t>(std::min(at, cumulative_.end() - 1) - cumulative_.begin());
  });
}

// Keys are spread evenly, so buckets by their upper digits hold few, which an insertion sort orders.
// Drawing the keys twice, to count and to place, is cheaper than the memory to move them.
void Shuffle::sort(uint32_t step) {
  const auto bucket = [this](uint32_t key) { return shift_ == 32 ? 0 : key >> shift_; };
  std::fill(starts_.begin(), starts_.end(), 0);
  for_each_key(step, [&](uint32_t, uint32_t, uint32_t key) { ++starts_[bucket(key)]; });
  uint32_t total = 0;
  for (uint32_t& start : starts_) total += std::exchange(start, total);
  for_each_key(step, [&](uint32_t index, uint32_t, uint32_t key) {
    items_[starts_[bucket(key)]++] = uint64_t{key} << 32 | index;
  });
  const std::size_t size = items_.size();
  for (std::size_t i = 1; i < size; ++i) {
    const uint64_t item = items_[i];
    std::size_t to = i;
    for (; to > 0 && items_[to - 1] > item; --to) items_[to] = items_[to - 1];
    items_[to] = item;
  }
  for (std::size_t i = 0, end; i < size; i = end) {  // the few whose upper halves are equal
    for (end = i + 1; end < size && items_[end] >> 32 == items_[i] >> 32;) ++end;
    if (end - i == 1) continue;
    std::sort(items_.begin() + i, items_.begin() + end, [&](uint64_t a, uint64_t b) {
      const auto first = static_cast<uint32_t>(a), second = static_cast<uint32_t>(b);
      return std::pair(lower_half(step, first), first) < std::pair(lower_half(step, second), second);
    });
  }
  // The order replaces the items from the front: each is read before its place is written.
  char* memory = reinterpret_cast<char*>(items_.data());
  for (std::size_t i = 0; i < size; ++i) {
    const auto index = static_cast<uint32_t>(items_[i]);
    std::memcpy(memory + 4 * i, &index, 4);
  }
}

}  // namespace steepest

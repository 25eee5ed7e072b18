#include "random.h"

#include <array>
#include <utility>

namespace steepest {
namespace {

// Four words from a counter and a key (Salmon et al., SC 2011).
inline std::array<uint32_t, 4> philox(std::array<uint32_t, 4> c, uint32_t k0, uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c[0], p1 = uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

constexpr int kDigitBits = 11;  // three passes over 32 bits
constexpr int kDigits = 1 << kDigitBits;

}  // namespace

Shuffle::Shuffle(uint64_t seed, uint32_t purpose, std::size_t size)
    : seed_(seed), purpose_(purpose), keys_(size + 1), items_(size), spare_(size), order_(size) {}

const uint32_t* Shuffle::order(uint32_t step) {
  const std::size_t size = order_.size();
  for (std::size_t i = 0; i < size; i += 2) {
    const uint64_t block = i / 2;
    const auto word = philox({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), step,
                              purpose_},
                             static_cast<uint32_t>(seed_), static_cast<uint32_t>(seed_ >> 32));
    keys_[i] = word[0] | uint64_t{word[1]} << 32;
    keys_[i + 1] = word[2] | uint64_t{word[3]} << 32;
  }
  // Radix sort by the upper halves; the few that are equal there are put right below.
  for (std::size_t i = 0; i < size; ++i) items_[i] = {static_cast<uint32_t>(keys_[i] >> 32), static_cast<uint32_t>(i)};
  for (int shift = 0; shift < 32; shift += kDigitBits) {
    std::array<std::size_t, kDigits> start{};
    for (const Item& item : items_) ++start[(item.key >> shift) & (kDigits - 1)];
    std::size_t total = 0;
    for (std::size_t& place : start) total += std::exchange(place, total);
    for (const Item& item : items_) spare_[start[(item.key >> shift) & (kDigits - 1)]++] = item;
    items_.swap(spare_);
  }
  for (std::size_t i = 0; i < size; ++i) {
    const uint32_t index = items_[i].index;
    std::size_t to = i;
    for (; to > 0 && keys_[order_[to - 1]] > keys_[index]; --to) order_[to] = order_[to - 1];
    order_[to] = index;
  }
  return order_.data();
}

}  // namespace steepest

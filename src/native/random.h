// Philox 4x32-10, as in src/steepest/random.py, and the order of the rows made of it.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace steepest {

// The numbers 0 .. size-1 in the order of an epoch: the stable sort of their 64-bit keys.
// `order` keeps its memory between calls.
class Shuffle {
 public:
  Shuffle(uint64_t seed, uint32_t purpose, std::size_t size);
  const uint32_t* order(uint32_t step);

 private:
  struct Item {
    uint32_t key, index;
  };

  uint64_t seed_;
  uint32_t purpose_;
  std::vector<uint64_t> keys_;
  std::vector<Item> items_, spare_;
  std::vector<uint32_t> order_;
};

}  // namespace steepest

// The order of the rows of an epoch, from the random words of the kernels.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "kernels.h"

namespace steepest {

// The numbers 0 .. size-1 in the order of an epoch: the stable sort of their 64-bit keys; or, if there
// are cumulative weights, each drawn by its weight, with replacement. Eight and a quarter bytes a row,
// kept between calls; fewer than 2^32 rows.
class Shuffle {
 public:
  Shuffle(const Kernels&, uint64_t seed, uint32_t purpose, std::size_t size, std::vector<double> cumulative = {});

  void set_seed(uint64_t seed) { seed_ = seed; }

  // Valid until the next call; found once where seed and step are those of the call before.
  const uint32_t* order(uint32_t step);

 private:
  template <class F>
  void for_each_key(uint32_t step, F) const;
  void sort(uint32_t step);
  void draw(uint32_t step);
  uint32_t lower_half(uint32_t step, uint32_t index) const;

  const Kernels& kernels_;
  uint64_t seed_;
  uint32_t purpose_;
  int shift_;
  std::optional<std::pair<uint64_t, uint32_t>> found_;  // the seed and step of the order that is there
  std::vector<double> cumulative_;
  std::vector<uint32_t> starts_;  // of each bucket of keys
  std::vector<uint64_t> items_;   // upper half of the key, index
};

}  // namespace steepest

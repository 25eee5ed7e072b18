// A net's outputs for many rows: no random numbers, no gradients, running statistics.
//
// Rows are taken in blocks that stay in the caches; each thread has its own. What a row gives depends on
// no other row, nor on the number of threads.

#pragma once

#include <optional>
#include <vector>

#include "coding.h"
#include "kernels.h"
#include "network.h"
#include "sharing.h"

namespace steepest {

class Inference {
 public:
  // threads: at most; fewer where there are few rows.
  Inference(const std::vector<NodeSpec>&, int features, int threads, int64_t rows, const Kernels&);
  Inference(const Inference&) = delete;

  Network& network() { return network_; }

  // outputs: (samples, classes), or (samples, members, classes).
  void run(const Data&, float* outputs);

 private:
  void begin(const Data&);
  void take(const Data&, int64_t first, int64_t last, int begin, float* outputs);
  void forward(int first_row, int last_row, float* scratch);
  void forward_images(size_t from, size_t until, int first_row, int last_row, float* scratch);

  const Kernels& kernels_;
  int at_once_;  // rows that a thread takes
  int threads_;
  int block_;                     // rows of all threads together
  Network network_;               // of a block for each thread
  std::vector<Scratch> scratch_;  // of each thread, for blocks of images
  std::optional<Coding> coding_;
};

}  // namespace steepest

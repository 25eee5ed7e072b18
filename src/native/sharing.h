// How work is shared between threads. No bit of a result depends on it.

#pragma once

#include <utility>
#include <vector>

#include "kernels.h"

namespace steepest {

// Borrowed from the caller, who keeps it alive.
struct Data {
  Source source;
  const int64_t* rows;     // null: row i of the source is sample i
  const int64_t* targets;  // classes; null where a row may have several
  const float* weights;    // of the rows' losses, null for 1
  const uint8_t* labels;   // (samples, classes), else null
  size_t samples;
  size_t row(size_t sample) const { return rows ? rows[sample] : sample; }
};

// A share of `total` for each thread, in multiples of `unit`: begin and end.
std::pair<int, int> share(int total, int thread, int threads, int unit);

// Share of values that are not zero in each input, from rows spread over the data.
std::vector<double> densities(const Data&, const Kernels&, size_t stride);

// Where each thread's rows of a weight matrix begin, in multiples of 16, for about equal work. matrices:
// how many are moved, W and what is kept beside it.
std::vector<int> equal_work(const std::vector<double>& densities, int batch, int threads, int matrices);

}  // namespace steepest

// Rows of piecewise linear inputs as the kernels of layer 1 take them (kernels.h, PiecewiseRows).

#pragma once

#include <cstdint>
#include <vector>

#include "kernels.h"
#include "network.h"

namespace steepest {

class Coding {
 public:
  // Whether layer 1 of these nodes can take the rows so, in minibatches of this size.
  static bool fits(const std::vector<Node>&, const Matrix& inputs, const Source&, int batch);

  Coding(const Piecewise&, int batch);

  const PiecewiseRows& rows() const { return rows_; }

  // Row m of the minibatch is this row of the source.
  void put(const Source&, size_t row, int m);

 private:
  std::vector<float> values_, plain_;
  std::vector<uint8_t> bins_;
  PiecewiseRows rows_;
};

}  // namespace steepest

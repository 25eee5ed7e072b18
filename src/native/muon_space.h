// What a step of Muon needs beside the weights of one layer.

#pragma once

#include <memory>
#include <vector>

#include "arena.h"
#include "kernels.h"
#include "network.h"

namespace steepest {

// The matrices of one layer's orthogonalisation, X being the tall one of W and its transpose. Without a layer
// it has no memory.
class MuonSpace {
 public:
  MuonSpace() = default;
  explicit MuonSpace(const Linear& layer);

  bool empty() const { return norms.empty(); }

  int rows = 0, columns = 0;  // of X: rows >= columns
  bool turned = false;        // whether X is the transpose of W
  Matrix direction;           // (in, out), as W
  Matrix x, other;            // (rows, columns); x is the direction's memory unless it is turned
  Matrix gram, polynomial;    // (columns, columns)
  std::vector<double> norms;  // of the direction's rows, squared

 private:
  std::unique_ptr<Arena> arena_;
};

}  // namespace steepest

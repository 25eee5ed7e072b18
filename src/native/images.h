// Where images lie in a network, and in how many chunks of a minibatch the gradient of a filter is summed.

#pragma once

#include <cstddef>
#include <cstdlib>
#include <list>
#include <memory>
#include <vector>

#include "image_kernels.h"

namespace steepest {

// What a node of images takes and gives, and its windows.
struct Geometry {
  int channels = 0, height = 0, width = 0;
  int out_channels = 0, out_height = 0, out_width = 0;
  int window_rows = 1, window_columns = 1, row_step = 1, column_step = 1, row_spread = 1, column_spread = 1;
  int top = 0, left = 0;  // zeros above and to the left of the images
  int groups = 1;         // of a convolution or a group normalisation
  int divisor = 0;        // of means (image_kernels.h, Pool)
  // Of a pool: first row, that beyond the last, ... and the same of columns. Of a pad: which row each one is, ...
  std::vector<int> windows;
};

// Memory that nodes point at.
struct Tables {
  std::list<std::vector<Tap>> taps;
  std::list<std::vector<Phase>> phases;
  std::list<std::vector<int>> windows;
};

// Planes whose channels lie so far apart that the same lines of several do not crowd few sets of the caches.
Planes planes_of(int channels, int height, int width, int lanes);

// Everything of a convolution that follows from its geometry.
void describe(Convolution&, const Geometry&, int lanes, Tables&);
void describe(Pool&, const Geometry&, int lanes, Tables&);
void describe(Pad&, const Geometry&, int lanes, Tables&);

// Multiply-adds of a convolution for one image.
double products_of(const Geometry&);

// Weights of filters begin .. end-1 copied to where they are read.
void arrange(const Convolution&, int begin, int end);

// How many floats one of these takes beside its matrices while a block passes.
size_t scratch_floats(const Convolution&);

class Scratch {
 public:
  explicit Scratch(size_t floats);
  float* data() const { return memory_.get(); }

 private:
  struct Free {
    void operator()(float* memory) const { std::free(memory); }
  };
  std::unique_ptr<float, Free> memory_;
};

// How the rows of a minibatch are put together: a function of their number and the filters alone.
struct Chunks {
  int rows = 1;  // of a chunk but the last
  int count = 1;
  int used(int batch) const { return (batch + rows - 1) / rows; }
};
Chunks chunks_of(int batch, int lanes, size_t filter_floats);

}  // namespace steepest

// What each node does with a block of images, where it does the same in training and in inference.

#pragma once

#include "image_kernels.h"
#include "network.h"

namespace steepest {

// Stands in an Overloaded beside functions for batch norm and residual blocks.
struct ByBlock {
  const Kernels& kernels;
  float* scratch;
  int block, count;  // which block, and how many of its images are of the minibatch

  void operator()(const Interleave& layer) const { kernels.images->interleave(layer, block, count); }
  void operator()(const Convolution& layer) const { kernels.images->convolve(layer, scratch, block); }
  void operator()(const Pool& layer) const { kernels.images->pool(layer, block); }
  void operator()(const Activate& layer) const { kernels.activate(layer, block, block + 1); }
  template <class T>
  void operator()(const T&) const {}  // of rows, or nothing to do
};

// The way back but for batch norm.
struct ByBlockBack {
  const Kernels& kernels;
  float* scratch;
  int block, count;
  int chunk;  // that the block belongs to
  bool add;   // whether the chunk has a gradient of earlier blocks

  void operator()(const Interleave& layer) const { kernels.images->interleave_back(layer, block, count); }
  void operator()(const Convolution& layer) const {
    kernels.images->convolve_gradient(layer, scratch, block, chunk, add);
    kernels.images->convolve_back(layer, scratch, block);
  }
  void operator()(const Pool& layer) const { kernels.images->pool_back(layer, block); }
  void operator()(const Activate& layer) const { kernels.activate_back(layer, block, block + 1); }
  void operator()(const Join& layer) const { kernels.images->join_back(layer, block); }
  void operator()(const Branch& branch) const { kernels.branch_back(*branch.join, block, block + 1); }
  template <class T>
  void operator()(const T&) const {}
};

}  // namespace steepest

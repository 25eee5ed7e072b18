// What each node does with a block of images, where it does the same in training and in inference.

#pragma once

#include <algorithm>
#include <variant>

#include "image_kernels.h"
#include "network.h"

namespace steepest {

// A block: which one, and how many of its images are of the minibatch. Channels first .. last-1 of it.
struct Block {
  int number, count;
  int first, last;
};

inline Activate channels_of(const Activate& layer, const Planes& planes, const Block& block) {
  Activate part = layer;
  for (Matrix* matrix : {&part.z, &part.a, &part.dz, &part.da}) {
    if (matrix->data) matrix->data += block.first * planes.stride;
  }
  part.width = int((block.last - block.first) * planes.stride);
  return part;
}

// Calls f(node, block) for nodes begin .. end-1, in this order or backwards. What does the same to each channel by
// itself goes through several nodes a few channels at a time, which stay in the first cache.
template <class F>
void for_nodes(const Network& network, size_t begin, size_t end, bool backwards, Block block, const F& f) {
  constexpr size_t kFloats = 4096;  // of a few channels
  const auto by_channel = [&](size_t at) {
    const Node& node = network.nodes[at];
    return std::holds_alternative<Activate>(node) || std::holds_alternative<Pool>(node) ||
           std::holds_alternative<Pad>(node) || std::holds_alternative<ImageNorm>(node) ||
           std::holds_alternative<ChannelDropout>(node);
  };
  const auto node_at = [&](size_t i) { return backwards ? begin + end - 1 - i : i; };
  for (size_t i = begin; i < end;) {
    size_t until = i + 1;
    while (by_channel(node_at(i)) && until < end && by_channel(node_at(until))) ++until;
    const Planes& planes = network.planes[node_at(i)];
    const int all = planes.channels;
    const int some = by_channel(node_at(i)) ? int(std::max<size_t>(1, kFloats / planes.stride)) : all;
    for (block.first = 0; block.first < all; block.first = block.last) {
      block.last = std::min(all, block.first + some);
      for (size_t n = i; n < until; ++n) f(node_at(n), block);
    }
    i = until;
  }
}

// Stands in an Overloaded beside functions for batch norm and residual blocks.
struct ByBlock {
  const Kernels& kernels;
  float* scratch;
  const Planes& planes;
  Block block;

  void operator()(const Interleave& layer) const { kernels.images->interleave(layer, block.number, block.count); }
  void operator()(const Convolution& layer) const { kernels.images->convolve(layer, scratch, block.number); }
  void operator()(const Pool& layer) const { kernels.images->pool(layer, block.number, block.first, block.last); }
  void operator()(const Pad& layer) const { kernels.images->pad(layer, block.number, block.first, block.last); }
  void operator()(const GroupNorm& layer) const { kernels.images->group_norm(layer, block.number, block.count); }
  void operator()(const Activate& layer) const {
    kernels.activate(channels_of(layer, planes, block), block.number, block.number + 1);
  }
  template <class T>
  void operator()(const T&) const {}  // of rows, or nothing to do
};

// The way back.
struct ByBlockBack {
  const Kernels& kernels;
  float* scratch;
  const Planes& planes;
  Block block;
  int chunk;  // that the block belongs to
  bool add;   // whether the chunk has a gradient of earlier blocks

  void operator()(const Interleave& layer) const {
    kernels.images->interleave_back(layer, block.number, block.count);
  }
  void operator()(const Convolution& layer) const {
    kernels.images->convolve_gradient(layer, scratch, block.number, chunk, add);
    kernels.images->convolve_back(layer, scratch, block.number);
  }
  void operator()(const Pool& layer) const {
    kernels.images->pool_back(layer, block.number, block.first, block.last);
  }
  void operator()(const Activate& layer) const {
    kernels.activate_back(channels_of(layer, planes, block), block.number, block.number + 1);
  }
  // What its gradient adds up to: the rest needs all blocks.
  void operator()(const ImageNorm& layer) const {
    kernels.images->norm_back_parts(layer, block.number, block.first, block.last);
  }
  void operator()(const Pad& layer) const {
    kernels.images->pad_back(layer, block.number, block.first, block.last);
  }
  void operator()(const GroupNorm& layer) const { kernels.images->group_norm_back(layer, block.number); }
  void operator()(const ChannelDropout& layer) const {
    kernels.images->channel_dropout_back(layer, block.number, block.first, block.last);
  }
  void operator()(const Join& layer) const { kernels.images->join_back(layer, block.number); }
  void operator()(const Branch& layer) const { kernels.branch_back(layer, block.number, block.number + 1); }
  template <class T>
  void operator()(const T&) const {}
};

}  // namespace steepest

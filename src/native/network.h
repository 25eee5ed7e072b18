// A net as a list of nodes over one block of memory: what one minibatch passes through.
//
// Every matrix lies in the network's arena, row by row, each row on 64 bytes and padded with zeros to a
// whole number of vectors. Activations are (batch, width), one row for a row of the minibatch; weights are
// (in, out), the transpose of PyTorch's, so that what a step adds to row k comes from input k alone. Where
// a gradient flows back through a linear layer, W^T is kept beside W and moved with it, unless minibatches are of
// few rows. Nodes point at each other's memory and at each other, so a network is never copied.

#pragma once

#include <cstdint>
#include <list>
#include <utility>
#include <variant>
#include <vector>

#include "arena.h"
#include "images.h"
#include "kernels.h"

namespace steepest {

// What a node is, before it has memory. Fields that its kind does not have are not read.
struct NodeSpec {
  enum class Kind : int {
    kLinear,
    kActivate,
    kParametric,
    kPrelu,
    kScaling,
    kPeriodic,
    kCategories,
    kView,
    kMemberScaling,
    kHeads,
    kDropout,
    kBatchNorm,
    kLayerNorm,
    kBranch,
    kShortcut,
    kJoin,
    kToImages,
    kToRows,
    kConvolution,
    kMaxPool,
    kMeanPool,
    kPad,
    kImageNorm,
    kGroupNorm,
    kChannelDropout
  };
  Kind kind;
  int inputs, outputs;  // of a linear layer; frequencies and numbers of an embedding
  int members;          // of a view
  Activation activation;
  float slope;               // of LeakyReLU
  double probability;        // of dropout and stochastic depth
  float eps, momentum;       // of a normalisation; of batch norm's running statistics
  bool learned;              // whether there is a bias, gamma and beta, or of PReLU a number for each unit
  uint32_t purpose;          // of the random numbers: stream << 8 | purpose
  std::vector<int> columns;  // that are embedded; of categories each one's first and that beyond its last
  Geometry geometry;         // of images
};

using Node = std::variant<Linear, Activate, Parametric, Scaling, Periodic, Categories, View, MemberScaling,
                          Dropout, BatchNorm, LayerNorm, Branch, Join, Interleave, Convolution, Pool, Pad,
                          ImageNorm, GroupNorm, ChannelDropout>;

// One function for each kind of node, for std::visit.
template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

// The distance of two rows of a matrix, in floats.
size_t stride_of(int columns, size_t unit = 16);

// How many numbers a node drops, and what the others are multiplied by for it.
void set_probability(Dropout&, double probability);
void set_probability(ChannelDropout&, double probability);

// What is kept of a parameter.
enum class Slot : int { kValue, kFirstMoment, kSecondMoment, kEma };

// Which memory a parameter has beside its value, and whether a gradient flows back through the nodes.
struct Kept {
  bool first_moment, second_moment, ema, gradient;
  bool back = true;
  const Bf16Kernels* bf16 = nullptr;  // of linear layers, where their products are of bfloat16
};

class Network {
 public:
  // lanes: floats in a vector of the kernels.
  Network(const std::vector<NodeSpec>&, int features, int batch, int lanes, const Kept&);
  Network(const Network&) = delete;

  // What the statistics of a linear layer or a convolution look at: its activation's values, or its own. Of
  // images `planes` has channels, and a row of the values is a block of them.
  struct Watched {
    const Linear* layer;  // null for a convolution
    const Parameter* weight;
    Matrix values;
    int width;
    Activation activation;
    int copies;
    Planes planes;
  };

  // Whether a row of a node's matrices is a block of images.
  bool of_images(size_t node) const { return planes[node].channels > 0; }

  // Which rows of a node's matrices belong to rows first .. last-1 of the minibatch.
  std::pair<int, int> span(size_t node, int first, int last) const {
    if (of_images(node)) return {first / lanes, (last + lanes - 1) / lanes};
    return {first * copies[node], last * copies[node]};
  }
  // Where the nodes end that take images, from this one on. Of a batch norm there it and what is behind it
  // need all blocks of the minibatch.
  size_t images_until(size_t node) const;

  Matrix inputs;  // (batch, features)
  std::vector<Node> nodes;
  std::vector<int> copies;     // of each row of the minibatch that a node takes: the members behind a view
  std::vector<Planes> planes;  // of each node: the images that it takes or makes; else no channels
  int lanes;
  Chunks chunks;                       // in which the gradients of filters are summed
  size_t scratch_floats = 0;           // that a thread needs for blocks of images
  int members = 1;                     // copies of each row of the logits
  std::vector<Parameter*> parameters;  // in the order of the nodes; batch norm's running ones too
  std::vector<Watched> watched;        // one for each linear layer and convolution, in order
  Matrix logits, logits_gradient;
  int classes;

  // PyTorch's layout: (out, in), or a vector.
  void write(int parameter, Slot, const float* values);
  void read(int parameter, Slot, float* values) const;

  // All that is learned, slot after slot and in each parameter after parameter; of what a parameter does not
  // keep there is nothing. `load` forgets what was in memory before, and with it what is not finite.
  size_t state_size() const;
  void load(const float* state);
  void store(float* state) const;

 private:
  void write(const Parameter&, Slot, const float* values);
  static void read(const Parameter&, Slot, float* values);

  template <class F>
  size_t walk(const F&) const;
  class Builder;
  const Bf16Kernels* bf16_;
  Arena arena_;
  Tables tables_;
  std::list<std::vector<int>> columns_;  // that nodes point at
  std::list<Parameter> stacked_;         // parameters made of those of several nodes
  std::list<std::vector<Parameter*>> parts_;
};

}  // namespace steepest

// A net as a list of nodes over one block of memory: what one minibatch passes through.

#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "arena.h"
#include "kernels.h"

namespace steepest {

// What a node of a plan is, before it has memory. Fields that a kind does not have are not read.
struct NodeSpec {
  enum class Kind : int { kLinear, kActivate, kDropout, kBatchNorm, kLayerNorm, kBranch, kJoin };
  Kind kind;
  int in, out;
  Activation activation;
  double number;     // LeakyReLU's slope; the probability of dropout and stochastic depth; eps
  double momentum;   // of batch norm's running statistics
  bool learned;      // whether there is a bias, or gamma and beta
  uint32_t purpose;  // of the random numbers
};

// The beginning of the residual block that ends at `join`.
struct Branch {
  const Join* join;
};

using Node = std::variant<Linear, Activate, Dropout, BatchNorm, LayerNorm, Branch, Join>;

// What the optimizer keeps.
struct Kept {
  bool first, second, average, gradient;
};

class Network {
 public:
  Network(const std::vector<NodeSpec>&, int features, int batch, const Kept&);

  // What the statistics of a linear layer look at: its activation's values, or its own.
  struct Watched {
    const Linear* layer;
    Matrix values;
    Activation activation;
  };

  Matrix inputs;  // (batch, features)
  std::vector<Node> nodes;
  std::vector<Parameter*> parameters;  // in the order of the nodes; batch norm's running ones too
  std::vector<Watched> watched;
  Matrix logits, logits_gradient;
  int classes;

  // PyTorch's layout: (out, in), or a vector.
  void write(int parameter, int what, const float* values);
  void read(int parameter, int what, float* values) const;

 private:
  struct Value;
  void build(const std::vector<NodeSpec>&, int features, int batch, const Kept&);
  Matrix matrix(int columns, int batch);
  void learn(Parameter&, int rows, int columns, bool matrix, const Kept&);

  Arena arena_;
};

}  // namespace steepest

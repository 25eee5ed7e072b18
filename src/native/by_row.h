// The forward pass of the nodes that do the same in training and in inference, to each row by itself.

#pragma once

#include "kernels.h"
#include "network.h"

namespace steepest {

// Stands in an Overloaded beside functions for the other kinds of nodes.
struct ByRow {
  const Kernels& kernels;
  int first_row, last_row;  // of the minibatch
  int begin, end;           // of the node's matrices, which may have a row for each member

  void operator()(const Activate& layer) const { kernels.activate(layer, begin, end); }
  void operator()(const Parametric& layer) const { kernels.parametric(layer, begin, end); }
  void operator()(const Scaling& layer) const { kernels.scaling(layer, begin, end); }
  void operator()(const Periodic& layer) const { kernels.periodic(layer, begin, end); }
  void operator()(const Categories& layer) const { kernels.categories(layer, begin, end); }
  void operator()(const View& layer) const { kernels.view(layer, first_row, last_row); }
  void operator()(const MemberScaling& layer) const { kernels.member_scaling(layer, begin, end); }
  void operator()(const LayerNorm& layer) const { kernels.layer_norm(layer, begin, end); }
  void operator()(const Branch&) const {}
};

}  // namespace steepest

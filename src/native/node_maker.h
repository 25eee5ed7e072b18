// What nodes are made with: their memory, in the order in which they take it, and what flows between them.

#pragma once

#include "network.h"

namespace steepest {

// What flows between two nodes. exclusive: no node but the next one reads it, not on the way back either,
// so an activation may work in place.
struct Value {
  int width;
  Matrix data, gradient;
  bool has_gradient, exclusive;
  Planes planes{};  // of images, of which a row is a block; else no channels
  bool images() const { return planes.channels > 0; }
};

// The part of a network's builder that every kind of node needs.
class NodeMaker {
 protected:
  NodeMaker(Network& network, Arena& arena, Tables& tables, int batch, const Kept& kept)
      : network_(network),
        arena_(arena),
        tables_(tables),
        batch_(batch),
        blocks_((batch + network.lanes - 1) / network.lanes),
        kept_(kept) {}

  template <class T>
  T& make() {
    network_.copies.push_back(copies_);
    network_.planes.push_back(value_.planes);
    return std::get<T>(network_.nodes.emplace_back(T{}));
  }

  // From the value so far through the node to `out`, and back.
  template <class T>
  void connect(T& node, const Value& out) {
    node.x = value_.data;
    node.dx = value_.gradient;
    node.y = out.data;
    node.dy = out.gradient;
    value_ = out;
  }

  Value produce(int width, bool has_gradient) {
    Value made{width, matrix(width), {}, has_gradient, true};
    if (has_gradient) made.gradient = matrix(width);
    return made;
  }

  Value produce_images(const Planes& planes, bool has_gradient) {
    const size_t floats = planes.channels * planes.stride, stride = stride_of(static_cast<int>(floats));
    Value made{static_cast<int>(floats), {}, {}, has_gradient, true, planes};
    made.data = {arena_.take(stride * blocks_), stride};
    if (has_gradient) made.gradient = {arena_.take(stride * blocks_), stride};
    return made;
  }

  // A value of the same form.
  Value like(const Value& value, bool has_gradient) {
    return value.images() ? produce_images(value.planes, has_gradient) : produce(value.width, has_gradient);
  }

  // Memory for a value's gradient beside the one that it has.
  Matrix gradient_like(const Value& value) {
    if (!value.images()) return matrix(value.width);
    return {arena_.take(value.data.stride * blocks_), value.data.stride};
  }

  Matrix matrix(int columns) {
    const size_t stride = stride_of(columns);
    return {arena_.take(stride * batch_ * copies_), stride};
  }

  int next_parameter() const { return static_cast<int>(network_.parameters.size()); }

  // matrix: the weights of a linear layer, whose gradient need not be in memory.
  void learn(Parameter& p, int rows, int columns, bool matrix) {
    p.rows = rows;
    p.columns = columns;
    p.value.stride = stride_of(columns);
    // Vectors of the last rows may reach past the end: a margin of zeros lies behind.
    const size_t floats = p.value.stride * rows;
    p.value.data = arena_.take(floats + (matrix ? 64 * p.value.stride : 0));
    if (kept_.first_moment) p.first_moment = arena_.take(floats);
    if (kept_.second_moment) p.second_moment = arena_.take(floats);
    if (kept_.ema) p.ema = arena_.take(floats);
    if (kept_.gradient || !matrix) p.gradient = arena_.take(floats);
    network_.parameters.push_back(&p);
  }

  // A parameter of PyTorch's layout, whose gradient is always in memory.
  void learn_rows(Parameter& p, int rows, int columns) {
    learn(p, rows, columns, false);
    p.transposed = false;
  }

  // The statistics of the linear layer before an activation look at its values.
  void watch(Activation activation) {
    if (network_.watched.empty()) return;
    Network::Watched& watched = network_.watched.back();
    watched.values = value_.data;
    watched.width = value_.width;
    watched.planes = value_.planes;
    watched.copies = copies_;
    watched.activation = activation;
  }

  Network& network_;
  Arena& arena_;
  Tables& tables_;
  int batch_, blocks_;  // rows of the minibatch, and of images
  int copies_ = 1;      // of each row, behind a view
  Kept kept_;
  Value value_;  // what the node to come reads
};

}  // namespace steepest

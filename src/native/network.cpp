#include "network.h"

#include <cstring>
#include <utility>

namespace steepest {
namespace {

// Rows of 64 bytes; a distance that is a multiple of 1 KiB would crowd few sets of the caches.
size_t stride_of(int columns, size_t unit = 16) {
  const size_t floats = (static_cast<size_t>(columns) + unit - 1) / unit * unit;
  return floats % 256 == 0 ? floats + unit : floats;
}

bool needs_pre(Activation kind) {
  return kind == Activation::kGelu || kind == Activation::kGeluTanh || kind == Activation::kSilu ||
         kind == Activation::kLeakyRelu;
}

uint32_t threshold_of(double probability) { return static_cast<uint32_t>(probability * 4294967296.0); }

}  // namespace

// What flows between two nodes. exclusive: no node but the next one reads it, not on the way back either,
// so an activation may work in place.
struct Network::Value {
  int width;
  Matrix data, gradient;
  bool has_gradient, exclusive;
};

Network::Network(const std::vector<NodeSpec>& specs, int features, int batch, const Kept& kept) {
  build(specs, features, batch, kept);
  arena_.allocate();
  build(specs, features, batch, kept);
}

Matrix Network::matrix(int columns, int batch) {
  const size_t stride = stride_of(columns);
  return {arena_.take(stride * batch), stride};
}

void Network::learn(Parameter& p, int rows, int columns, bool matrix, const Kept& kept) {
  p.rows = rows;
  p.columns = columns;
  p.value.stride = stride_of(columns);
  // Vectors of the last rows may reach past the end: a margin of zeros lies behind.
  const size_t floats = p.value.stride * rows;
  p.value.data = arena_.take(floats + (matrix ? 64 * p.value.stride : 0));
  if (kept.first) p.first = arena_.take(floats);
  if (kept.second) p.second = arena_.take(floats);
  if (kept.average) p.average = arena_.take(floats);
  if (kept.gradient || !matrix) p.gradient = arena_.take(floats);
}

void Network::build(const std::vector<NodeSpec>& specs, int features, int batch, const Kept& kept) {
  nodes.clear();
  parameters.clear();
  watched.clear();
  nodes.reserve(specs.size());  // nodes point at each other
  inputs.stride = stride_of(features, 64);
  inputs.data = arena_.take(inputs.stride * batch + 64);
  Value value{features, inputs, {}, false, false};
  std::vector<Value> branches;
  std::vector<size_t> branch_nodes;

  const auto produce = [&](int width, bool has_gradient) {
    Value made{width, matrix(width, batch), {}, has_gradient, true};
    if (has_gradient) made.gradient = matrix(width, batch);
    return made;
  };
  const auto vector = [&](Parameter& p, int size) {
    learn(p, 1, size, false, kept);
    parameters.push_back(&p);
  };

  for (const NodeSpec& spec : specs) {
    switch (spec.kind) {
      case NodeSpec::Kind::kLinear: {
        Linear& node = std::get<Linear>(nodes.emplace_back(Linear{}));
        node.in = spec.in;
        node.out = spec.out;
        learn(node.weight, spec.in, spec.out, true, kept);
        parameters.push_back(&node.weight);
        if (spec.learned) vector(node.bias, spec.out);
        if (value.has_gradient) {
          node.transpose.stride = stride_of(spec.in);
          node.transpose.data = arena_.take(node.transpose.stride * (spec.out + 1));
        }
        const Value out = produce(spec.out, true);
        node.x = value.data;
        node.dx = value.gradient;
        node.z = out.data;
        node.dz = out.gradient;
        watched.push_back({&node, out.data, Activation::kIdentity});
        value = out;
        break;
      }
      case NodeSpec::Kind::kActivate: {
        Activate& node = std::get<Activate>(nodes.emplace_back(Activate{}));
        node.kind = spec.activation;
        node.slope = static_cast<float>(spec.number);
        node.width = value.width;
        const bool in_place = value.exclusive && value.has_gradient && !needs_pre(spec.activation);
        Value out = in_place ? value : produce(value.width, value.has_gradient);
        out.exclusive = false;  // its derivative reads it again
        node.z = value.data;
        node.dz = value.gradient;
        node.a = out.data;
        node.da = out.gradient;
        if (!watched.empty()) {
          watched.back().values = out.data;
          watched.back().activation = spec.activation;
        }
        value = out;
        break;
      }
      case NodeSpec::Kind::kDropout: {
        Dropout& node = std::get<Dropout>(nodes.emplace_back(Dropout{}));
        node.width = value.width;
        node.threshold = threshold_of(spec.number);
        node.scale = static_cast<float>(1.0 / (1.0 - spec.number));
        node.purpose = spec.purpose;
        Value out = produce(value.width, value.has_gradient);
        out.exclusive = false;
        node.mask = matrix(value.width, batch);
        node.x = value.data;
        node.dx = value.gradient;
        node.y = out.data;
        node.dy = out.gradient;
        value = out;
        break;
      }
      case NodeSpec::Kind::kBatchNorm: {
        BatchNorm& node = std::get<BatchNorm>(nodes.emplace_back(BatchNorm{}));
        node.width = value.width;
        node.eps = static_cast<float>(spec.number);
        node.momentum = static_cast<float>(spec.momentum);
        if (spec.learned) vector(node.gamma, value.width);
        if (spec.learned) vector(node.beta, value.width);
        vector(node.mean, value.width);
        vector(node.variance, value.width);
        node.inverse = arena_.take(stride_of(value.width));
        node.normalised = matrix(value.width, batch);
        const Value out = produce(value.width, value.has_gradient || spec.learned);
        node.x = value.data;
        node.dx = value.gradient;
        node.y = out.data;
        node.dy = out.gradient;
        value = out;
        break;
      }
      case NodeSpec::Kind::kLayerNorm: {
        LayerNorm& node = std::get<LayerNorm>(nodes.emplace_back(LayerNorm{}));
        node.width = value.width;
        node.eps = static_cast<float>(spec.number);
        if (spec.learned) vector(node.gamma, value.width);
        if (spec.learned) vector(node.beta, value.width);
        node.inverse = arena_.take(batch);
        node.normalised = matrix(value.width, batch);
        const Value out = produce(value.width, value.has_gradient || spec.learned);
        node.x = value.data;
        node.dx = value.gradient;
        node.y = out.data;
        node.dy = out.gradient;
        value = out;
        break;
      }
      case NodeSpec::Kind::kBranch: {
        branch_nodes.push_back(nodes.size());
        nodes.emplace_back(Branch{});
        value.exclusive = false;
        branches.push_back(value);
        break;
      }
      case NodeSpec::Kind::kJoin: {
        Join& node = std::get<Join>(nodes.emplace_back(Join{}));
        const Value start = branches.back();
        branches.pop_back();
        std::get<Branch>(nodes[branch_nodes.back()]).join = &node;
        branch_nodes.pop_back();
        node.width = value.width;
        node.threshold = threshold_of(spec.number);
        node.kept = static_cast<float>(1.0 / (1.0 - spec.number));
        node.purpose = spec.purpose;
        node.scale = arena_.take(batch);
        Value out = produce(value.width, value.has_gradient || start.has_gradient);
        out.exclusive = false;
        node.x = start.data;
        node.dx = start.gradient;
        node.f = value.data;
        node.df = value.gradient;
        node.y = out.data;
        node.dy = out.gradient;
        value = out;
        break;
      }
    }
  }
  logits = value.data;
  logits_gradient = value.gradient;
  classes = value.width;
}

namespace {

float* memory_of(const Parameter& p, int what) {
  return what == 0 ? p.value.data : what == 1 ? p.first : what == 2 ? p.second : p.average;
}

}  // namespace

void Network::write(int parameter, int what, const float* values) {
  const Parameter& p = *parameters[parameter];
  float* to = memory_of(p, what);
  for (int k = 0; k < p.rows; ++k) {
    for (int n = 0; n < p.columns; ++n) to[k * p.value.stride + n] = values[size_t(n) * p.rows + k];
  }
  if (what != 0) return;
  for (Node& node : nodes) {
    Linear* linear = std::get_if<Linear>(&node);
    if (!linear || &linear->weight != &p || !linear->transpose.data) continue;
    for (int n = 0; n < linear->out; ++n) {
      std::memcpy(linear->transpose.row(n), values + size_t(n) * linear->in, sizeof(float) * linear->in);
    }
  }
}

void Network::read(int parameter, int what, float* values) const {
  const Parameter& p = *parameters[parameter];
  const float* from = memory_of(p, what);
  for (int k = 0; k < p.rows; ++k) {
    for (int n = 0; n < p.columns; ++n) values[size_t(n) * p.rows + k] = from[k * p.value.stride + n];
  }
}

}  // namespace steepest

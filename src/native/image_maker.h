// The nodes of images.

#pragma once

#include <algorithm>

#include "node_maker.h"

namespace steepest {

class ImageMaker : protected NodeMaker {
 protected:
  using NodeMaker::NodeMaker;

  void add_interleave(const NodeSpec& spec) {
    const Geometry& g = spec.geometry;
    Interleave& node = make<Interleave>();
    node.to_images = spec.kind == NodeSpec::Kind::kToImages;
    node.planes = node.to_images ? planes_of(g.channels, g.height, g.width, network_.lanes) : value_.planes;
    network_.planes.back() = node.planes;
    const Value out = node.to_images ? produce_images(node.planes, value_.has_gradient)
                                     : produce(g.channels * g.height * g.width, value_.has_gradient);
    const Value &rows = node.to_images ? value_ : out, &images = node.to_images ? out : value_;
    node.rows = rows.data;
    node.drows = rows.gradient;
    node.images = images.data;
    node.dimages = images.gradient;
    value_ = out;
  }

  void add_convolution(const NodeSpec& spec) {
    Convolution& node = make<Convolution>();
    describe(node, spec.geometry, network_.lanes, tables_);
    node.first_parameter = next_parameter();
    node.index = static_cast<int>(network_.watched.size());
    learn_rows(node.weight, node.to.channels, node.from.channels / node.groups * node.taps);
    if (spec.learned) learn_rows(node.bias, 1, node.to.channels);
    const int in = node.from.channels / node.groups;
    node.by_output.data = arena_.take(node.by_output.stride * (in * node.taps + 1));
    if (value_.has_gradient)
      node.by_input.data = arena_.take(node.by_input.stride * (node.to.channels * node.taps + 1));
    if (kept_.back) {
      const size_t chunks = size_t(network_.chunks.count);
      node.weight_parts = arena_.take(chunks * node.weight.value.stride * node.to.channels);
      node.bias_parts = spec.learned ? arena_.take(chunks * node.bias.value.stride) : nullptr;
    }
    network_.scratch_floats = std::max(network_.scratch_floats, steepest::scratch_floats(node));
    const Value out = produce_images(node.to, kept_.back);
    node.x = value_.data;
    node.dx = value_.gradient;
    node.z = out.data;
    node.dz = out.gradient;
    value_ = out;
    network_.watched.push_back(
        {nullptr, &node.weight, out.data, out.width, Activation::kIdentity, copies_, out.planes});
  }

  void add_pool(const NodeSpec& spec) {
    Pool& node = make<Pool>();
    describe(node, spec.geometry, network_.lanes, tables_);
    node.mean = spec.kind == NodeSpec::Kind::kMeanPool;
    Value out = produce_images(node.to, value_.has_gradient);
    out.exclusive = node.mean;  // of a largest number the way back reads it
    connect(node, out);
  }

  void add_pad(const NodeSpec& spec) {
    Pad& node = make<Pad>();
    describe(node, spec.geometry, network_.lanes, tables_);
    connect(node, produce_images(node.to, value_.has_gradient));
  }

  void add_channel_dropout(const NodeSpec& spec) {
    ChannelDropout& node = make<ChannelDropout>();
    node.planes = value_.planes;
    set_probability(node, spec.probability);
    node.purpose = spec.purpose;
    node.mask = arena_.take(size_t(value_.planes.channels) * network_.lanes * blocks_);
    Value out = like(value_, value_.has_gradient);
    out.exclusive = false;
    connect(node, out);
  }

  void add_image_norm(const NodeSpec& spec) {
    ImageNorm& node = make<ImageNorm>();
    const int channels = value_.planes.channels;
    node.planes = value_.planes;
    node.eps = spec.eps;
    node.momentum = spec.momentum;
    node.first_parameter = next_parameter();
    if (spec.learned) {
      learn(node.gamma, 1, channels, false);
      learn(node.beta, 1, channels, false);
    }
    learn(node.mean, 1, channels, false);
    learn(node.variance, 1, channels, false);
    const size_t numbers = size_t(2) * channels * blocks_;
    node.parts = reinterpret_cast<double*>(arena_.take(2 * numbers));
    node.back_parts = reinterpret_cast<double*>(arena_.take(2 * numbers));
    node.center = arena_.take(channels);
    node.inverse = arena_.take(channels);
    node.sums = arena_.take(size_t(2) * channels);
    connect(node, like(value_, value_.has_gradient || (spec.learned && kept_.back)));
  }

  void add_group_norm(const NodeSpec& spec) {
    GroupNorm& node = make<GroupNorm>();
    const int channels = value_.planes.channels;
    node.planes = value_.planes;
    node.groups = spec.geometry.groups;
    node.eps = spec.eps;
    node.first_parameter = next_parameter();
    if (spec.learned) {
      learn(node.gamma, 1, channels, false);
      learn(node.beta, 1, channels, false);
    }
    const size_t statistics = size_t(node.groups) * network_.lanes * blocks_;
    node.center = arena_.take(statistics);
    node.inverse = arena_.take(statistics);
    if (kept_.back) node.parts = reinterpret_cast<double*>(arena_.take(size_t(4) * channels * blocks_));
    connect(node, like(value_, value_.has_gradient || (spec.learned && kept_.back)));
  }
};

}  // namespace steepest

#include "inference.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <thread>

#include "by_block.h"
#include "by_row.h"

namespace steepest {
namespace {

// Rows: their activations and a panel of the weights share the second cache. Images are much larger, and pass in
// whole vectors of few.
constexpr int kBlock = 128, kImageBlock = 32;

int rows_at_once(const std::vector<NodeSpec>& nodes) {
  const bool images = std::any_of(nodes.begin(), nodes.end(),
                                  [](const NodeSpec& node) { return node.kind == NodeSpec::Kind::kToImages; });
  return images ? kImageBlock : kBlock;
}

std::vector<NodeSpec> without_chance(std::vector<NodeSpec> nodes) {
  std::erase_if(nodes, [](const NodeSpec& node) {
    return node.kind == NodeSpec::Kind::kDropout || node.kind == NodeSpec::Kind::kChannelDropout;
  });
  for (NodeSpec& node : nodes) {
    if (node.kind == NodeSpec::Kind::kJoin) node.probability = 0;
  }
  return nodes;
}

int threads_for(int wanted, int64_t rows, int at_once) {
  return int(std::max<int64_t>(1, std::min<int64_t>(wanted, (rows + at_once - 1) / at_once)));
}

Kept nothing_kept() {
  Kept kept{};
  kept.back = false;
  return kept;
}

// By the running statistics, whose 1 / sqrt(variance + eps) is in `inverse`.
void batch_norm(const BatchNorm& layer, int begin, int end) {
  const float *mean = layer.mean.value.data, *gamma = layer.gamma.value.data, *beta = layer.beta.value.data;
  for (int m = begin; m < end; ++m) {
    const float* x = layer.x.row(m);
    float* y = layer.y.row(m);
    for (int n = 0; n < layer.width; ++n) {
      const float normalised = (x[n] - mean[n]) * layer.inverse[n];
      y[n] = gamma ? gamma[n] * normalised + beta[n] : normalised;
    }
  }
}

}  // namespace

Inference::Inference(const std::vector<NodeSpec>& nodes, int features, int threads, int64_t rows,
                     const Kernels& kernels)
    : kernels_(kernels),
      at_once_(rows_at_once(nodes)),
      threads_(threads_for(threads, rows, at_once_)),
      block_(int(std::min<int64_t>(at_once_, rows)) * threads_),
      network_(without_chance(nodes), features, block_, kernels.width, nothing_kept()) {
  for (int t = 0; t < threads_; ++t) scratch_.emplace_back(network_.scratch_floats);
}

void Inference::begin(const Data& data) {
  coding_.reset();
  Linear* first = std::get_if<Linear>(&network_.nodes.front());
  if (first) first->piecewise = nullptr;
  if (Coding::fits(network_.nodes, network_.inputs, data.source, block_)) {
    coding_.emplace(*data.source.piecewise, block_);
    first->piecewise = &coding_->rows();
  }
  for (const Node& node : network_.nodes) {
    const BatchNorm* norm = std::get_if<BatchNorm>(&node);
    for (int n = 0; norm && n < norm->width; ++n) {
      norm->inverse[n] = 1.0f / std::sqrt(norm->variance.value.data[n] + norm->eps);
    }
    const ImageNorm* images = std::get_if<ImageNorm>(&node);
    for (int c = 0; images && c < images->planes.channels; ++c) {
      images->center[c] = images->mean.value.data[c];
      images->inverse[c] = 1.0f / std::sqrt(images->variance.value.data[c] + images->eps);
    }
  }
}

void Inference::run(const Data& data, float* outputs) {
  begin(data);
  const int64_t rows = int64_t(data.samples);
  std::atomic<int64_t> next{0};
  const auto work = [&](int thread) {
    for (int64_t first; (first = next.fetch_add(at_once_)) < rows;) {
      take(data, first, std::min<int64_t>(rows, first + at_once_), thread * at_once_, outputs);
    }
  };
  std::vector<std::thread> others;
  for (int t = 1; t < threads_; ++t) others.emplace_back(work, t);
  work(0);
  for (std::thread& other : others) other.join();
}

// Rows first .. last-1 of the data, by the rows from `begin` on of the network's block.
void Inference::take(const Data& data, int64_t first, int64_t last, int begin, float* outputs) {
  const int end = begin + int(last - first);
  for (int m = begin; m < end; ++m) {
    const size_t row = data.row(size_t(first + m - begin));
    if (coding_) {
      coding_->put(data.source, row, m);
    } else {
      kernels_.gather(data.source, row, network_.inputs.row(m));
    }
  }
  forward(begin, end, scratch_[begin / at_once_].data());
  const size_t classes = size_t(network_.classes), members = size_t(network_.members);
  for (size_t i = 0; i < size_t(last - first) * members; ++i) {
    std::memcpy(outputs + (size_t(first) * members + i) * classes, network_.logits.row(begin * members + i),
                sizeof(float) * classes);
  }
}

void Inference::forward(int first_row, int last_row, float* scratch) {
  for (size_t i = 0; i < network_.nodes.size(); ++i) {
    if (const size_t until = network_.images_until(i); until > i) {
      forward_images(i, until, first_row, last_row, scratch);
      i = until - 1;
      continue;
    }
    const auto [begin, end] = network_.span(i, first_row, last_row);
    std::visit(Overloaded{
                   ByRow{kernels_, first_row, last_row, begin, end},
                   [&](const Linear& layer) { kernels_.linear(layer, begin, end); },
                   [](const Dropout&) {},
                   [&](const BatchNorm& layer) { batch_norm(layer, begin, end); },
                   [&](const Join& layer) { kernels_.join(layer, 0, 0, begin, end); },
                   [](const auto&) {},  // of images
               },
               network_.nodes[i]);
  }
}

void Inference::forward_images(size_t from, size_t until, int first_row, int last_row, float* scratch) {
  const ImageKernels& kernels = *kernels_.images;
  const auto forward = [&](size_t i, const Block& block) {
    const ByBlock by_block{kernels_, scratch, network_.planes[i], block};
    const auto normalise = [&](const ImageNorm& layer) {
      kernels.normalise(layer, block.number, block.first, block.last);
    };
    const auto join = [&](const Join& layer) { kernels.join(layer, 0, 0, block.number); };
    std::visit(Overloaded{by_block, normalise, join}, network_.nodes[i]);
  };
  for (int row = first_row; row < last_row; row += network_.lanes) {
    const Block block{row / network_.lanes, std::min(network_.lanes, last_row - row), 0, 0};
    for_nodes(network_, from, until, false, block, forward);
  }
}

}  // namespace steepest

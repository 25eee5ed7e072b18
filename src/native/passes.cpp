// A minibatch's way through the nodes, forwards and backwards: what each thread does with its rows.

#include <algorithm>

#include "trainer.h"

namespace steepest {

// The inputs and targets of rows begin .. end-1.
void Trainer::prepare(const Step& step, int thread, int begin, int end) {
  for (int m = begin; m < end; ++m) {
    float* x = network_.inputs.row(m);
    prefetch(step.first + m + settings_.order.batch_size);
    if (coding_) {
      coding_->put(data_.source, data_.row(order_[step.first + m]), m);
    } else {
      input(step, m, x);
    }
    targets_[m] = second_targets_[m] = target(step.first + m);
    if (data_.weights) row_weights_[m] = data_.weights[order_[step.first + m]];
    if (step.mixed) {  // with the next row: the order is random already
      const int partner = (m + 1) % step.batch;
      float* other = partners_[thread].data();
      input(step, partner, other);
      second_targets_[m] = target(step.first + partner);
      if (step.boxed) {
        paste(settings_.augmentation.image, step.box, other, x);
      } else {
        kernels_.mix(x, other, step.share, data_.source.features);
      }
    }
    if (sparse_) kernels_.nonzero_bits(x, words_, &bits_[size_t(m) * words_]);
  }
}

// The class of the row at this place of the epoch, or which row of the labels is its own.
int64_t Trainer::target(int64_t place) const {
  return data_.labels ? int64_t(order_[place]) : data_.targets[order_[place]];
}

void Trainer::input(const Step& step, int m, float* x) const {
  kernels_.gather(data_.source, data_.row(order_[step.first + m]), x);
  augment(settings_.augmentation, kernels_, settings_.order.seed, step.number, m, x);
}

// Brings the row of a step to come into the cache: rows lie anywhere in memory.
void Trainer::prefetch(int64_t place) const {
  if (place >= int64_t(data_.samples)) return;
  const int64_t sample = order_[place];
  const char* row = static_cast<const char*>(data_.source.data) + data_.row(sample) * data_.source.row_bytes;
  const Piecewise* columns = data_.source.piecewise;
  const int kept = columns ? columns->plain + 2 * columns->features : data_.source.features;
  const size_t bytes = size_t(kept) * (data_.source.bytes ? 1 : 4);
  for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(row + at);
  if (!data_.labels) __builtin_prefetch(&data_.targets[sample]);
}

void Trainer::forward(const Step& step, int thread, int begin, int end, Barrier& barrier) {
  for (const Node& node : network_.nodes) {
    std::visit(
        Overloaded{
            [&](const Linear& layer) {
      if (sparse_ && &node == &network_.nodes.front()) {
        kernels_.linear_sparse(layer, bits_.data(), words_, begin, end);
      } else {
        kernels_.linear(layer, begin, end);
      }
    },
            [&](const Activate& layer) { kernels_.activate(layer, begin, end); },
            [&](const Parametric& layer) { kernels_.parametric(layer, begin, end); },
            [&](const Scaling& layer) { kernels_.scaling(layer, begin, end); },
            [&](const Periodic& layer) { kernels_.periodic(layer, begin, end); },
            [&](const Categories& layer) { kernels_.categories(layer, begin, end); },
            [&](Dropout layer) {  // a copy: its probability may be of this step alone
      if (step.factors.dropout != 1) set_probability(layer, layer.probability * step.factors.dropout);
      kernels_.dropout(layer, settings_.order.seed, step.number, begin, end);
    },
            [&](const BatchNorm& layer) {
      barrier.wait();
      const auto [first, last] = share(layer.width, thread, threads_, kernels_.width);
      kernels_.batch_norm(layer, step.batch, first, last);
      barrier.wait();
    },
            [&](const LayerNorm& layer) { kernels_.layer_norm(layer, begin, end); },
            [](const Branch&) {},
            [&](const Join& layer) { kernels_.join(layer, settings_.order.seed, step.number, begin, end); },
        },
        node);
  }
  const LossSettings& settings = settings_.loss;
  const Loss loss{settings.binary ? 2 : network_.classes,
                  data_.labels,
                  settings.pos_weight,
                  targets_.data(),
                  second_targets_.data(),
                  step.share,
                  float(settings.label_smoothing * step.factors.label_smoothing),
                  data_.weights ? row_weights_.data() : nullptr,
                  settings.class_weights.empty() ? nullptr : settings.class_weights.data(),
                  settings.class_weight_sum,
                  step.scale,
                  step.loss_scale};
  const auto compute = data_.labels      ? kernels_.label_loss
                       : settings.binary ? kernels_.sigmoid_loss
                                         : kernels_.softmax_loss;
  compute(loss, network_.logits, network_.logits_gradient, begin, end, losses_.data(), correct_.data());
}

void Trainer::back(const Step& step, int thread, int begin, int end, Barrier& barrier) {
  for (auto node = network_.nodes.rbegin(); node != network_.nodes.rend(); ++node) {
    std::visit(Overloaded{
                   [&](const Linear& layer) { kernels_.linear_back(layer, begin, end); },
                   [&](const Activate& layer) { kernels_.activate_back(layer, begin, end); },
                   [&](const Parametric& layer) { kernels_.parametric_back(layer, begin, end); },
                   [&](const Scaling& layer) { kernels_.scaling_back(layer, begin, end); },
                   [&](const Periodic& layer) { kernels_.periodic_back(layer, begin, end); },
                   [&](const Categories& layer) { kernels_.categories_back(layer, begin, end); },
                   [&](const Dropout& layer) { kernels_.dropout_back(layer, begin, end); },
                   [&](const BatchNorm& layer) {
      barrier.wait();
      const auto [first, last] = share(layer.width, thread, threads_, kernels_.width);
      kernels_.batch_norm_back(layer, step.batch, !step.opens, first, last);
      barrier.wait();
    },
                   [&](const LayerNorm& layer) { kernels_.layer_norm_back(layer, begin, end); },
                   [&](const Branch& branch) { kernels_.branch_back(*branch.join, begin, end); },
                   [&](const Join& layer) { kernels_.join_back(layer, begin, end); },
               },
               *node);
  }
}

}  // namespace steepest

// A minibatch's way through the nodes, forwards and backwards: what each thread does with its rows.

#include <algorithm>
#include <cmath>

#include "by_row.h"
#include "trainer.h"

namespace steepest {

// The inputs and targets of rows begin .. end-1; the targets once for each member.
void Trainer::prepare(const Step& step, int thread, int begin, int end) {
  for (int m = begin; m < end; ++m) {
    float* x = network_.inputs.row(m);
    prefetch(step.first + m + settings_.order.batch_size);
    if (is_ahead_) {
      std::copy_n(next_inputs_.data(), network_.inputs.stride, x);
    } else if (coding_) {
      coding_->put(data_.source, data_.row(order_[step.first + m]), m);
    } else {
      input(step, m, x, thread);
    }
    int64_t second = target(step.first + m);
    const int64_t first = second;
    if (step.mixed) {  // with the next row: the order is random already
      const int partner = (m + 1) % step.batch;
      float* other = partners_[thread].data();
      input(step, partner, other, thread);
      second = target(step.first + partner);
      if (step.boxed) {
        paste(settings_.augmentation.image, step.box, other, x);
      } else {
        kernels_.mix(x, other, step.share, data_.source.features);
      }
    }
    for (int row = m * network_.members; row < (m + 1) * network_.members; ++row) {
      targets_[row] = first;
      second_targets_[row] = second;
      if (data_.weights) row_weights_[row] = data_.weights[order_[step.first + m]];
    }
    if (sparse_) kernels_.nonzero_bits(x, words_, &bits_[size_t(m) * words_]);
  }
}

// The class of the row at this place of the epoch, or which row of the labels is its own.
int64_t Trainer::target(int64_t place) const {
  return data_.labels ? int64_t(order_[place]) : data_.targets[order_[place]];
}

void Trainer::input(const Step& step, int m, float* x, int thread) {
  kernels_.gather(data_.source, data_.row(order_[step.first + m]), x);
  augment(settings_.augmentation, kernels_, settings_.order.seed, step.number, m, x,
          spares_.empty() ? nullptr : spares_[thread].data());
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

void Trainer::forward(const Step& step, int thread, int first_row, int last_row, Barrier& barrier) {
  for (size_t i = 0; i < network_.nodes.size(); ++i) {
    if (const size_t until = network_.images_until(i); until > i) {
      forward_images(step, thread, i, until, first_row, last_row, barrier);
      i = until - 1;
      continue;
    }
    const Node& node = network_.nodes[i];
    const auto [begin, end] = network_.span(i, first_row, last_row);
    std::visit(Overloaded{
                   ByRow{kernels_, first_row, last_row, begin, end},
                   [&](const Linear& layer) {
      if (is_ahead_ && i == 0) {
        std::copy_n(next_outputs_.data(), layer.z.stride, layer.z.row(0));
      } else if (sparse_ && i == 0) {
        kernels_.linear_sparse(layer, bits_.data(), words_, begin, end);
      } else {
        kernels_.linear(layer, begin, end);
      }
    },
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
                   [&](const Join& layer) { kernels_.join(layer, settings_.order.seed, step.number, begin, end); },
                   [](const auto&) {},  // of images
               },
               node);
  }
  const int members = network_.members;
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
                  step.scale / float(members),
                  step.loss_scale};
  const auto compute = data_.labels      ? kernels_.label_loss
                       : settings.binary ? kernels_.sigmoid_loss
                                         : kernels_.softmax_loss;
  compute(loss, network_.logits, network_.logits_gradient, first_row * members, last_row * members, losses_.data(),
          correct_.data());
  for (int m = first_row; members > 1 && m < last_row; ++m) correct_[m * members] = is_right(m);
}

// Whether the mean of the members' probabilities is largest for the class of row m; where it may have several,
// above 1/2 for those of its own alone.
bool Trainer::is_right(int m) const {
  const int members = network_.members, classes = network_.classes;
  const int64_t target = targets_[m * members];
  double largest = -1;
  int likeliest = 0;
  for (int c = 0; c < classes; ++c) {
    double sum = 0;
    for (int k = 0; k < members; ++k) {
      const float* z = network_.logits.row(size_t(m) * members + k);
      double others = 0;  // the rest of the mass beside that of class c
      for (int j = 0; j < classes && !data_.labels && classes > 1; ++j) others += std::exp(double(z[j]) - z[c]);
      sum += data_.labels || classes == 1 ? 1 / (1 + std::exp(-double(z[c]))) : 1 / others;
    }
    const double mean = sum / members;
    if (classes == 1) return (mean > 0.5) == (target == 1);
    if (data_.labels && (mean > 0.5) != (data_.labels[target * classes + c] != 0)) return false;
    if (mean > largest) likeliest = c;
    largest = std::max(largest, mean);
  }
  return data_.labels || likeliest == target;
}

void Trainer::back(const Step& step, int thread, int first_row, int last_row, Barrier& barrier) {
  for (size_t i = network_.nodes.size(); i-- > 0;) {
    if (network_.of_images(i)) {
      const size_t last = i;
      while (i > 0 && network_.of_images(i - 1)) --i;
      back_images(step, thread, i, last + 1, first_row, last_row, barrier);
      continue;
    }
    const auto [begin, end] = network_.span(i, first_row, last_row);
    std::visit(Overloaded{
                   [&](const Linear& layer) { kernels_.linear_back(layer, begin, end); },
                   [&](const Activate& layer) { kernels_.activate_back(layer, begin, end); },
                   [&](const Parametric& layer) { kernels_.parametric_back(layer, begin, end); },
                   [&](const Scaling& layer) { kernels_.scaling_back(layer, begin, end); },
                   [&](const Periodic& layer) { kernels_.periodic_back(layer, begin, end); },
                   [&](const Categories& layer) { kernels_.categories_back(layer, begin, end); },
                   [&](const View& layer) { kernels_.view_back(layer, first_row, last_row); },
                   [&](const MemberScaling& layer) { kernels_.member_scaling_back(layer, begin, end); },
                   [&](const Dropout& layer) { kernels_.dropout_back(layer, begin, end); },
                   [&](const BatchNorm& layer) {
      barrier.wait();
      const auto [first, last] = share(layer.width, thread, threads_, kernels_.width);
      kernels_.batch_norm_back(layer, step.batch, !step.opens, first, last);
      barrier.wait();
    },
                   [&](const LayerNorm& layer) { kernels_.layer_norm_back(layer, begin, end); },
                   [&](const Branch& layer) { kernels_.branch_back(layer, begin, end); },
                   [&](const Join& layer) { kernels_.join_back(layer, begin, end); },
                   [](const auto&) {},  // of images
               },
               network_.nodes[i]);
  }
}

}  // namespace steepest

// What a step does, by all threads together.
//
// Each thread takes rows of the minibatch, from their inputs to dL/dZ of every layer; a barrier; then
// rows of the weights, each of which is read, given its gradient and written once. Batch
// normalisation, which needs all rows, takes columns between two barriers of its own. Every sum runs
// in one order, so no bit depends on the number of threads. Of a single row the weights of layer 1 are read for
// the next one in the same pass.

#include <algorithm>
#include <cmath>

#include "trainer.h"

namespace steepest {
Trainer::Step Trainer::step_at(int64_t number, const Steps& steps, int64_t i, bool statistics) const {
  const int64_t place = number % steps_per_epoch_, size = settings_.order.batch_size;
  const int64_t samples = int64_t(data_.samples), window = settings_.optimizer.accumulate;
  Step step{};
  step.first = place * size;
  step.batch = int(std::min(size, samples - step.first));
  step.number = static_cast<uint32_t>(number);
  step.rate = float(steps.rates[i]);
  if (steps.factors) step.factors = steps.factors[i];
  step.share = 1.0f;
  if (steps.shares) {
    step.mixed = true;
    step.share = float(steps.shares[i]);
    if (const int32_t* box = steps.boxes ? steps.boxes + 4 * i : nullptr; box && box[1] > box[0]) {
      step.boxed = true;
      step.box = {box[0], box[1], box[2], box[3]};
    }
  }
  step.opens = place % window == 0;
  step.closes = place % window == window - 1 || place == steps_per_epoch_ - 1;
  step.statistics = statistics;
  // The mean of an update's losses weighs its rows, and these by class; mixing swaps rows within a minibatch, so
  // the sum of the weights is that of the rows' own classes.
  const auto weight_of = [&](int64_t begin, int64_t end) {
    const std::vector<float>& by_class = settings_.loss.normalisers;
    if (by_class.empty() && !data_.weights) return double(end - begin);
    double sum = 0;
    for (int64_t at = begin; at < end; ++at) {
      const uint32_t sample = order_[at];
      sum += double(by_class.empty() ? 1.0f : by_class[data_.targets[sample]]) *
             double(data_.weights ? data_.weights[sample] : 1.0f);
    }
    return sum;
  };
  const int64_t begin = place / window * window * size;
  const double own = weight_of(step.first, step.first + step.batch);
  const double all = window == 1 ? own : weight_of(begin, std::min(samples, begin + window * size));
  step.scale = all > 0 ? float(1 / all) : 0.0f;
  step.loss_scale = own > 0 ? float(step.batch / own) : 0.0f;
  return step;
}

// Whether the weights of layer 1 are moved for this step and read for the next one in one pass.
bool Trainer::reads_ahead(const Step& step) const {
  if (next_outputs_.empty() || sparse_ || coding_ || settings_.bf16 || whole_gradient_) return false;
  if (settings_.augmentation.mixes || step.statistics) return false;
  const auto& layer = std::get<Linear>(network_.nodes.front());
  return reads_inputs(layer) && !layer.transpose.data && update_of(step, layer.first_parameter, 1.0f).plain();
}

void Trainer::take_step(const Step& step, const Step* next, int thread, Barrier& barrier) {
  const int unit = image_scratch_.empty() ? 4 : network_.chunks.rows;
  const auto [begin, end] = share(step.batch, thread, threads_, threads_ == 1 ? 1 : unit);
  prepare(step, thread, begin, end);
  forward(step, thread, begin, end, barrier);
  back(step, thread, begin, end, barrier);
  barrier.wait();
  update(step, next, thread, barrier);
  barrier.wait();
}

void Trainer::update_and_read(const Linear& layer, const Step& step, const Step& next) {
  input(next, 0, next_inputs_.data(), 0);
  const Update u = update_of(step, layer.first_parameter, 1.0f);
  kernels_.update_and_read(layer, u, next_inputs_.data(), next_outputs_.data());
  is_ahead_ = true;
}

// Of the weights and of the gradient so far, where nothing moves.
static void sum_squares(const Parameter& p, int begin, int end, RowSums* sums) {
  for (int k = begin; k < end; ++k) {
    for (int n = 0; n < p.columns; ++n) {
      const double w = p.value.row(k)[n], g = p.gradient[k * p.value.stride + n];
      sums[k].weight += w * w;
      sums[k].gradient += g * g;
    }
  }
}

// Calls f(node) for the nodes that have parameters, with how many rows the node has in `rows`.
template <class F>
static void for_learned(const Network& network, int batch, int& rows, const F& f) {
  for (size_t i = 0; i < network.nodes.size(); ++i) {
    rows = batch * network.copies[i];
    std::visit(Overloaded{f, [](const auto&) {}}, network.nodes[i]);
  }
}

// The rows of a linear layer's weights that are this thread's.
std::pair<int, int> Trainer::rows_of(const Linear& layer, int thread) const {
  if (!reads_inputs(layer)) return share(layer.in, thread, threads_, 16);
  const std::vector<int>& begins = first_rows_[threads_];
  return {begins[thread], begins[thread + 1]};
}

// Which of its inputs are not zero, null where that is not known.
const uint64_t* Trainer::bits_of(const Linear& layer) const {
  return sparse_ && reads_inputs(layer) ? bits_.data() : nullptr;
}

bool Trainer::reads_inputs(const Linear& layer) const {
  return layer.index == 0 && layer.x.data == network_.inputs.data;
}

// next: the step whose row is read in the same pass, or null.
void Trainer::update(const Step& step, const Step* next, int thread, Barrier& barrier) {
  if (is_ahead_) is_ahead_ = false;  // of one row and one thread
  if (whole_gradient_) {
    collect(step, thread);
    barrier.wait();
  }
  const float scale = whole_gradient_ && step.closes ? clipping(step) : 1.0f;
  const bool moves = step.closes;
  int rows = 0;
  const auto move = [&](const Parameter& p, int parameter) {
    kernels_.finish_vector(p, update_of(step, parameter, scale));
  };
  // Vectors are small: one thread moves all those of a node.
  const auto others = [&](int parameter) { return parameter % threads_ != thread; };
  const auto channels = [&](const Parameter& gamma, const Parameter& beta, int parameter) {
    if (others(parameter) || !gamma.value.data || !moves) return;
    move(gamma, parameter);
    move(beta, parameter + 1);
  };
  const auto vector = [&](const Parameter& p, int parameter, Matrix dy, Matrix change, int width) {
    if (others(parameter)) return;
    if (!whole_gradient_) kernels_.collect_products(p, dy, change, width, rows, false);
    if (moves) move(p, parameter);
  };
  for_learned(network_, step.batch, rows,
              Overloaded{
                  [&](const Linear& layer) {
    const int parameter = layer.first_parameter;
    const auto [begin, end] = rows_of(layer, thread);
    RowSums* sums = step.statistics && layer.index >= 0 ? sums_[layer.index].data() : nullptr;
    const Update u = update_of(step, parameter, scale);
    const bool reads = next && reads_inputs(layer);
    if (reads) {
      // With its bias, which moves first.
    } else if (moves && !muon_.empty() && !muon_[parameter].empty()) {
      take_muon_step(step, layer, scale, thread, barrier);
    } else if (!whole_gradient_) {
      const uint64_t* bits = bits_of(layer);
      kernels_.update(layer, bits, rows, u, begin, end, sums, bits ? scratch_[thread] : nullptr);
    } else if (moves) {
      kernels_.finish(layer, u, begin, end, sums);
    } else if (sums) {
      sum_squares(layer.weight, begin, end, sums);
    }
    if (!others(parameter) && layer.bias.value.data) {
      if (!whole_gradient_) kernels_.collect_bias(layer, rows, false);
      if (moves) move(layer.bias, parameter + 1);
    }
    if (reads) update_and_read(layer, step, *next);
  },
                  [&](const Parametric& layer) {
    vector(layer.alpha, layer.first_parameter, layer.dy, layer.change, layer.width);
  },
                  [&](const Scaling& layer) {
    vector(layer.scale, layer.first_parameter, layer.dy, layer.x, layer.width);
  },
                  [&](const Periodic& layer) {
    int parameter = layer.first_parameter;
    if (others(parameter)) return;
    if (!whole_gradient_) kernels_.collect_periodic(layer, rows, false);
    for (const Parameter* p : {&layer.frequency, &layer.phase, &layer.mixing, &layer.bias}) {
      if (moves) move(*p, parameter++);
    }
  },
                  [&](const MemberScaling& layer) {
    if (others(layer.first_parameter)) return;
    if (!whole_gradient_) kernels_.collect_member_scaling(layer, step.batch, false);
    if (moves) move(layer.scale, layer.first_parameter);
    if (moves && layer.bias.value.data) move(layer.bias, layer.first_parameter + 1);
  },
                  [&](const Categories& layer) {
    if (others(layer.first_parameter)) return;
    if (!whole_gradient_) kernels_.collect_categories(layer, rows, false);
    if (moves) move(layer.table, layer.first_parameter);
  },
                  [&](const BatchNorm& layer) { channels(layer.gamma, layer.beta, layer.first_parameter); },
                  [&](const ImageNorm& layer) { channels(layer.gamma, layer.beta, layer.first_parameter); },
                  [&](const Convolution& layer) {
    const auto [begin, end] = share(layer.weight.rows, thread, threads_, 1);
    if (!whole_gradient_) collect_filters(step, layer, begin, end);
    RowSums* sums = step.statistics ? sums_[layer.index].data() : nullptr;
    if (moves) {
      kernels_.finish_rows(layer.weight, update_of(step, layer.first_parameter, scale), begin, end, sums);
      arrange(layer, begin, end);
    } else if (sums) {
      sum_squares(layer.weight, begin, end, sums);
    }
    if (others(layer.first_parameter) || !layer.bias.value.data) return;
    if (!whole_gradient_) collect_filter_bias(step, layer);
    if (moves) move(layer.bias, layer.first_parameter + 1);
  },
                  [&](const LayerNorm& layer) {
    if (others(layer.first_parameter) || !layer.gamma.value.data) return;
    if (!whole_gradient_) kernels_.collect_layer_norm(layer, rows, false);
    channels(layer.gamma, layer.beta, layer.first_parameter);
  },
                  [&](const GroupNorm& layer) {
    if (others(layer.first_parameter) || !layer.gamma.value.data) return;
    if (!whole_gradient_) kernels_.images->collect_group_norm(layer, step.batch, false);
    channels(layer.gamma, layer.beta, layer.first_parameter);
  },
              });
  if (thread != 0) return;
  const int members = network_.members;
  double loss = 0;
  for (int m = 0; m < step.batch * members; ++m) loss += losses_[m] / members;
  result_.losses.push_back(loss);
  for (int m = 0; m < step.batch; ++m) result_.correct += correct_[m * members];
  result_.rows += step.batch;
  last_batch_ = step.batch;
}

// Gradients into memory, and the squares of their norms where they are to be clipped.
void Trainer::collect(const Step& step, int thread) {
  const bool add = !step.opens;
  int rows = 0;
  const bool clips = step.closes && std::isfinite(settings_.optimizer.clip_norm);
  // member: which piece of the parameter, of so many rows, this is.
  const auto norms = [&](int parameter, int member, int its_rows) {
    return clips ? square_norms_[parameter].data() + member * its_rows : nullptr;
  };
  const auto vector_norm = [&](const Parameter& p, int parameter, int member = 0) {
    if (double* norm = norms(parameter, member, 1)) {
      *norm = kernels_.vector_norm(p, update_of(step, parameter, 1.0f));
    }
  };
  const auto others = [&](int parameter) { return parameter % threads_ != thread; };
  const auto channels = [&](const Parameter& gamma, const Parameter& beta, int parameter) {
    if (others(parameter) || !gamma.value.data) return;  // their gradients are there already
    vector_norm(gamma, parameter);
    vector_norm(beta, parameter + 1);
  };
  const auto vector = [&](const Parameter& p, int parameter, Matrix dy, Matrix change, int width) {
    if (others(parameter)) return;
    kernels_.collect_products(p, dy, change, width, rows, add);
    vector_norm(p, parameter);
  };
  for_learned(network_, step.batch, rows,
              Overloaded{
                  [&](const Linear& layer) {
    const int parameter = layer.first_parameter;
    const auto [begin, end] = rows_of(layer, thread);
    const uint64_t* bits = bits_of(layer);
    double* norm = norms(parameter, layer.member, layer.in);
    if (norm) std::fill(norm + begin, norm + end, 0.0);
    kernels_.collect(layer, bits, rows, update_of(step, parameter, 1.0f), add, begin, end, norm,
                     bits ? scratch_[thread] : nullptr);
    if (others(parameter) || !layer.bias.value.data) return;
    kernels_.collect_bias(layer, rows, add);
    vector_norm(layer.bias, parameter + 1, layer.member);
  },
                  [&](const Parametric& layer) {
    vector(layer.alpha, layer.first_parameter, layer.dy, layer.change, layer.width);
  },
                  [&](const Scaling& layer) {
    vector(layer.scale, layer.first_parameter, layer.dy, layer.x, layer.width);
  },
                  [&](const Periodic& layer) {
    int parameter = layer.first_parameter;
    if (others(parameter)) return;
    kernels_.collect_periodic(layer, rows, add);
    for (const Parameter* p : {&layer.frequency, &layer.phase, &layer.mixing, &layer.bias}) {
      vector_norm(*p, parameter++);
    }
  },
                  [&](const MemberScaling& layer) {
    if (others(layer.first_parameter)) return;
    kernels_.collect_member_scaling(layer, step.batch, add);
    vector_norm(layer.scale, layer.first_parameter);
    if (layer.bias.value.data) vector_norm(layer.bias, layer.first_parameter + 1);
  },
                  [&](const Categories& layer) {
    if (others(layer.first_parameter)) return;
    kernels_.collect_categories(layer, rows, add);
    vector_norm(layer.table, layer.first_parameter);
  },
                  [&](const BatchNorm& layer) { channels(layer.gamma, layer.beta, layer.first_parameter); },
                  [&](const ImageNorm& layer) { channels(layer.gamma, layer.beta, layer.first_parameter); },
                  [&](const Convolution& layer) {
    const int parameter = layer.first_parameter;
    const auto [begin, end] = share(layer.weight.rows, thread, threads_, 1);
    collect_filters(step, layer, begin, end);
    if (double* norm = norms(parameter, 0, 0)) {
      kernels_.row_norms(layer.weight, update_of(step, parameter, 1.0f), begin, end, norm);
    }
    if (others(parameter) || !layer.bias.value.data) return;
    collect_filter_bias(step, layer);
    vector_norm(layer.bias, parameter + 1);
  },
                  [&](const LayerNorm& layer) {
    if (others(layer.first_parameter) || !layer.gamma.value.data) return;
    kernels_.collect_layer_norm(layer, rows, add);
    channels(layer.gamma, layer.beta, layer.first_parameter);
  },
                  [&](const GroupNorm& layer) {
    if (others(layer.first_parameter) || !layer.gamma.value.data) return;
    kernels_.images->collect_group_norm(layer, step.batch, add);
    channels(layer.gamma, layer.beta, layer.first_parameter);
  },
              });
}

void Trainer::collect_filters(const Step& step, const Convolution& layer, int begin, int end) {
  const int chunks = network_.chunks.used(step.batch);
  kernels_.images->collect_parts(layer.weight, layer.weight_parts, chunks, !step.opens, begin, end);
}

void Trainer::collect_filter_bias(const Step& step, const Convolution& layer) {
  const int chunks = network_.chunks.used(step.batch);
  kernels_.images->collect_parts(layer.bias, layer.bias_parts, chunks, !step.opens, 0, 1);
}

// The factor that brings the gradient's norm down to clip_norm, as torch.nn.utils.clip_grad_norm_.
float Trainer::clipping(const Step&) const {
  const float clip_norm = settings_.optimizer.clip_norm;
  if (!std::isfinite(clip_norm)) return 1.0f;
  double squares = 0;
  for (const std::vector<double>& rows : square_norms_) {
    for (const double square : rows) squares += square;
  }
  return std::min(1.0f, clip_norm / (float(std::sqrt(squares)) + 1e-6f));
}

Update Trainer::update_of(const Step& step, int parameter, float scale) const {
  const OptimizerSettings& settings = settings_.optimizer;
  const ParameterSettings& own = settings.parameters[parameter];
  Update u{};
  const bool muon = settings.kind == Optimizer::kMuon;
  u.optimizer = muon && !own.muon ? Optimizer::kAdamW : settings.kind;
  u.rate = step.rate * own.lr_scale;
  u.momentum = settings.momentum;
  u.weight_decay = float(own.weight_decay * step.factors.weight_decay);
  u.l1 = own.l1;
  u.l2 = own.l2;
  u.nesterov = settings.nesterov;
  u.beta2 = float(settings.beta2);
  u.one_minus_beta1 = float(1 - settings.beta1);
  u.one_minus_beta2 = float(1 - settings.beta2);
  u.eps = settings.eps;
  if (u.optimizer == Optimizer::kAdam || u.optimizer == Optimizer::kAdamW) {
    u.correction1 = float(1 / (1 - std::pow(settings.beta1, double(step.update))));
    u.correction2 = float(1 / std::sqrt(1 - std::pow(settings.beta2, double(step.update))));
  }
  if (own.muon) {  // a mean as Adam's, and a step that is longer for a matrix of more rows than columns
    const Parameter& p = *network_.parameters[parameter];
    u.one_minus_beta1 = float(1 - double(settings.momentum));
    u.correction1 = float(std::sqrt(std::max(1.0, double(p.columns) / p.rows)));
  }
  if (settings.ema != 0.0) u.ema_rate = step.averaged ? float(1 - settings.ema) : 1.0f;
  u.clip_value = settings.clip_value;
  u.scale = scale;
  return u;
}

}  // namespace steepest

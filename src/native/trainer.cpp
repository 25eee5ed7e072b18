#include "trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <new>
#include <numeric>
#include <stdexcept>
#include <thread>

namespace steepest {
namespace {

// Below so many operations a step runs on one thread: two barriers cost about a microsecond each, and
// with less work a second thread brings less than that (measured on two cores, one run).
constexpr double kFlopsWorthSharing = 1.5e6;
// Above this share of values that are not zero, looking for zeros costs more than it saves (measured).
constexpr double kMostDense = 0.75;
// What the scratch memory of the sparse kernels is for (kernels.h, `update`).
constexpr int kMostSparseBatch = 1024;

double flops_of_a_step(const Settings& settings) {
  double weights = 0, members = 1;
  for (const NodeSpec& node : settings.nodes) {
    const bool linear = node.kind == NodeSpec::Kind::kLinear || node.kind == NodeSpec::Kind::kHeads;
    if (node.kind == NodeSpec::Kind::kView) members = node.members;
    if (linear) weights += members * node.inputs * node.outputs;
    if (node.kind == NodeSpec::Kind::kConvolution) weights += products_of(node.geometry);
  }
  return 6 * weights * settings.order.batch_size;
}

int threads_of(const Settings& settings) {
  if (settings.adaptive && flops_of_a_step(settings) <= kFlopsWorthSharing) return 1;
  return std::min(settings.threads, std::max(1, settings.order.batch_size / 2));
}

bool takes_images(const Settings& settings) {
  return std::any_of(settings.nodes.begin(), settings.nodes.end(),
                     [](const NodeSpec& node) { return node.kind == NodeSpec::Kind::kToImages; });
}

Kept kept_of(const OptimizerSettings& settings, const Bf16Kernels* bf16 = nullptr) {
  return {settings.keeps_first_moment(),
          settings.kind != Optimizer::kSgd,
          settings.ema != 0.0,
          settings.keeps_gradient(),
          true,
          bf16};
}

}  // namespace

Trainer::Trainer(const Settings& settings, const Data& data, const Kernels& kernels, bool forced,
                 const Position& position)
    : settings_(settings),
      data_(data),
      kernels_(settings.bf16 ? with_bf16(kernels, forced) : kernels),
      network_(settings.nodes, data.source.features, settings.order.batch_size, kernels.width,
               kept_of(settings.optimizer, settings.bf16 ? kernels_.bf16 : nullptr)),
      most_threads_(takes_images(settings) ? std::min(threads_of(settings), network_.chunks.count)
                                           : threads_of(settings)),
      whole_gradient_(settings.optimizer.keeps_gradient()),
      words_((data.source.features + 63) / 64),
      position_(position),
      shuffle_(kernels, settings.order.seed, settings.order.purpose, data.samples,
               settings.order.cumulative_weights),
      pace_(most_threads_, !settings.adaptive),
      threads_(most_threads_) {
  const int batch = settings_.order.batch_size;
  steps_per_epoch_ = (int64_t(data.samples) + batch - 1) / batch;
  const bool linear_first = std::holds_alternative<Linear>(network_.nodes.front());
  const std::vector<double> found = densities(data_, kernels_, network_.inputs.stride);
  double filled = std::accumulate(found.begin(), found.end(), 0.0) / double(found.size());
  if (settings_.augmentation.mixes) filled = 1 - (1 - filled) * (1 - filled);
  // With momentum all weights move at each step, and of one row they are read for the next one as they do.
  const OptimizerSettings& moves = settings_.optimizer;
  const bool all_move = moves.kind == Optimizer::kSgd && moves.momentum != 0.0f && moves.ema == 0.0;
  const bool ahead = batch == 1 && all_move && !whole_gradient_ && !settings_.augmentation.mixes;
  sparse_ = linear_first && !settings_.bf16 && batch <= kMostSparseBatch && filled < kMostDense && !ahead;
  if (!settings_.bf16 && !settings_.augmentation.mixes &&
      Coding::fits(network_.nodes, network_.inputs, data_.source, batch)) {
    coding_.emplace(*data_.source.piecewise, batch);
    std::get<Linear>(network_.nodes.front()).piecewise = &coding_->rows();
    sparse_ = false;
  }
  const Kept kept = kept_of(settings_.optimizer);
  const int matrices = 1 + kept.first_moment + kept.second_moment + kept.ema + kept.gradient;
  const std::vector<double> dense(found.size(), 1.0);
  for (int threads = 0; threads <= most_threads_; ++threads) {
    first_rows_.push_back(equal_work(sparse_ ? found : dense, batch, std::max(1, threads), matrices));
  }
  const size_t rows = size_t(batch) * network_.members;
  targets_.resize(rows);
  second_targets_.resize(rows);
  if (data_.weights) row_weights_.resize(rows);
  losses_.resize(rows);
  correct_.resize(rows);
  sums_.resize(network_.watched.size());
  square_norms_.resize(network_.parameters.size());
  for (size_t i = 0; std::isfinite(settings_.optimizer.clip_norm) && i < square_norms_.size(); ++i) {
    square_norms_[i].resize(network_.parameters[i]->rows);
  }
  if (settings_.optimizer.kind == Optimizer::kMuon) {
    muon_.resize(network_.parameters.size());
    for (const Network::Watched& watched : network_.watched) {
      if (!watched.layer) continue;
      const int parameter = watched.layer->first_parameter;
      if (settings_.optimizer.parameters[parameter].muon) muon_[parameter] = MuonSpace(*watched.layer);
    }
  }
  if (settings_.augmentation.mixes)
    partners_.assign(most_threads_, std::vector<float>(network_.inputs.stride + 16));
  if (settings_.augmentation.crop) spares_.assign(most_threads_, std::vector<float>(network_.inputs.stride + 16));
  for (int t = 0; takes_images(settings_) && t < most_threads_; ++t)
    image_scratch_.emplace_back(network_.scratch_floats);
  if (batch == 1) {
    next_inputs_.resize(network_.inputs.stride + 16);
    next_outputs_.resize(linear_first ? std::get<Linear>(network_.nodes.front()).z.stride : 0);
  }
  if (!sparse_) return;
  bits_.resize(size_t(batch) * words_);
  const size_t bytes = 4 * size_t(batch / 32 + 1) * (data.source.features + 32);
  for (int t = 0; t < most_threads_; ++t) {
    scratch_.push_back(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
    if (!scratch_.back()) throw std::bad_alloc();
  }
}

Trainer::~Trainer() {
  for (void* memory : scratch_) std::free(memory);
}

void Trainer::set_orders(int64_t first_epoch, std::vector<uint32_t> orders) {
  orders_ = std::move(orders);
  first_order_ = first_epoch;
  epoch_ = -1;
}

void Trainer::restart(uint64_t seed, const Position& position) {
  settings_.order.seed = seed;
  shuffle_.set_seed(seed);
  position_ = position;
  epoch_ = -1;
}

void Trainer::configure(const LossSettings& loss, const OptimizerSettings& optimizer) {
  const Kept now = kept_of(optimizer), before = kept_of(settings_.optimizer);
  if (optimizer.kind != settings_.optimizer.kind || now.first_moment != before.first_moment ||
      now.second_moment != before.second_moment || now.ema != before.ema || now.gradient != before.gradient ||
      std::isfinite(optimizer.clip_norm) != std::isfinite(settings_.optimizer.clip_norm) ||
      optimizer.parameters.size() != settings_.optimizer.parameters.size() || !muon_.empty()) {
    throw std::invalid_argument("these settings need other memory");
  }
  settings_.loss = loss;
  settings_.optimizer = optimizer;
}

Result Trainer::advance(const Steps& steps, bool statistics) {
  result_ = Result();
  result_.losses.reserve(size_t(steps.count));
  for (int64_t done = 0; done < steps.count;) {
    const int64_t epoch = position_.step / steps_per_epoch_;
    if (epoch != epoch_) {
      order_ = orders_.empty() ? shuffle_.order(static_cast<uint32_t>(epoch))
                               : orders_.data() + (epoch - first_order_) * int64_t(data_.samples);
      epoch_ = epoch;
    }
    const int64_t left = (epoch + 1) * steps_per_epoch_ - position_.step;
    const int64_t now = std::min({steps.count - done, left, pace_.steps()});
    threads_ = pace_.threads();
    const bool measure = statistics && done + now == steps.count;
    start_measuring(measure);
    Barrier barrier(threads_);
    int64_t updates = 0;
    const auto run = [&](int thread) {
      int64_t made = 0;
      const auto step_of = [&](int64_t i) {
        return step_at(position_.step + i, steps, done + i, measure && i == now - 1);
      };
      for (int64_t i = 0; i < now; ++i) {
        Step step = step_of(i), next;
        step.update = position_.updates + made + 1;
        step.averaged = position_.averaged || made > 0;
        const bool ahead = i + 1 < now && reads_ahead(step);
        if (ahead) next = step_of(i + 1);
        take_step(step, ahead ? &next : nullptr, thread, barrier);
        made += step.closes;
      }
      if (thread == 0) updates = made;
    };
    const auto begin = std::chrono::steady_clock::now();
    std::vector<std::thread> others;
    for (int t = 1; t < threads_; ++t) others.emplace_back(run, t);
    run(0);
    for (std::thread& other : others) other.join();
    pace_.took(now, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    position_.step += now;
    position_.updates += updates;
    position_.averaged = position_.averaged || updates > 0;
    done += now;
  }
  if (statistics) result_.layers = this->statistics();
  return result_;
}

std::string Trainer::description() const {
  return std::string(kernels_.name) + (settings_.adaptive && most_threads_ > 1 ? ", up to " : ", ") +
         std::to_string(most_threads_) + " thread" + (most_threads_ == 1 ? "" : "s") +
         (sparse_   ? ", zero inputs skipped"
          : coding_ ? ", piecewise linear inputs looked up"
                    : "") +
         (!settings_.bf16           ? ""
          : kernels_.bf16->emulated ? ", products of bfloat16 emulated"
                                    : ", products of bfloat16");
}

}  // namespace steepest

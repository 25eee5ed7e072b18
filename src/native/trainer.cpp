#include "trainer.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <numeric>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace steepest {

// All floats of a plan in one block, zeroed, each matrix beginning on 64 bytes.
struct Arena {
  std::vector<std::pair<float**, size_t>> wanted;
  float* memory = nullptr;

  void add(float*& place, size_t floats) { wanted.emplace_back(&place, (floats + 15) / 16 * 16); }
  void allocate() {
    size_t total = 16;
    for (auto& [place, floats] : wanted) total += floats;
    memory = static_cast<float*>(std::aligned_alloc(64, total * sizeof(float)));
    if (!memory) throw std::bad_alloc();
    std::memset(memory, 0, total * sizeof(float));
    float* next = memory;
    for (auto& [place, floats] : wanted) {
      *place = next;
      next += floats;
    }
  }
  ~Arena() { std::free(memory); }
};

// Threads meet here twice a step. They spin a little and then yield: where processors are
// oversubscribed, spinning alone would keep the one they wait for from running.
struct Barrier {
  explicit Barrier(int threads) : threads(threads) {}
  void wait() {
    if (threads == 1) return;
    const int phase = current.load(std::memory_order_acquire);
    if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == threads) {
      arrived.store(0, std::memory_order_relaxed);
      current.store(phase + 1, std::memory_order_release);
      return;
    }
    for (int spins = 0; current.load(std::memory_order_acquire) == phase; ++spins) {
      if (spins < 4000) {
#if defined(__x86_64__)
        _mm_pause();
#endif
      } else {
        std::this_thread::yield();
      }
    }
  }
  const int threads;
  alignas(64) std::atomic<int> arrived{0};
  alignas(64) std::atomic<int> current{0};
};

namespace {

// Rows of 64 bytes; a distance that is a multiple of 1 KiB would crowd few sets of the caches.
size_t stride_of(int columns) {
  const size_t floats = (static_cast<size_t>(columns) + 15) / 16 * 16;
  return floats % 256 == 0 ? floats + 16 : floats;
}

size_t input_stride(int features) {
  const size_t floats = (static_cast<size_t>(features) + 63) / 64 * 64;
  return floats % 256 == 0 ? floats + 64 : floats;
}

bool needs_pre(Activation kind) {
  return kind == Activation::kGelu || kind == Activation::kGeluTanh || kind == Activation::kSilu ||
         kind == Activation::kLeakyRelu;
}

double flops_of_a_step(const Settings& settings) {
  double weights = 0;
  for (const LayerSpec& layer : settings.layers) weights += double(layer.in) * layer.out;
  return 6 * weights * settings.batch_size;
}

// Two barriers cost about a microsecond each; below this a second thread brings less than that.
constexpr double kFlopsWorthSharing = 1.5e6;

// A share of `total` for each thread, in multiples of `unit`.
std::pair<int, int> share(int total, int thread, int threads, int unit) {
  const int units = (total + unit - 1) / unit;
  const auto at = [&](int t) { return std::min(total, int(int64_t(units) * t / threads) * unit); };
  return {at(thread), at(thread + 1)};
}

constexpr double kMostDense = 0.75;
constexpr int kMostSparseBatch = 1024;

// Share of values that are not zero in each input, from rows spread over the data.
std::vector<double> densities(const Data& data, const Kernels& kernels, size_t stride) {
  std::vector<float> x(stride + 16);
  std::vector<double> found(data.source.features);
  const size_t probes = std::min<size_t>(data.samples, 256);
  for (size_t i = 0; i < probes; ++i) {
    const size_t sample = i * (data.samples / probes);
    kernels.gather(data.source, data.rows ? data.rows[sample] : sample, x.data());
    for (int j = 0; j < data.source.features; ++j) found[j] += (x[j] != 0.0f) / double(probes);
  }
  return found;
}

// What the update of one row of W costs beside its sum over the batch, in rows of the batch.
constexpr double kUpdateCost = 2.5;

// Where each thread's rows of W begin, in multiples of 16, for about equal work.
std::vector<int> equal_work(const std::vector<double>& densities, int batch, int threads) {
  const int inputs = int(densities.size());
  std::vector<double> done{0.0};
  for (int k = 0; k < inputs; k += 16) {
    double work = 0;
    for (int i = k; i < std::min(k + 16, inputs); ++i) work += kUpdateCost + batch * densities[i];
    done.push_back(done.back() + work);
  }
  std::vector<int> begins;
  for (int t = 0; t <= threads; ++t) {
    const auto at = std::lower_bound(done.begin(), done.end(), done.back() * t / threads);
    begins.push_back(std::min(inputs, int(at - done.begin()) * 16));
  }
  return begins;
}

}  // namespace

// The rows of one step.
struct Trainer::Step {
  int64_t first;  // place in the order of the epoch
  int batch;
};

Trainer::Trainer(const Settings& settings, const Data& data, const Kernels& kernels,
                 int64_t first_step)
    : settings_(settings),
      data_(data),
      kernels_(kernels),
      arena_(std::make_unique<Arena>()),
      layers_(settings.layers.size()),
      shuffle_(kernels, settings.seed, settings.shuffle_purpose, data.samples),
      step_(first_step) {
  const int batch = settings_.batch_size;
  const bool moving = settings_.momentum != 0.0f;
  steps_per_epoch_ = (int64_t(data.samples) + batch - 1) / batch;
  words_ = (data.source.features + 63) / 64;
  const int wanted = settings_.threads > 0 ? settings_.threads
                                           : std::max(1u, std::thread::hardware_concurrency());
  threads_ = settings_.threads > 0 || flops_of_a_step(settings_) > kFlopsWorthSharing
                 ? std::min(wanted, std::max(1, batch / 2))
                 : 1;
  inputs_.stride = input_stride(data.source.features);
  arena_->add(inputs_.data, inputs_.stride * batch + 64);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const LayerSpec& spec = settings_.layers[i];
    Layer& layer = layers_[i];
    std::memset(static_cast<void*>(&layer), 0, sizeof layer);
    layer.in = spec.in;
    layer.out = spec.out;
    layer.activation = spec.activation;
    layer.slope = spec.slope;
    const size_t wide = stride_of(spec.out), tall = stride_of(spec.in);
    layer.weight.stride = layer.velocity.stride = wide;
    layer.pre.stride = layer.post.stride = layer.gradient.stride = wide;
    layer.transpose.stride = tall;
    // Vectors of the last rows may reach past the end: a margin of zeros lies behind.
    arena_->add(layer.weight.data, wide * (spec.in + 64));
    if (i > 0) arena_->add(layer.transpose.data, tall * (spec.out + 1));
    if (moving) arena_->add(layer.velocity.data, wide * spec.in);
    if (spec.bias) arena_->add(layer.bias, wide);
    if (spec.bias && moving) arena_->add(layer.bias_velocity, wide);
    arena_->add(layer.post.data, wide * batch);
    if (needs_pre(spec.activation)) arena_->add(layer.pre.data, wide * batch);
    arena_->add(layer.gradient.data, wide * batch);
  }
  arena_->allocate();
  for (Layer& layer : layers_) {
    if (!layer.pre.data) layer.pre = layer.post;
    if (layer.activation == Activation::kIdentity) layer.post = layer.pre;
  }
  const std::vector<double> found = densities(data_, kernels_, inputs_.stride);
  const double share_found = std::accumulate(found.begin(), found.end(), 0.0) / double(found.size());
  sparse_ = batch <= kMostSparseBatch && share_found < kMostDense;
  const std::vector<double> dense(found.size(), 1.0);
  first_rows_ = equal_work(sparse_ ? found : dense, batch, threads_);
  targets_.resize(batch);
  losses_.resize(batch);
  correct_.resize(batch);
  if (sparse_) {
    bits_.resize(size_t(batch) * words_);
    const size_t bytes = 4 * size_t(batch / 32 + 1) * (data.source.features + 32);
    for (int t = 0; t < threads_; ++t) {
      scratch_.push_back(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
      if (!scratch_.back()) throw std::bad_alloc();
    }
  }
}

Trainer::~Trainer() {
  for (void* memory : scratch_) std::free(memory);
}

void Trainer::write(int index, bool velocity, const float* weight, const float* bias) {
  Layer& layer = layers_[index];
  const Matrix to = velocity ? layer.velocity : layer.weight;
  for (int n = 0; n < layer.out; ++n) {
    for (int k = 0; k < layer.in; ++k) to.row(k)[n] = weight[size_t(n) * layer.in + k];
    if (!velocity && layer.transpose.data) {
      std::memcpy(layer.transpose.row(n), weight + size_t(n) * layer.in, sizeof(float) * layer.in);
    }
  }
  float* to_bias = velocity ? layer.bias_velocity : layer.bias;
  if (bias) std::memcpy(to_bias, bias, sizeof(float) * layer.out);
}

void Trainer::read(int index, bool velocity, float* weight, float* bias) const {
  const Layer& layer = layers_[index];
  const Matrix from = velocity ? layer.velocity : layer.weight;
  for (int k = 0; k < layer.in; ++k) {
    for (int n = 0; n < layer.out; ++n) weight[size_t(n) * layer.in + k] = from.row(k)[n];
  }
  const float* from_bias = velocity ? layer.bias_velocity : layer.bias;
  if (bias) std::memcpy(bias, from_bias, sizeof(float) * layer.out);
}

Result Trainer::advance(const double* rates, int64_t steps, bool statistics) {
  result_ = Result();
  while (steps > 0) {
    const int64_t epoch = step_ / steps_per_epoch_;
    if (epoch != epoch_) {
      order_ = shuffle_.order(static_cast<uint32_t>(epoch));
      epoch_ = epoch;
    }
    const int64_t now = std::min(steps, (epoch + 1) * steps_per_epoch_ - step_);
    const bool measure = statistics && now == steps;
    if (measure) sums_.assign(layers_.size(), {});
    for (size_t i = 0; measure && i < layers_.size(); ++i) sums_[i].assign(layers_[i].in, RowSums{});
    Barrier barrier(threads_);
    std::vector<std::thread> others;
    for (int t = 1; t < threads_; ++t) {
      others.emplace_back([&, t] { take_steps(t, rates, now, measure, barrier); });
    }
    take_steps(0, rates, now, measure, barrier);
    for (std::thread& other : others) other.join();
    step_ += now;
    rates += now;
    steps -= now;
  }
  if (statistics) result_.layers = this->statistics();
  return result_;
}

void Trainer::take_steps(int thread, const double* rates, int64_t steps, bool statistics,
                         Barrier& barrier) {
  for (int64_t i = 0; i < steps; ++i) {
    const int64_t first = (step_ + i) % steps_per_epoch_ * settings_.batch_size;
    const int64_t left = int64_t(data_.samples) - first;
    const Step step{first, int(std::min<int64_t>(settings_.batch_size, left))};
    forward_and_back(step, thread);
    barrier.wait();
    update(step, thread, float(rates[i]), statistics && i == steps - 1);
    barrier.wait();
  }
}

// By rows of the minibatch: from its inputs to dL/dZ of every layer.
void Trainer::forward_and_back(const Step& step, int thread) {
  const auto [begin, end] = share(step.batch, thread, threads_, threads_ == 1 ? 1 : 4);
  for (int m = begin; m < end; ++m) {
    const int64_t sample = order_[step.first + m];
    prefetch(step.first + m + settings_.batch_size);
    kernels_.gather(data_.source, data_.rows ? data_.rows[sample] : sample, inputs_.row(m));
    if (sparse_) kernels_.nonzero_bits(inputs_.row(m), words_, &bits_[size_t(m) * words_]);
    targets_[m] = data_.targets[sample];
  }
  Matrix a = inputs_;
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (i == 0 && sparse_) {
      kernels_.forward_sparse(layers_[0], a, bits_.data(), words_, begin, end);
    } else {
      kernels_.forward(layers_[i], a, begin, end);
    }
    a = layers_[i].post;
  }
  const auto loss = settings_.binary ? kernels_.sigmoid_loss : kernels_.softmax_loss;
  loss(layers_.back(), targets_.data(), 1.0f / float(step.batch), begin, end, losses_.data(),
       correct_.data());
  for (size_t i = layers_.size() - 1; i > 0; --i) {
    kernels_.backward(layers_[i], layers_[i - 1], begin, end);
  }
}

// Brings the row of a step to come into the cache: rows lie anywhere in memory.
void Trainer::prefetch(int64_t place) const {
  if (place >= int64_t(data_.samples)) return;
  const int64_t sample = order_[place];
  const char* row = static_cast<const char*>(data_.source.data) +
                    size_t(data_.rows ? data_.rows[sample] : sample) * data_.source.row_bytes;
  const size_t bytes = size_t(data_.source.features) * (data_.source.bytes ? 1 : 4);
  for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(row + at);
  __builtin_prefetch(&data_.targets[sample]);
}

// By rows of the weights: each is read, given its gradient and written once.
void Trainer::update(const Step& step, int thread, float rate, bool statistics) {
  const Update u{rate, settings_.momentum, settings_.weight_decay, settings_.nesterov};
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    RowSums* sums = statistics ? sums_[i].data() : nullptr;
    const auto [begin, end] = i == 0 ? std::pair(first_rows_[thread], first_rows_[thread + 1])
                                     : share(layer.in, thread, threads_, 16);
    if (i == 0 && sparse_) {
      kernels_.update_sparse(layer, inputs_, bits_.data(), step.batch, u, begin, end, sums,
                             scratch_[thread]);
    } else {
      kernels_.update(layer, i == 0 ? inputs_ : layers_[i - 1].post, step.batch, u, begin, end, sums);
    }
    if (int(i) % threads_ == thread) kernels_.update_bias(layer, step.batch, u);
  }
  if (thread == 0) {
    for (int m = 0; m < step.batch; ++m) {
      result_.loss_sum += losses_[m];
      result_.correct += correct_[m];
    }
    result_.rows += step.batch;
    last_batch_ = step.batch;
  }
}

std::vector<LayerSums> Trainer::statistics() const {
  std::vector<LayerSums> all;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    RowSums total{};
    for (const RowSums& row : sums_[i]) {
      total.weight += row.weight;
      total.gradient += row.gradient;
      total.change += row.change;
    }
    const double count = double(last_batch_) * layer.out;
    double sum = 0, squares = 0, idle = 0;
    for (int m = 0; m < last_batch_; ++m) {
      for (int n = 0; n < layer.out; ++n) {
        const float a = layer.post.row(m)[n];
        sum += a;
        switch (layer.activation) {
          case Activation::kTanh: idle += a < -0.99f || a > 0.99f; break;
          case Activation::kSigmoid: idle += a < 0.01f || a > 0.99f; break;
          default: idle += a == 0.0f;
        }
      }
    }
    const double mean = sum / count;
    for (int m = 0; m < last_batch_; ++m) {
      for (int n = 0; n < layer.out; ++n) {
        const double d = layer.post.row(m)[n] - mean;
        squares += d * d;
      }
    }
    all.push_back({std::sqrt(total.weight), std::sqrt(total.gradient), std::sqrt(total.change), mean,
                   std::sqrt(squares / count), idle / count});
  }
  return all;
}

std::string Trainer::description() const {
  return std::string(kernels_.name) + ", " + std::to_string(threads_) + " thread" +
         (threads_ == 1 ? "" : "s") + (sparse_ ? ", zero inputs skipped" : "");
}

}  // namespace steepest

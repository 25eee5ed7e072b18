// One training: the plan's memory, made once, and the loop over steps, which allocates nothing.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels.h"
#include "random.h"

namespace steepest {

struct LayerSpec {
  int in, out;
  Activation activation;
  float slope;
  bool bias;
};

struct Settings {
  std::vector<LayerSpec> layers;
  bool binary;
  int batch_size;
  uint64_t seed;
  uint32_t shuffle_purpose;
  float momentum, weight_decay;
  bool nesterov;
  int threads;  // 0: as many as the work is worth
};

// Borrowed from the caller, who keeps it alive.
struct Data {
  Source source;
  const int64_t* rows;  // null: row i of the source is sample i
  const int64_t* targets;
  size_t samples;
};

struct LayerSums {
  double weight_norm, gradient_norm, change_norm, activation_mean, activation_std, idle;
};

struct Result {
  int64_t rows = 0, correct = 0;
  double loss_sum = 0;
  std::vector<LayerSums> layers;
};

class Trainer {
 public:
  Trainer(const Settings&, const Data&, const Kernels&, int64_t first_step);
  ~Trainer();
  Trainer(const Trainer&) = delete;

  // PyTorch's layout: weight (out, in), bias (out); `velocity` picks the optimiser's state.
  void write(int layer, bool velocity, const float* weight, const float* bias);
  void read(int layer, bool velocity, float* weight, float* bias) const;

  // Takes `steps` steps at these learning rates.
  Result advance(const double* rates, int64_t steps, bool statistics);

  std::string description() const;

 private:
  struct Step;
  void take_steps(int thread, const double* rates, int64_t steps, bool statistics, struct Barrier&);
  void forward_and_back(const Step&, int thread);
  void prefetch(int64_t place) const;
  void update(const Step&, int thread, float rate, bool statistics);
  std::vector<LayerSums> statistics() const;

  Settings settings_;
  Data data_;
  const Kernels& kernels_;
  std::unique_ptr<struct Arena> arena_;
  std::vector<Layer> layers_;
  Matrix inputs_;
  std::vector<uint64_t> bits_;
  std::vector<void*> scratch_;
  std::vector<int> first_rows_;  // where each thread's rows of the first layer begin
  std::vector<int64_t> targets_;
  std::vector<float> losses_;
  std::vector<int32_t> correct_;
  std::vector<std::vector<RowSums>> sums_;
  Shuffle shuffle_;
  const uint32_t* order_ = nullptr;
  int64_t step_, steps_per_epoch_, epoch_ = -1;
  int words_, threads_, last_batch_ = 0;
  bool sparse_;
  Result result_;
};

}  // namespace steepest

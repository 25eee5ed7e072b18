// One training: the loop over steps, which allocates nothing.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "augment.h"
#include "barrier.h"
#include "kernels.h"
#include "network.h"
#include "random.h"
#include "sharing.h"

namespace steepest {

struct ParameterSettings {
  float lr_scale, weight_decay, l1, l2;
};

struct Settings {
  std::vector<NodeSpec> nodes;
  bool binary;
  float positive;  // factor of the loss of labels that are 1
  int batch_size;
  uint64_t seed;
  uint32_t shuffle_purpose, sample_purpose;
  Optimizer optimizer;
  float momentum;
  bool nesterov;
  double beta1, beta2;
  float eps;
  float clip_norm, clip_value;  // infinity for none
  int accumulate;
  double average;  // decay of the average of the weights, 0 for none
  float smoothing;
  std::vector<ParameterSettings> parameters;  // one for each of the network's
  std::vector<float> class_weights;           // of the loss, padded; empty for 1
  float class_weight_sum;
  std::vector<float> normalisers;  // what a row of each class counts in the mean
  std::vector<double> sampling;    // cumulative weights of the rows; empty: each row once
  Augmentation augmentation;
  bool mixes;   // whether steps may mix two rows
  int threads;  // 0: as many as the work is worth
};

// Where a training is, beside its parameters.
struct Position {
  int64_t step;     // minibatches done
  int64_t updates;  // updates done
  bool averaged;    // whether the averages hold anything
};

// What differs from step to step. shares: null where no step mixes rows. boxes: null for mixup, else four
// numbers a step, an empty box where the step mixes up.
struct Steps {
  int64_t count;
  const double* rates;
  const double* shares;
  const int32_t* boxes;
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
  Trainer(const Settings&, const Data&, const Kernels&, const Position&);
  ~Trainer();
  Trainer(const Trainer&) = delete;

  Result advance(const Steps&, bool statistics);

  // The rows of some epochs in their order, one epoch after the other, instead of a shuffle.
  void set_orders(int64_t first_epoch, std::vector<uint32_t> orders);

  Network& network() { return network_; }
  int64_t updates() const { return position_.updates; }
  std::string description() const;

 private:
  // One minibatch.
  struct Step {
    int64_t first;  // place in the order of the epoch
    int batch;
    uint32_t number;    // of the run, for random numbers
    bool mixed, boxed;  // with a second row of the minibatch; by cutmix
    float share;        // of a row's own target
    Box box;
    float rate;
    float scale, loss_scale;  // 1 over the rows' weights: of the whole update, of this minibatch
    bool opens, closes;       // whether it begins, and ends, the minibatches of an update
    int64_t update;           // number of the update, from 1
    bool averaged;            // whether the averages hold anything
    bool statistics;
  };
  Step describe(int64_t step, const Steps&, int64_t i, bool statistics) const;
  void take_step(const Step&, int thread, Barrier&);
  void prepare(const Step&, int thread, int begin, int end);
  void input(const Step&, int m, float* x) const;
  int64_t target(int64_t place) const;
  void prefetch(int64_t place) const;
  void forward(const Step&, int thread, int begin, int end, Barrier&);
  void back(const Step&, int thread, int begin, int end, Barrier&);
  void update(const Step&, int thread, Barrier&);
  void collect(const Step&, int thread);
  Update update_of(const Step&, int parameter, float scale) const;
  float clipping(const Step&) const;
  void start_measuring(bool statistics);
  std::vector<LayerSums> statistics() const;

  Settings settings_;
  Data data_;
  const Kernels& kernels_;
  Position position_;
  Network network_;
  Shuffle shuffle_;
  const uint32_t* order_ = nullptr;
  std::vector<uint32_t> orders_;  // empty: by shuffle_
  int64_t first_order_ = 0;       // the epoch that the first of them is for
  int64_t steps_per_epoch_, epoch_ = -1;
  int words_, threads_, last_batch_ = 0;
  bool sparse_, unfused_;
  std::vector<int> first_rows_;  // where each thread's rows of the first layer's weights begin
  std::vector<uint64_t> bits_;
  std::vector<void*> scratch_;
  std::vector<std::vector<float>> other_;  // each thread's row to mix with
  std::vector<int64_t> targets_, second_targets_;
  std::vector<float> losses_;
  std::vector<int32_t> correct_;
  std::vector<std::vector<RowSums>> sums_;  // of each linear layer, for each row of W
  std::vector<std::vector<double>> norms_;  // of each parameter, for each row: squares of the gradient
  Result result_;
};

}  // namespace steepest

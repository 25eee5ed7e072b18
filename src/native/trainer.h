// One training: the loop over steps, which allocates nothing.
//
// The life of a trainer. Its constructor takes settings and data, gives the network its memory, decides how
// many threads work and whether zero inputs are skipped, and makes every buffer that a step needs. The
// caller writes the parameters and, if a training goes on, what the optimizer kept of them. `advance` then
// takes steps, any number of times: it starts the threads for at most an epoch at a time, and in between
// `set_orders` may say in which order the rows of the epochs to come are taken. Parameters are read between
// two calls of `advance`. Only one thread may use a trainer at a time; several trainers know nothing of
// each other.
//
// Invariants. A step is a function of the settings, the data, the parameters and the step's number: not of
// how many steps a call takes, nor of the number of threads. `position_` changes only in `advance`, between
// two epochs or calls. The data are borrowed and must stay as they are.

#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "augment.h"
#include "barrier.h"
#include "coding.h"
#include "kernels.h"
#include "muon_space.h"
#include "network.h"
#include "pace.h"
#include "random.h"
#include "sharing.h"

namespace steepest {

struct LossSettings {
  bool binary = false;
  float pos_weight = 1.0f;           // factor of the loss of labels that are 1
  double label_smoothing = 0.0;      // share of a target spread over all classes
  std::vector<float> class_weights;  // of the loss, padded; empty for 1
  float class_weight_sum = 0.0f;
  std::vector<float> normalisers;  // what a row of each class counts in the mean; empty for 1
};

struct ParameterSettings {
  float lr_scale = 1.0f, weight_decay = 0.0f, l1 = 0.0f, l2 = 0.0f;
  bool muon = false;  // moved by Muon; the others by AdamW, where Muon is the optimizer
};

struct OptimizerSettings {
  Optimizer kind = Optimizer::kSgd;
  float momentum = 0.0f;
  bool nesterov = false;
  double beta1 = 0.9, beta2 = 0.999;  // beta2: RMSprop's decay, too
  float eps = 1e-8f;
  float clip_norm = INFINITY, clip_value = INFINITY;
  int accumulate = 1;                         // minibatches of an update
  double ema = 0.0;                           // decay of the moving average of the weights, 0 for none
  std::vector<ParameterSettings> parameters;  // one for each of the network's

  bool keeps_first_moment() const {
    return kind == Optimizer::kAdam || kind == Optimizer::kAdamW || kind == Optimizer::kMuon || momentum != 0.0f;
  }
  // Whether gradients must be whole before they are used, so that a step takes two passes over them.
  bool keeps_gradient() const { return std::isfinite(clip_norm) || accumulate > 1 || kind == Optimizer::kMuon; }
};

// Which rows a step takes. An order is a function of (seed, purpose, epoch).
struct OrderSettings {
  int batch_size = 1;
  uint64_t seed = 0;
  uint32_t purpose = 0;                    // of the random numbers
  std::vector<double> cumulative_weights;  // rows are drawn by them; empty: each row once
};

struct Settings {
  std::vector<NodeSpec> nodes;
  LossSettings loss;
  OptimizerSettings optimizer;
  OrderSettings order;
  Augmentation augmentation;
  int threads = 1;
  bool adaptive = false;  // fewer threads where that is quicker, found while it runs
  bool bf16 = false;      // whether products of linear layers are of bfloat16
};

// Where a training is, beside its parameters.
struct Position {
  int64_t step;     // minibatches done
  int64_t updates;  // updates done
  bool averaged;    // whether the moving averages hold anything
};

// What the settings' numbers are multiplied by in one step.
struct Factors {
  double weight_decay = 1, dropout = 1, label_smoothing = 1;
};

// What differs from step to step. shares: null where no step mixes rows. boxes: null for mixup, else four
// numbers a step, an empty box where the step mixes up.
// factors: null where all are 1.
struct Steps {
  int64_t count;
  const double* rates;
  const double* shares;
  const int32_t* boxes;
  const Factors* factors;
};

struct LayerSums {
  double weight_norm, gradient_norm, change_norm, activation_mean, activation_std;
  double inactive;  // share of the activations that are 0, or within 1 % of a bound
};

struct Result {
  int64_t rows = 0, correct = 0;
  std::vector<double> losses;  // of each step, the sum over its rows
  std::vector<LayerSums> layers;
};

class Trainer {
 public:
  // forced: whether the kernels are those of an instruction set that was asked for by name.
  Trainer(const Settings&, const Data&, const Kernels&, bool forced, const Position&);
  ~Trainer();
  Trainer(const Trainer&) = delete;

  Result advance(const Steps&, bool statistics);

  // Makes ready for another training, which differs in its seed and where it is; its state is loaded into the
  // network.
  void restart(uint64_t seed, const Position&);

  // Other numbers for the trainings to come: of what memory they need nothing may differ.
  void configure(const LossSettings& loss, const OptimizerSettings& optimizer);

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
    Factors factors;
    float scale, loss_scale;  // 1 over the rows' weights: of the whole update, of this minibatch
    bool opens, closes;       // whether it begins, and ends, the minibatches of an update
    int64_t update;           // number of the update, from 1
    bool averaged;            // whether the moving averages hold anything
    bool statistics;
  };
  Step step_at(int64_t number, const Steps&, int64_t i, bool statistics) const;
  void take_step(const Step&, const Step* next, int thread, Barrier&);
  bool reads_ahead(const Step&) const;
  void update_and_read(const Linear&, const Step&, const Step& next);
  void prepare(const Step&, int thread, int begin, int end);
  void input(const Step&, int m, float* x, int thread);
  int64_t target(int64_t place) const;
  void prefetch(int64_t place) const;
  void forward(const Step&, int thread, int first_row, int last_row, Barrier&);
  void forward_images(const Step&, int thread, size_t from, size_t until, int first_row, int last_row, Barrier&);
  void back_images(const Step&, int thread, size_t from, size_t until, int first_row, int last_row, Barrier&);
  template <class F>
  void finish_norm(const ImageNorm&, int thread, Barrier&, const F& whole) const;
  bool is_right(int m) const;
  void back(const Step&, int thread, int first_row, int last_row, Barrier&);
  void update(const Step&, const Step* next, int thread, Barrier&);
  void collect(const Step&, int thread);
  void collect_filters(const Step&, const Convolution&, int begin, int end);
  void collect_filter_bias(const Step&, const Convolution&);
  void take_muon_step(const Step&, const Linear&, float scale, int thread, Barrier&);
  std::pair<int, int> rows_of(const Linear&, int thread) const;
  const uint64_t* bits_of(const Linear&) const;
  bool reads_inputs(const Linear&) const;
  Update update_of(const Step&, int parameter, float scale) const;
  float clipping(const Step&) const;
  void start_measuring(bool statistics);
  std::vector<LayerSums> statistics() const;

  // For life: set by the constructor.
  Settings settings_;  // but for what `restart` and `configure` are given
  const Data data_;
  const Kernels kernels_;
  Network network_;
  int64_t steps_per_epoch_;
  int most_threads_;
  std::optional<Coding> coding_;  // of piecewise linear inputs, where layer 1 takes them as they are kept
  bool sparse_;                   // whether layer 1 skips zero inputs, by their bits
  bool whole_gradient_;           // whether gradients are whole in memory before they are used
  int words_;                     // of 64 bits, for the inputs of a row
  std::vector<std::vector<int>> first_rows_;  // by the number of threads: where each thread's rows of the first
                                              // layer's weights begin

  // For a run: they change between two epochs or calls.
  Position position_;
  Shuffle shuffle_;
  std::vector<uint32_t> orders_;  // of some epochs, given by set_orders; empty: by shuffle_
  int64_t first_order_ = 0;       // the epoch that the first of them is for
  Pace pace_;                     // a step is the same whatever it says
  int threads_;                   // of the spell that runs

  // For an epoch.
  int64_t epoch_ = -1;
  const uint32_t* order_ = nullptr;  // its rows, in the memory of shuffle_ or orders_

  // For a call of `advance`.
  Result result_;
  int last_batch_ = 0;  // rows of the last minibatch, for the statistics

  // Of a minibatch of one row layer 1 may be computed as soon as its weights have moved for the row before: that
  // row as it is read, what layer 1 gives for it, and whether both are there.
  std::vector<float> next_inputs_, next_outputs_;
  bool is_ahead_ = false;

  // For a step: memory that each step overwrites, of each row of the minibatch or of each thread.
  std::vector<int64_t> targets_, second_targets_;
  std::vector<float> row_weights_;  // of the minibatch, where rows are weighed
  std::vector<float> losses_;
  std::vector<int32_t> correct_;
  std::vector<uint64_t> bits_;                     // (batch, words_): which inputs are not zero
  std::vector<std::vector<float>> partners_;       // of each thread: the row that is mixed in
  std::vector<std::vector<float>> spares_;         // of each thread: the row before it is cropped
  std::vector<MuonSpace> muon_;                    // of each parameter that Muon moves
  std::vector<void*> scratch_;                     // of each thread, for the sparse kernels
  std::vector<Scratch> image_scratch_;             // of each thread, for blocks of images
  std::vector<std::vector<RowSums>> sums_;         // of each linear layer, for each row of W
  std::vector<std::vector<double>> square_norms_;  // of each parameter's gradient, for each row
};

}  // namespace steepest

// What the kernels of every instruction set promise: plain structures and a table of functions.
//
// Each kernels_<isa>.cpp compiles the same source for one instruction set, inside a namespace of its
// own and without anything from the standard library, so that the linker can never pick code for a
// newer processor than the one that runs.

#pragma once

#include <cstddef>
#include <cstdint>

namespace steepest {

// A row-major matrix; `stride` is the distance of two rows in floats. Rows begin on 64 bytes and are
// padded to a whole number of vectors, so that kernels never meet a remainder.
struct Matrix {
  float* data = nullptr;
  size_t stride = 0;
  float* row(size_t i) const { return data + i * stride; }
};

// What is learned: a matrix, or a vector as its one row, and what the optimizer keeps of it, in
// memory of the same form. Null where it is not kept.
struct Parameter {
  int rows = 0, columns = 0;
  Matrix value;
  float* first_moment = nullptr;   // SGD's and RMSprop's momentum, Adam's and Muon's mean of g
  float* second_moment = nullptr;  // Adam's and RMSprop's mean of g squared
  float* ema = nullptr;            // moving average of the weights over the steps
  float* gradient = nullptr;       // of the data loss, where it must be whole before it is used
  bool transposed = true;          // whether PyTorch's rows are the columns here
  int pieces = 0;                  // of how many parameters it is made, one after the other; 0: it is one
  Parameter* const* parts = nullptr;
};

enum class Optimizer : int { kSgd, kAdam, kAdamW, kRmsprop, kMuon };

// How a parameter moves in one step (steepest/engine/optimizers.py has the formulas).
struct Update {
  Optimizer optimizer;
  float rate, momentum, weight_decay, l1, l2;
  bool nesterov;
  float beta2, one_minus_beta1, one_minus_beta2, eps;
  float correction1, correction2;  // Adam's 1 / (1 - beta1^t) and 1 / sqrt(1 - beta2^t)
  float ema_rate;                  // share of the new weight in the moving average; 0 keeps none
  float clip_value;                // infinity for none
  float scale;                     // of the gradient, after clip_norm

  // SGD, perhaps with momentum and weight decay, and nothing else: the step that most people take.
  bool plain() const {
    return optimizer == Optimizer::kSgd && l1 == 0.0f && l2 == 0.0f && ema_rate == 0.0f && scale == 1.0f &&
           clip_value == __builtin_huge_valf();
  }
};

// Sums over one row of a parameter, for the statistics of a step.
struct RowSums {
  double weight, gradient, change;  // of squares
};

enum class Activation : int {
  kIdentity,
  kTanh,
  kSigmoid,
  kRelu,
  kLeakyRelu,
  kGelu,
  kGeluTanh,
  kSilu,
  kMish,
  kSelu
};

// In the nodes below, `first_parameter` is the place of the node's first parameter among those of the
// network; its others follow it in the order in which they are declared.

// What is taken as piecewise linear: features of at most so many bins, minibatches of at most so many rows.
constexpr int kMostBins = 64, kMostPiecewiseRows = 2048;

// How a row of the data becomes inputs of which some are piecewise linear (steepest/data/piecewise.py).
struct Piecewise {
  int plain, features;
  const int64_t *from, *to;                       // of the plain inputs: where in the row, which input
  const int64_t *values, *places, *first, *bins;  // of the features
  const float *empty, *full;                      // of the inputs
};

// A minibatch of such rows: (features, stride) and (plain, stride), a row of the minibatch in a column.
struct PiecewiseRows {
  const Piecewise* columns;
  size_t stride;
  float *values, *plain;
  uint8_t* bins;
};

// A linear layer's matrices rounded to bfloat16, two numbers in the place of a float, the first one lower: what
// products of bfloat16 read (bf16.h). Without memory where products are of floats.
struct Bf16 {
  Matrix x, dz;              // (batch, in / 2) and (batch, out / 2): two of a row
  Matrix x_pairs, dz_pairs;  // (batch / 2, in) and (batch / 2, out): two of a column
  Matrix weight, transpose;  // (in / 2, out) and (out / 2, in), likewise; the latter only with a gradient of X
};

// Z = X W + b. W is (in, out): the transpose of PyTorch's.
struct Linear {
  int in, out;
  int first_parameter, index;  // index: among the linear layers of which there are statistics, else -1
  int member;                  // which piece of its parameters is its own
  Parameter weight, bias;      // a bias without memory is none
  Matrix transpose;            // W (out, in), for the gradient of X; without memory if none is needed
  Matrix x, z, dx, dz;         // (batch, in) and (batch, out), and the gradients of the loss for them
  Bf16 bf16;
  const PiecewiseRows* piecewise;  // what x stands for where it has no values; else null
};

struct Activate {
  Activation kind;
  float slope;  // of LeakyReLU
  int width;
  Matrix z, a, dz, da;  // a may be z's memory where the derivative needs A alone
};

// An activation with a learned number for each unit, or one for all: z + alpha (f(z) - z); of PReLU
// max(0, z) + alpha min(0, z). `change`: what alpha is multiplied by.
struct Parametric {
  Activation kind;  // f
  float slope;      // of f
  bool prelu;
  int width, first_parameter;
  Parameter alpha;
  Matrix x, change, y, dx, dy;
};

// y = scale x, a learned factor for each column.
struct Scaling {
  int width, first_parameter;
  Parameter scale;
  Matrix x, y, dx, dy;
};

// y = [x, E], with outputs numbers E_d = sum_k mixing_dk cos(2 pi frequency_k x_c + phase_k) + bias_d for each of
// the columns c, those of one d side by side. Of each column there are a frequency, a phase, ... of its own: the
// parameters are (frequencies or outputs, numbers).
struct Periodic {
  int width, numbers, frequencies, outputs, first_parameter;
  int span;            // numbers, padded: where what belongs to the next k or d begins
  const int* columns;  // (numbers)
  Parameter frequency, phase, mixing, bias;
  Matrix x, y, dx, dy;
  Matrix taken, cosines, sines, de;  // (batch, numbers), twice (batch, frequencies span), (batch, outputs span)
};

// y = [columns of no category, E]: for each category (spans: its first column and that beyond its last) its
// columns times its rows of the table, (levels of all categories, outputs).
struct Categories {
  int kept, categories, outputs, first_parameter;
  const int *others, *spans;
  Parameter table;
  Matrix x, y, dx, dy;
};

// Each row once for each of the members that share what follows.
struct View {
  int members, width;
  Matrix x, y, dx, dy;  // y, dy: (batch members, width)
};

// y = x scale_k + bias_k of member k, (members, width) each; a bias without memory is none.
struct MemberScaling {
  int members, width, first_parameter;
  Parameter scale, bias;
  Matrix x, y, dx, dy;
};

// One mask a row and step: words width rounded up to 4, times the row of the minibatch.
struct Dropout {
  int width;
  double probability;  // of a number to be dropped, p
  uint32_t threshold;  // a number is kept if its word is not below this
  float scale;         // 1 / (1 - p)
  uint32_t purpose;    // stream << 8 | purpose
  Matrix x, y, dx, dy, mask;
};

// Over the minibatch (1-d). Two rows or more; of one row the running statistics are used.
struct BatchNorm {
  int width, first_parameter;
  float eps, momentum;
  Parameter gamma, beta, mean, variance;  // mean and variance: running, not moved by the optimizer
  float* inverse;                         // (width) 1 / sqrt(variance + eps) of this step
  Matrix x, normalised, y, dx, dy;
};

struct LayerNorm {
  int width, first_parameter;
  float eps;
  Parameter gamma, beta;  // without memory where there are none
  float* inverse;         // (batch)
  Matrix x, normalised, y, dx, dy;
};

// Where a residual block begins: on the way back dx, which its first node wrote, gets what comes by the shortcut.
struct Branch {
  int width;
  Matrix dx, dy;
};

// y = x + scale f: where a residual block ends. f is the block's or, where the shortcut has nodes, the
// shortcut's and x the block's. `scale` (batch) is 0 for the rows that stochastic depth leaves out.
struct Join {
  int width;
  uint32_t threshold;
  float keep_scale;  // 1 / (1 - p)
  uint32_t purpose;
  float* scale;
  Matrix x, f, y, dx, df, dy;
};

// Where the rows of the data lie, and how a value becomes an input: (x - offset) factor + shift.
struct Source {
  const void* data;
  bool bytes;  // uint8, else float
  size_t row_bytes;
  int features;
  const float* offset;  // (padded features), null if zero
  const float* factor;  // (padded features), null if one
  float shift;
  const Piecewise* piecewise;  // how a row becomes inputs; null: it is them
};

// The data loss of rows whose target is `share` of class first[m] and the rest of second[m]; or, where a
// row may have several classes, of the rows first[m] and second[m] of `labels`.
struct Loss {
  int classes;
  const uint8_t* labels;  // (samples, classes) of 0 and 1
  float pos_weight;       // factor of the loss of the labels that are 1
  const int64_t *first, *second;
  float share;
  float label_smoothing;     // share of a target spread over all classes
  const float* row_weights;  // of the rows' losses, null if one
  const float* weights;      // (classes, padded) of the loss of each class, null if one
  float weight_sum;          // over the classes
  float scale;               // of the gradient: 1 over the sum of the rows' weights
  float loss_scale;          // of the losses that are reported
};

enum class Function : int { kExp, kExpm1, kTanh, kErf, kCosOfTurns, kSinOfTurns };

struct ImageKernels;  // image_kernels.h

// What takes the place of the kernels of the same names where products are of bfloat16.
struct Bf16Kernels {
  bool emulated;  // by two products of floats for each pair, to the same bits
  void (*linear)(const Linear&, int begin, int end);
  void (*linear_back)(const Linear&, int begin, int end);
  void (*update)(const Linear&, const uint64_t* bits, int batch, const Update&, int begin, int end, RowSums* sums,
                 void* scratch);
  void (*collect)(const Linear&, const uint64_t* bits, int batch, const Update&, bool add, int begin, int end,
                  double* norms, void* scratch);
  void (*finish)(const Linear&, const Update&, int begin, int end, RowSums* sums);
  void (*round_weights)(const Linear&, int begin, int end);
};

struct Kernels {
  const char* name;
  int width;  // floats in a vector

  // x (features, padded) = scaled row of the source.
  void (*gather)(const Source&, size_t row, float* x);
  // x = share x + (1 - share) other, n of them, padded.
  void (*mix)(float* x, const float* other, float share, int n);
  // One bit for each of 64 inputs that is not zero, (words) of them.
  void (*nonzero_bits)(const float* x, int words, uint64_t* bits);

  // Rows begin .. end-1 of the minibatch, forwards and backwards.
  void (*linear)(const Linear&, int begin, int end);
  // The same where the bits of `bits` (rows, words) say which inputs are not zero.
  void (*linear_sparse)(const Linear&, const uint64_t* bits, int words, int begin, int end);
  void (*linear_back)(const Linear&, int begin, int end);
  void (*activate)(const Activate&, int begin, int end);
  void (*activate_back)(const Activate&, int begin, int end);
  void (*parametric)(const Parametric&, int begin, int end);
  void (*parametric_back)(const Parametric&, int begin, int end);
  void (*scaling)(const Scaling&, int begin, int end);
  void (*scaling_back)(const Scaling&, int begin, int end);
  void (*view)(const View&, int begin, int end);
  void (*view_back)(const View&, int begin, int end);
  void (*member_scaling)(const MemberScaling&, int begin, int end);
  void (*member_scaling_back)(const MemberScaling&, int begin, int end);
  void (*periodic)(const Periodic&, int begin, int end);
  void (*periodic_back)(const Periodic&, int begin, int end);
  void (*categories)(const Categories&, int begin, int end);
  void (*categories_back)(const Categories&, int begin, int end);
  void (*dropout)(const Dropout&, uint64_t seed, uint32_t step, int begin, int end);
  void (*dropout_back)(const Dropout&, int begin, int end);
  void (*layer_norm)(const LayerNorm&, int begin, int end);
  void (*layer_norm_back)(const LayerNorm&, int begin, int end);
  void (*join)(const Join&, uint64_t seed, uint32_t step, int begin, int end);
  void (*join_back)(const Join&, int begin, int end);      // df
  void (*branch_back)(const Branch&, int begin, int end);  // dx += dy
  // Columns begin .. end-1, whole vectors, of all rows. The way back writes (or adds to) the gradients
  // of gamma and beta.
  void (*batch_norm)(const BatchNorm&, int batch, int begin, int end);
  void (*batch_norm_back)(const BatchNorm&, int batch, bool add, int begin, int end);

  // From logits (batch, classes) to dL/dZ; writes each row's loss and whether `first` is predicted.
  void (*softmax_loss)(const Loss&, Matrix z, Matrix dz, int begin, int end, float* loss, int32_t* correct);
  // The binary case, one logit a row: the softmax of (0, z).
  void (*sigmoid_loss)(const Loss&, Matrix z, Matrix dz, int begin, int end, float* loss, int32_t* correct);
  // Several classes in a row or none: the mean of a binary loss for each logit.
  void (*label_loss)(const Loss&, Matrix z, Matrix dz, int begin, int end, float* loss, int32_t* correct);

  // W and its transpose moved by the gradient X^T dL/dZ, for rows begin .. end-1 of W. `bits` null:
  // no zeros are looked for. scratch: 64-byte aligned, 4 (batch / 32 + 1) (end - begin + 16) bytes,
  // for batches of at most 1024 rows. `sums` (rows) may be null.
  void (*update)(const Linear&, const uint64_t* bits, int batch, const Update&, int begin, int end, RowSums* sums,
                 void* scratch);
  // The same for one row and a plain step of all of W, without a transpose and zeros that are looked for; and what
  // the layer gives for the next row, z (out, padded), by the weights as they are moved.
  void (*update_and_read)(const Linear&, const Update&, const float* next, float* z);
  // In two steps, where the gradient must be whole before it is used: the first writes it or adds to
  // it, and the squares of its rows, penalties included, to `norms` (rows), which may be null.
  void (*collect)(const Linear&, const uint64_t* bits, int batch, const Update&, bool add, int begin, int end,
                  double* norms, void* scratch);
  void (*finish)(const Linear&, const Update&, int begin, int end, RowSums* sums);
  // The gradient of a bias: the sum of dL/dZ over the batch, written or added.
  void (*collect_bias)(const Linear&, int batch, bool add);
  void (*collect_layer_norm)(const LayerNorm&, int batch, bool add);
  // The gradient of numbers that `change` (batch, width) is multiplied by, written or added.
  void (*collect_products)(const Parameter&, Matrix dy, Matrix change, int width, int batch, bool add);
  void (*collect_periodic)(const Periodic&, int batch, bool add);
  void (*collect_categories)(const Categories&, int batch, bool add);
  void (*collect_member_scaling)(const MemberScaling&, int batch, bool add);
  // A parameter moved by its gradient in memory.
  void (*finish_vector)(const Parameter&, const Update&);
  // The square of its gradient's norm, penalties included.
  double (*vector_norm)(const Parameter&, const Update&);
  // Both for rows begin .. end-1 of a parameter; `sums` (rows) may be null.
  void (*finish_rows)(const Parameter&, const Update&, int begin, int end, RowSums* sums);
  void (*row_norms)(const Parameter&, const Update&, int begin, int end, double* norms);

  // The random words of blocks first .. first+blocks-1, four each (src/steepest/random.py). `words` has
  // room for 4 (blocks + 8).
  void (*random_words)(uint64_t seed, uint32_t step, uint32_t purpose, uint64_t first, int blocks,
                       uint32_t* words);

  // y[i] = f(x[i]), to be tested. n is a multiple of the width.
  void (*function)(Function which, const float* x, float* y, int n);

  // That many rounds of fused multiply-adds in registers; gives the operations done. For measuring
  // what the processor can do at most.
  double (*fma_rounds)(int64_t rounds);

  // Muon, for rows begin .. end-1 of what each writes (muon.h). The direction of a matrix of weights, and the
  // squares of its rows' norms; C = A^T A; C = A B; P = a I + b G + c P; W moved by a direction.
  void (*muon_direction)(const Parameter&, const Update&, Matrix to, int begin, int end, double* norms);
  void (*gram)(Matrix a, int rows, int columns, Matrix c, int begin, int end);
  void (*multiply_rows)(Matrix a, Matrix b, Matrix c, int depth, int columns, int begin, int end);
  void (*polynomial)(Matrix g, Matrix p, int size, const float (&coefficients)[3], int begin, int end);
  void (*muon_finish)(const Linear&, const Update&, Matrix direction, int begin, int end, RowSums* sums);

  const ImageKernels* images;
  const Bf16Kernels* bf16;
};

// The best table that this processor runs, or the one of the instruction set `forced`, if not null.
// Throws std::runtime_error if that one is unknown or cannot run here.
const Kernels& choose_kernels(const char* forced);

// The kernels with products of bfloat16: the processor's own instruction for them where it has one, unless an
// instruction set was forced.
Kernels with_bf16(const Kernels&, bool forced);

}  // namespace steepest

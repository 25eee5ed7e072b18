// What the kernels of every instruction set promise: plain structures and a table of functions.
//
// Each kernels_<isa>.cpp compiles the same source for one instruction set, inside a namespace of its
// own and without anything from the standard library, so that the linker can never pick code for a
// newer processor than the one that runs.

#pragma once

#include <cstddef>
#include <cstdint>

namespace steepest {

enum class Activation : int { kIdentity, kTanh, kSigmoid, kRelu, kLeakyRelu, kGelu, kGeluTanh, kSilu };

// A row-major matrix; `stride` is the distance of two rows in floats. Rows begin on 64 bytes and are
// padded with zeros to a whole number of vectors, so that kernels never meet a remainder.
struct Matrix {
  float* data;
  size_t stride;
  float* row(size_t i) const { return data + i * stride; }
};

// One linear layer with its activation, Z = A W + b, and what its step needs.
struct Layer {
  int in, out;
  Activation activation;
  float slope;       // of LeakyReLU
  Matrix weight;     // (in, out): W of the formula, the transpose of PyTorch's
  Matrix transpose;  // (out, in), for the gradient of A; data is null in the first layer
  Matrix velocity;   // (in, out); data is null without momentum
  float* bias;       // (out), null if there is none
  float* bias_velocity;
  Matrix pre;     // Z (batch, out); shares `post` where the derivative needs A alone
  Matrix post;    // A (batch, out)
  Matrix gradient;  // dL/dZ (batch, out)
};

struct Update {
  float rate, momentum, weight_decay;
  bool nesterov;
};

// Sums over one row of W, for the statistics of a step.
struct RowSums {
  double weight, gradient, change;  // of squares
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
};

struct Kernels {
  const char* name;
  int width;  // floats in a vector

  // x (features, padded) = scaled row of the source.
  void (*gather)(const Source&, size_t row, float* x);
  // One bit for each of 64 inputs that is not zero, (words) of them.
  void (*nonzero_bits)(const float* x, int words, uint64_t* bits);

  // Z = A W + b for rows begin .. end-1, then A' = activation(Z).
  void (*forward)(const Layer&, Matrix a, int begin, int end);
  // The same where the bits of `bits` (rows, words) say which inputs are not zero.
  void (*forward_sparse)(const Layer&, Matrix a, const uint64_t* bits, int words, int begin, int end);

  // From logits to dL/dZ = (softmax(Z) - Y) / batch; writes each row's loss and whether it is right.
  void (*softmax_loss)(const Layer&, const int64_t* targets, float scale, int begin, int end,
                       float* loss, int32_t* correct);
  // The binary case, one logit a row: dL/dZ = (sigmoid(z) - y) / batch.
  void (*sigmoid_loss)(const Layer&, const int64_t* targets, float scale, int begin, int end,
                       float* loss, int32_t* correct);
  // dL/dZ of the layer below: (dL/dZ W^T) * activation'(Z), for rows begin .. end-1.
  void (*backward)(const Layer& above, const Layer& below, int begin, int end);

  // W -= update(A^T dL/dZ) for the rows begin .. end-1 of W, and its transpose. `sums` may be null.
  void (*update)(const Layer&, Matrix a, int batch, const Update&, int begin, int end, RowSums* sums);
  // The same where most inputs are zero. scratch: 64-byte aligned, 4 (batch / 32 + 1) (end - begin +
  // 16) bytes. Batches of at most 1024 rows.
  void (*update_sparse)(const Layer&, Matrix a, const uint64_t* bits, int batch, const Update&,
                        int begin, int end, RowSums* sums, void* scratch);
  void (*update_bias)(const Layer&, int batch, const Update&);

  // The random words of blocks first .. first+blocks-1, four each (src/steepest/random.py). `words` has
  // room for 4 (blocks + 8).
  void (*random_words)(uint64_t seed, uint32_t step, uint32_t purpose, uint64_t first, int blocks,
                       uint32_t* words);

  // y[i] = f(x[i]), to be tested: 0 exp, 1 tanh, 2 erf. n is a multiple of the width.
  void (*function)(int which, const float* x, float* y, int n);

  // That many rounds of fused multiply-adds in registers; gives the operations done. For measuring
  // what the processor can do at most.
  double (*fma_rounds)(int64_t rounds);
};

// The best table that this processor runs, or the one that STEEPEST_ISA names.
// Throws std::runtime_error if that one is unknown or cannot run here.
const Kernels& choose_kernels(const char* forced);

}  // namespace steepest

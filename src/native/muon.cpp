// Muon's step of one layer, by all threads together: momentum, Newton and Schulz, the weights.

#include <cmath>
#include <utility>

#include "trainer.h"

namespace steepest {
namespace {

// Of Keller Jordan's quintic iteration, as torch.optim.Muon has them.
constexpr float kCoefficients[3] = {3.4445f, -4.7750f, 2.0315f};
constexpr int kIterations = 5;
constexpr double kLeastNorm = 1e-7;

// Rows begin .. end-1 of the transpose of `from`.
void turn(Matrix from, Matrix to, int columns, int begin, int end) {
  for (int i = begin; i < end; ++i) {
    for (int j = 0; j < columns; ++j) to.row(i)[j] = from.row(j)[i];
  }
}

}  // namespace

MuonSpace::MuonSpace(const Linear& layer)
    : rows(std::max(layer.in, layer.out)),
      columns(std::min(layer.in, layer.out)),
      turned(layer.in < layer.out),
      norms(layer.in),
      arena_(std::make_unique<Arena>()) {
  for (const bool measuring : {true, false}) {  // the arena is used twice in the same way
    // Vectors of the last rows may reach past the end: rows of zeros lie behind.
    const auto matrix = [&](int height, int width) {
      const size_t stride = stride_of(width);
      return Matrix{arena_->take(stride * (height + 64)), stride};
    };
    direction = matrix(layer.in, layer.out);
    x = turned ? matrix(rows, columns) : direction;
    other = matrix(rows, columns);
    gram = matrix(columns, columns);
    polynomial = matrix(columns, columns);
    if (measuring) arena_->allocate();
  }
}

void Trainer::take_muon_step(const Step& step, const Linear& layer, float scale, int thread, Barrier& barrier) {
  MuonSpace& space = muon_[layer.first_parameter];
  const Update u = update_of(step, layer.first_parameter, scale);
  const auto [begin, end] = rows_of(layer, thread);
  kernels_.muon_direction(layer.weight, u, space.direction, begin, end, space.norms.data());
  barrier.wait();
  double square = 0;
  for (const double norm : space.norms) square += norm;
  const float factor = float(1 / std::max(std::sqrt(square), kLeastNorm));
  const auto [first, last] = share(space.rows, thread, threads_, 1);
  const auto [upper, lower] = share(space.columns, thread, threads_, 1);
  if (space.turned) turn(space.direction, space.x, space.columns, first, last);
  for (int i = first; i < last; ++i) {
    for (int j = 0; j < space.columns; ++j) space.x.row(i)[j] *= factor;
  }
  Matrix x = space.x, other = space.other;  // a thread's own: they change places
  for (int i = 0; i < kIterations; ++i) {
    barrier.wait();
    kernels_.gram(x, space.rows, space.columns, space.gram, upper, lower);
    barrier.wait();
    kernels_.multiply_rows(space.gram, space.gram, space.polynomial, space.columns, space.columns, upper, lower);
    kernels_.polynomial(space.gram, space.polynomial, space.columns, kCoefficients, upper, lower);
    barrier.wait();
    kernels_.multiply_rows(x, space.polynomial, other, space.columns, space.columns, first, last);
    std::swap(x, other);
  }
  barrier.wait();
  if (space.turned) turn(x, space.direction, layer.out, begin, end);
  RowSums* sums = step.statistics ? sums_[layer.index].data() : nullptr;
  kernels_.muon_finish(layer, u, space.turned ? space.direction : x, begin, end, sums);
  if (settings_.bf16) kernels_.bf16->round_weights(layer, begin, end);
}

}  // namespace steepest

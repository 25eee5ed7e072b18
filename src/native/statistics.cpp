// The statistics of a step's last minibatch, layer by layer.

#include <cmath>

#include "trainer.h"

namespace steepest {

void Trainer::start_measuring(bool statistics) {
  for (size_t i = 0; statistics && i < sums_.size(); ++i) {
    sums_[i].assign(network_.watched[i].weight->rows, RowSums{});
  }
}

// Calls f(value) for each number of the last minibatch that `watched` looks at.
template <class F>
static void for_values(const Network::Watched& watched, int batch, int lanes, const F& f) {
  const Planes& planes = watched.planes;
  if (!planes.channels) {
    for (int m = 0; m < batch * watched.copies; ++m) {
      for (int n = 0; n < watched.width; ++n) f(watched.values.row(m)[n]);
    }
    return;
  }
  const int pixels = planes.height * planes.width;
  for (int m = 0; m < batch; ++m) {
    const float* image = watched.values.row(m / lanes) + m % lanes;
    for (int c = 0; c < planes.channels; ++c) {
      for (int p = 0; p < pixels; ++p) f(image[c * planes.stride + size_t(p) * lanes]);
    }
  }
}

static bool is_inactive(Activation activation, float a) {
  switch (activation) {
    case Activation::kTanh:
      return a < -0.99f || a > 0.99f;
    case Activation::kSigmoid:
      return a < 0.01f || a > 0.99f;
    default:
      return a == 0.0f;
  }
}

std::vector<LayerSums> Trainer::statistics() const {
  std::vector<LayerSums> all;
  for (size_t i = 0; i < network_.watched.size(); ++i) {
    const Network::Watched& watched = network_.watched[i];
    RowSums total{};
    for (const RowSums& row : sums_[i]) {
      total.weight += row.weight;
      total.gradient += row.gradient;
      total.change += row.change;
    }
    double count = 0, sum = 0, squares = 0, inactive = 0;
    for_values(watched, last_batch_, network_.lanes, [&](float a) {
      ++count;
      sum += a;
      inactive += is_inactive(watched.activation, a);
    });
    const double mean = sum / count;
    for_values(watched, last_batch_, network_.lanes, [&](float a) { squares += (a - mean) * (a - mean); });
    all.push_back({std::sqrt(total.weight), std::sqrt(total.gradient), std::sqrt(total.change), mean,
                   std::sqrt(squares / count), inactive / count});
  }
  return all;
}

}  // namespace steepest

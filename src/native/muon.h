// Muon: momentum whose singular values are brought near 1 (steepest/engine/optimizers.py has the formulas).
//
// The matrix is kept tall, X (n, m) with n >= m, so that one step of Newton and Schulz is three products of
// rows: G = X^T X, P = a I + b G + c G G, X P. Columns behind m are zero and stay so.

static void muon_direction(const Parameter& p, const Update& u, Matrix to, int begin, int end, double* norms) {
  for (int k = begin; k < end; ++k) {
    const size_t at = k * p.value.stride;
    double square = 0;
    for (int n = 0; n < p.columns; n += W) {
      Vec g = penalised(u, load(p.gradient + at + n), load(p.value.data + at + n)) * u.scale;
      g = select(g > u.clip_value, splat(u.clip_value), select(g < -u.clip_value, splat(-u.clip_value), g));
      const Vec old = load(p.first_moment + at + n);
      const Vec mean = old + u.one_minus_beta1 * (g - old);
      store(p.first_moment + at + n, mean);
      const Vec ahead = mean - u.one_minus_beta1 * (mean - g);
      store(to.row(k) + n, ahead);
      square += lane_sum_double(ahead * ahead);
    }
    norms[k] = square;
  }
}

struct ToMatrix {
  Matrix c;

  template <int N>
  INLINE_MEMBER void take(int k, int column, const Vec (&values)[N]) const {
#pragma GCC unroll 8
    for (int j = 0; j < N; ++j) store(c.row(k) + column + j * W, values[j]);
  }
};

static void gram(Matrix a, int rows, int columns, Matrix c, int begin, int end) {
  Linear as_layer{};
  as_layer.out = columns;
  as_layer.x = as_layer.dz = a;
  gradient_dense(as_layer, rows, begin, end, ToMatrix{c});
}

static void multiply_rows(Matrix a, Matrix b, Matrix c, int depth, int columns, int begin, int end) {
  product(a, b, c, depth, columns, nullptr, begin, end);
}

static void polynomial(Matrix g, Matrix p, int size, const float (&coefficients)[3], int begin, int end) {
  const auto [a, b, c] = coefficients;
  for (int k = begin; k < end; ++k) {
    for (int n = 0; n < size; n += W) store(p.row(k) + n, c * load(p.row(k) + n) + b * load(g.row(k) + n));
    p.row(k)[k] += a;
  }
}

static void muon_finish(const Linear& layer, const Update& u, Matrix direction, int begin, int end,
                        RowSums* sums) {
  const Parameter& p = layer.weight;
  for (int k = begin; k < end; ++k) {
    const size_t at = k * p.value.stride;
    Vec weights = {}, gradients = {}, changes = {};
    for (int n = 0; n < p.columns; n += W) {
      float* place = p.value.data + at + n;
      const Vec w = load(place), g = load(p.gradient + at + n);
      const Vec now = w - u.rate * u.weight_decay * w - u.rate * u.correction1 * load(direction.row(k) + n);
      store(place, now);
      if (u.ema_rate != 0.0f) {
        float* ema = p.ema + at + n;
        store(ema, load(ema) + u.ema_rate * (now - load(ema)));
      }
      weights += w * w;
      gradients += g * g;
      changes += (now - w) * (now - w);
    }
    if (!sums) continue;
    sums[k].weight += lane_sum_double(weights);
    sums[k].gradient += lane_sum_double(gradients);
    sums[k].change += lane_sum_double(changes);
  }
  if (layer.transpose.data) write_transpose(layer, begin, end);
}

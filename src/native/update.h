// The gradient of W finished in registers, and the optimiser applied there: no gradient is stored.
//
// dL/dW[k][n] = sum over the batch of A[m][k] dL/dZ[m][n]. PyTorch's SGD: g += weight_decay W;
// v = momentum v + g; W -= rate (v, or g + momentum v for Nesterov's form, or g without momentum).

// One row of W and N vectors of its columns, from its gradient g.
template <int N>
INLINE void apply(const Layer& layer, const Update& u, int k, int column, const Vec (&gradient)[N],
                  RowSums* sums) {
  float* w = layer.weight.row(k) + column;
  float* v = layer.velocity.data ? layer.velocity.row(k) + column : nullptr;
  Vec weights = {}, gradients = {}, changes = {};
#pragma GCC unroll 8
  for (int j = 0; j < N; ++j) {
    const Vec old = load(w + j * W);
    Vec g = gradient[j];
    if (u.weight_decay != 0.0f) g += u.weight_decay * old;
    if (v) {
      const Vec velocity = u.momentum * load(v + j * W) + g;
      store(v + j * W, velocity);
      g = u.nesterov ? g + u.momentum * velocity : velocity;
    }
    const Vec now = old - u.rate * g;
    store(w + j * W, now);
    if (sums) {
      weights += old * old;
      gradients += gradient[j] * gradient[j];
      changes += (now - old) * (now - old);
    }
  }
  if (sums) {
    sums[k].weight += lane_sum_double(weights);
    sums[k].gradient += lane_sum_double(gradients);
    sums[k].change += lane_sum_double(changes);
  }
}

template <int N>
struct UpdateRows {
  const Layer& layer;
  Matrix a;
  const Update& u;
  int batch, column;
  RowSums* sums;

  template <int M>
  void run(int k) {
    Vec gradient[M][N];
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < N; ++j) gradient[i][j] = Vec{};
    }
    const Matrix g = layer.gradient;
    multiply<M, N>(a.data + k, 1, a.stride, g.data + column, g.stride, batch, gradient);
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) apply<N>(layer, u, k + i, column, gradient[i], sums);
  }
};

struct UpdatePanels {
  const Layer& layer;
  Matrix a;
  const Update& u;
  int batch, begin, end;
  RowSums* sums;

  template <int N>
  void run(int j) {
    UpdateRows<N> rows{layer, a, u, batch, j * W, sums};
    for_rows<kTileRows<N>>(begin, end, rows);
  }
};

// Transposes W rows of W floats in log2(W) rounds of exchanging ever larger blocks.
template <int Block>
INLINE void exchange_blocks(Vec (&rows)[W]) {
  if constexpr (Block < W) {
    const Int upper = (lanes() & Block) != 0;
    const Int from_first = lanes() + (upper & (W - Block)), from_second = lanes() + (upper & (W - Block)) + Block;
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i) {
      if (i & Block) continue;
      const Vec first = rows[i], second = rows[i + Block];
      rows[i] = shuffle(first, second, from_first);
      rows[i + Block] = shuffle(first, second, from_second);
    }
    exchange_blocks<2 * Block>(rows);
  }
}

// Writes columns begin .. end-1 of the transpose from rows begin .. end-1 of W. `begin` is a multiple of
// the width, and so is `end` unless W ends there; what lies behind W is zero.
INLINE void write_transpose(const Layer& layer, int begin, int end) {
  for (int n = 0; n < layer.out; n += W) {
    const int columns = layer.out - n < W ? layer.out - n : W;
    for (int k = begin; k < end; k += W) {
      Vec block[W];
#pragma GCC unroll 16
      for (int i = 0; i < W; ++i) block[i] = load(layer.weight.row(k + i) + n);
      exchange_blocks<1>(block);
#pragma GCC unroll 16
      for (int i = 0; i < W; ++i) {
        if (i < columns) store(layer.transpose.row(n + i) + k, block[i]);
      }
    }
  }
}

static void update(const Layer& layer, Matrix a, int batch, const Update& u, int begin, int end,
                   RowSums* sums) {
  if (begin >= end) return;
  UpdatePanels panels{layer, a, u, batch, begin, end, sums};
  for_panels<kTileVectors>(padded(layer.out) / W, panels);
  if (layer.transpose.data) write_transpose(layer, begin, end);
}

static void update_bias(const Layer& layer, int batch, const Update& u) {
  if (!layer.bias) return;
  for (int n = 0; n < padded(layer.out); n += W) {
    Vec g = {};
    for (int m = 0; m < batch; ++m) g += load(layer.gradient.row(m) + n);
    const Vec old = load(layer.bias + n);
    if (u.weight_decay != 0.0f) g += u.weight_decay * old;
    if (layer.bias_velocity) {
      const Vec velocity = u.momentum * load(layer.bias_velocity + n) + g;
      store(layer.bias_velocity + n, velocity);
      g = u.nesterov ? g + u.momentum * velocity : velocity;
    }
    store(layer.bias + n, old - u.rate * g);
  }
}

// From the gradient of W in registers to the optimizer's step, or to memory where it must be whole.
//
// dL/dW[k][n] = sum over the batch of X[m][k] dL/dZ[m][n]. The formulas are PyTorch's; they are written
// out in steepest/engine/optimizers.py.

constexpr int kSparseVectors = 8;  // columns of one sweep: few, but all in registers

INLINE Vec sign(Vec w) { return select(w > 0.0f, splat(1.0f), select(w < 0.0f, splat(-1.0f), Vec{})); }

// The gradient of the loss with its penalties l1 |w| + l2 w^2.
INLINE Vec penalised(const Update& u, Vec g, Vec w) {
  if (u.l2 != 0.0f) g += 2.0f * u.l2 * w;
  if (u.l1 != 0.0f) g += u.l1 * sign(w);
  return g;
}

// Moves `vectors` vectors of weights that lie `at` floats behind the beginning of the parameter, by their
// gradients g. One function for each optimizer, with and without what may be added, so that its
// loop has no branches.
template <Optimizer kind, bool kExtras, bool kEma>
static void move_row(const Parameter& p, const Update& u, size_t at, const float* gradient, int vectors) {
  float *weights = p.value.data + at, *first = p.first_moment + at, *second = p.second_moment + at;
  const bool moving = p.first_moment != nullptr;
  for (int n = 0; n < vectors * W; n += W) {
    const Vec w = load(weights + n);
    Vec g = load(gradient + n);
    if constexpr (kExtras) {
      g = penalised(u, g, w) * u.scale;
      g = select(g > u.clip_value, splat(u.clip_value), select(g < -u.clip_value, splat(-u.clip_value), g));
    }
    Vec now = w;
    if constexpr (kind == Optimizer::kAdamW) {
      now -= u.rate * u.weight_decay * w;
    } else {
      g += u.weight_decay * w;
    }
    if constexpr (kind == Optimizer::kSgd) {
      if (moving) {
        const Vec velocity = u.momentum * load(first + n) + g;
        store(first + n, velocity);
        g = u.nesterov ? g + u.momentum * velocity : velocity;
      }
      now -= u.rate * g;
    } else if constexpr (kind == Optimizer::kRmsprop) {
      const Vec square = u.beta2 * load(second + n) + u.one_minus_beta2 * g * g;
      store(second + n, square);
      Vec step = g / (square_root(square) + u.eps);
      if (moving) {
        step += u.momentum * load(first + n);
        store(first + n, step);
      }
      now -= u.rate * step;
    } else {
      const Vec old = load(first + n);
      const Vec mean = old + u.one_minus_beta1 * (g - old);
      const Vec square = u.beta2 * load(second + n) + u.one_minus_beta2 * g * g;
      store(first + n, mean);
      store(second + n, square);
      now -= u.rate * u.correction1 * mean / (square_root(square) * u.correction2 + u.eps);
    }
    store(weights + n, now);
    if constexpr (kEma) {
      float* ema = p.ema + at + n;
      store(ema, load(ema) + u.ema_rate * (now - load(ema)));
    }
  }
}

using MoveRow = void (*)(const Parameter&, const Update&, size_t, const float*, int);

template <Optimizer kind>
INLINE MoveRow choose_move(bool extras, bool ema) {
  if (extras) return ema ? move_row<kind, true, true> : move_row<kind, true, false>;
  return ema ? move_row<kind, false, true> : move_row<kind, false, false>;
}

INLINE MoveRow choose_move(const Update& u) {
  const bool extras = u.l1 != 0.0f || u.l2 != 0.0f || u.scale != 1.0f || u.clip_value < __builtin_huge_valf();
  const bool ema = u.ema_rate != 0.0f;
  switch (u.optimizer) {
    case Optimizer::kAdam:
      return choose_move<Optimizer::kAdam>(extras, ema);
    case Optimizer::kAdamW:
      return choose_move<Optimizer::kAdamW>(extras, ema);
    case Optimizer::kRmsprop:
      return choose_move<Optimizer::kRmsprop>(extras, ema);
    default:
      return choose_move<Optimizer::kSgd>(extras, ema);
  }
}

// Brings what the step of a row needs nearer while the row before it is still being summed.
template <int N>
INLINE void prefetch_row(const Parameter& p, int k, int column) {
  const size_t at = k * p.value.stride + column;
#pragma GCC unroll 8
  for (int j = 0; j < N; ++j) {
    __builtin_prefetch(p.value.data + at + j * W, 1);
    if (p.first_moment) __builtin_prefetch(p.first_moment + at + j * W, 1);
    if (p.second_moment) __builtin_prefetch(p.second_moment + at + j * W, 1);
    if (p.ema) __builtin_prefetch(p.ema + at + j * W, 1);
  }
}

// A sink takes N vectors of the gradient of row k of W, from `column` on.

struct PlainStep {
  const Parameter& p;
  const Update& u;

  // Whether a row without gradient stays as it is.
  bool skips_zero() const { return !p.first_moment && u.weight_decay == 0.0f; }

  template <int N>
  INLINE_MEMBER void take(int k, int column, const Vec (&gradient)[N]) const {
    Vec now[N];
    take(k, column, gradient, now);
  }

  // now: the weights as they are moved.
  template <int N>
  INLINE_MEMBER void take(int k, int column, const Vec (&gradient)[N], Vec (&now)[N]) const {
    float* w = p.value.row(k) + column;
    float* v = p.first_moment ? p.first_moment + k * p.value.stride + column : nullptr;
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
      now[j] = old - u.rate * g;
      store(w + j * W, now[j]);
    }
  }
};

struct AnyStep {
  const Parameter& p;
  const Update& u;
  MoveRow move;
  RowSums* sums;

  bool skips_zero() const { return false; }

  template <int N>
  INLINE_MEMBER void take(int k, int column, const Vec (&gradient)[N]) const {
    alignas(64) float g[N * W];
#pragma GCC unroll 8
    for (int j = 0; j < N; ++j) store(g + j * W, gradient[j]);
    const size_t at = k * p.value.stride + column;
    if (sums) return measured(k, at, g, N);
    move(p, u, at, g, N);
  }

  void measured(int k, size_t at, const float* g, int vectors) const {
    const float* w = p.value.data + at;
    Vec old[kSparseVectors];
    for (int j = 0; j < vectors; ++j) old[j] = load(w + j * W);
    move(p, u, at, g, vectors);
    Vec weights = {}, gradients = {}, changes = {};
    for (int j = 0; j < vectors; ++j) {
      const Vec change = load(w + j * W) - old[j], own = load(g + j * W);
      weights += old[j] * old[j];
      gradients += own * own;
      changes += change * change;
    }
    sums[k].weight += lane_sum_double(weights);
    sums[k].gradient += lane_sum_double(gradients);
    sums[k].change += lane_sum_double(changes);
  }
};

struct ToMemory {
  const Parameter& p;
  const Update& u;
  bool add;
  double* norms;

  bool skips_zero() const { return add && !norms; }

  template <int N>
  INLINE_MEMBER void take(int k, int column, const Vec (&gradient)[N]) const {
    const size_t at = k * p.value.stride + column;
    Vec squares = {};
#pragma GCC unroll 8
    for (int j = 0; j < N; ++j) {
      const Vec g = add ? load(p.gradient + at + j * W) + gradient[j] : gradient[j];
      store(p.gradient + at + j * W, g);
      if (norms) {
        const Vec whole = penalised(u, g, load(p.value.data + at + j * W));
        squares += whole * whole;
      }
    }
    if (norms) norms[k] += lane_sum(squares);
  }
};

// Where it does not stay in the first cache by itself, the gradient of W is made a strip of its rows at a time,
// from packed pieces of X and dL/dZ. Over more rows of the minibatch than such a piece has the sums wait in
// memory.
constexpr int kStripRows = 80;                                       // an odd number of lines
constexpr int kPieceRows = 20 * 1024 / (kTileVectors * W * 4 + 64);  // of the minibatch
constexpr int kWaitingVectors = kTileVectors * 64 / W;               // columns whose sums wait at once
constexpr int kFewRows = 48;
constexpr size_t kFirstCache = 8 * 1024;  // floats

// kPacked: in pieces of the minibatch, of which the first begins the sums and the last ends them; else whole at
// once.
template <int N, bool kPacked, class Sink>
struct GradientRows {
  Matrix x, dz;  // of the strip's first row and the panel's first column
  int depth, row, column;
  Matrix sums;  // as many columns; null where the sum is whole at once
  bool adds, ends;
  const Parameter& weight;
  const Sink& sink;

  template <int M>
  void run(int k) {
    if (kPacked && ends && weight.value.data) {
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i) prefetch_row<N>(weight, row + k + i, column);
    }
    Vec gradient[M][N];
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < N; ++j) gradient[i][j] = kPacked && adds ? load(sums.row(k + i) + j * W) : Vec{};
    }
    multiply<M, N>(x.data + k, 1, x.stride, dz.data, dz.stride, depth, gradient);
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
      if (!kPacked || ends) {
        sink.template take<N>(row + k + i, column, gradient[i]);
      } else {
#pragma GCC unroll 8
        for (int j = 0; j < N; ++j) store(sums.row(k + i) + j * W, gradient[i][j]);
      }
    }
  }
};

template <bool kPacked, class Sink>
struct GradientPanels {
  const Linear& layer;
  Matrix x;  // its column 0 is row `begin` of W
  int first, last, begin, end;
  Matrix sums;  // of the columns from `vector` on
  int vector;
  bool ends;
  const Sink& sink;

  template <int N>
  void run(int j) {
    alignas(64) float packed[kPacked ? kPieceRows * N * W : 1];
    const int depth = last - first, column = (vector + j) * W;
    Matrix dz{layer.dz.row(first) + column, layer.dz.stride};
    if constexpr (kPacked) {
      pack<N>(dz.data, dz.stride, depth, packed);
      dz = {packed, size_t(N * W)};
    }
    const bool waits = first > 0 || !ends;
    GradientRows<N, kPacked, Sink> rows{
        x,         dz,   depth,        begin, column, {waits ? sums.data + j * W : nullptr, sums.stride},
        first > 0, ends, layer.weight, sink};
    for_rows<kTileRows<N>>(0, end - begin, rows);
  }
};

INLINE void prefetch(const float* p, int floats) {
  for (int i = 0; i < floats; i += 16) __builtin_prefetch(p + i, 0, 2);
}

// The gradient of at most kStripRows rows of W into a sink, from packed columns of X and panels of dL/dZ.
template <class Sink>
INLINE void gradient_strip(const Linear& layer, int batch, int begin, int end, const Sink& sink) {
  alignas(64) float packed[kPieceRows * kStripRows], sums[kStripRows * kWaitingVectors * W];
  const int vectors = padded(layer.out) / W, group = batch > kPieceRows ? kWaitingVectors : vectors;
  for (int vector = 0; vector < vectors; vector += group) {
    const int some = vectors - vector < group ? vectors - vector : group;
    for (int first = 0; first < batch; first += kPieceRows) {
      const int last = first + kPieceRows < batch ? first + kPieceRows : batch;
      for (int m = first; m < last; ++m) {
        const float* x = layer.x.row(m) + begin;
        float* to = packed + (m - first) * kStripRows;
        for (int k = 0; k < end - begin; k += W) store(to + k, load(x + k));
        if (m + kPieceRows < batch) {
          prefetch(layer.x.row(m + kPieceRows) + begin, end - begin);
          prefetch(layer.dz.row(m + kPieceRows) + vector * W, some * W);
        }
      }
      GradientPanels<true, Sink> panels{layer, {packed, kStripRows},        first,  last,          begin,
                                        end,   {sums, kWaitingVectors * W}, vector, last == batch, sink};
      for_panels<kTileVectors>(some, panels);
    }
  }
}

template <class Sink>
INLINE void gradient_unpacked(const Linear& layer, int batch, int begin, int end, const Sink& sink) {
  const Matrix x{layer.x.data + begin, layer.x.stride};
  GradientPanels<false, Sink> panels{layer, x, 0, batch, begin, end, {}, 0, true, sink};
  for_panels<kTileVectors>(padded(layer.out) / W, panels);
}

// Tiles of whole rows of W, one behind the other.
template <class Sink>
struct GradientByRows {
  const Linear& layer;
  int batch;
  const Sink& sink;

  template <int M>
  void run(int k) {
    gradient_unpacked(layer, batch, k, k + M, sink);
  }
};

INLINE bool takes_strips(const Linear& layer, int batch) {
  const bool rereads = batch >= kFewRows && size_t(batch) * (layer.in + layer.out) > kFirstCache;
  return rereads || size_t(layer.in) * layer.out > kLarge;
}

// The gradient of rows begin .. end-1 of W into a sink.
template <class Sink>
INLINE void gradient_dense(const Linear& layer, int batch, int begin, int end, const Sink& sink) {
  if (!takes_strips(layer, batch)) return gradient_unpacked(layer, batch, begin, end, sink);
  if (batch < kFewRows) {
    GradientByRows<Sink> rows{layer, batch, sink};
    return for_rows<kTileRows<kTileVectors>>(begin, end, rows);
  }
  for (int first = begin; first < end; first += kStripRows) {
    gradient_strip(layer, batch, first, first + kStripRows < end ? first + kStripRows : end, sink);
  }
}

#if !defined(STEEPEST_PAIRS)
// The weights of a panel moved by the gradient of one row of the minibatch, and read for the next row while they
// are in registers. Its sums run as those of `update` and of `product`, to the same bits.
struct UpdateAndRead {
  const Linear& layer;
  const PlainStep& step;
  const float* next;
  float* z;

  template <int N>
  void run(int j) {
    const int column = j * W;
    const float *x = layer.x.row(0), *bias = layer.bias.value.data;
    Vec dz[N], sums[N];
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) {
      dz[i] = load(layer.dz.row(0) + column + i * W);
      sums[i] = bias ? load(bias + column + i * W) : Vec{};
    }
    for (int k = 0; k < layer.in; ++k) {
      const Vec own = splat(x[k]), other = splat(next[k]);
      Vec gradient[N], now[N];
#pragma GCC unroll 8
      for (int i = 0; i < N; ++i) gradient[i] = accumulate(Vec{}, own, dz[i]);
      step.take(k, column, gradient, now);
#pragma GCC unroll 8
      for (int i = 0; i < N; ++i) sums[i] = accumulate(sums[i], other, now[i]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) store(z + column + i * W, sums[i]);
  }
};

static void update_and_read(const Linear& layer, const Update& u, const float* next, float* z) {
  const PlainStep step{layer.weight, u};
  UpdateAndRead panels{layer, step, next, z};
  for_panels<kTileVectors>(padded(layer.out) / W, panels);
}
#endif

// Writes columns begin .. end-1 of the transpose from rows begin .. end-1 of W. `begin` is a multiple of
// the width, and so is `end` unless W ends there; what lies behind W is zero.
INLINE void write_transpose(const Linear& layer, int begin, int end) {
  for (int n = 0; n < layer.out; n += W) {
    const int columns = layer.out - n < W ? layer.out - n : W;
    for (int k = begin; k < end; k += W) {
      Vec block[W];
#pragma GCC unroll 16
      for (int i = 0; i < W; ++i) block[i] = load(layer.weight.value.row(k + i) + n);
      exchange_blocks<1>(block);
#pragma GCC unroll 16
      for (int i = 0; i < W; ++i) {
        if (i < columns) store(layer.transpose.row(n + i) + k, block[i]);
      }
    }
  }
}

static void finish_rows(const Parameter& p, const Update& u, int begin, int end, RowSums* sums) {
  const AnyStep step{p, u, choose_move(u), sums};
  const int vectors = padded(p.columns) / W;
  for (int k = begin; k < end; ++k) {
    for (int j = 0; j < vectors; j += kSparseVectors) {
      const int some = vectors - j < kSparseVectors ? vectors - j : kSparseVectors;
      const size_t at = k * p.value.stride + j * W;
      if (sums) {
        step.measured(k, at, p.gradient + at, some);
      } else {
        step.move(p, u, at, p.gradient + at, some);
      }
    }
  }
}

[[maybe_unused]] static void finish(const Linear& layer, const Update& u, int begin, int end, RowSums* sums) {
  finish_rows(layer.weight, u, begin, end, sums);
  if (layer.transpose.data) write_transpose(layer, begin, end);
}

[[maybe_unused]] static void finish_vector(const Parameter& p, const Update& u) {
  finish_rows(p, u, 0, p.rows, nullptr);
}

// The square of the norm of row k of its gradient, penalties included.
INLINE double row_norm(const Parameter& p, const Update& u, int k) {
  Vec squares = {};
  for (int n = 0; n < p.columns; n += W) {
    const Vec g = penalised(u, load(p.gradient + k * p.value.stride + n), load(p.value.row(k) + n));
    squares += g * g;
  }
  return lane_sum_double(squares);
}

[[maybe_unused]] static void row_norms(const Parameter& p, const Update& u, int begin, int end, double* norms) {
  for (int k = begin; k < end; ++k) norms[k] = row_norm(p, u, k);
}

[[maybe_unused]] static double vector_norm(const Parameter& p, const Update& u) {
  double sum = 0;
  for (int k = 0; k < p.rows; ++k) {
    sum += row_norm(p, u, k);
  }
  return sum;
}

[[maybe_unused]] static void collect_bias(const Linear& layer, int batch, bool add) {
  for (int n = 0; n < layer.out; n += W) {
    Vec g = add ? load(layer.bias.gradient + n) : Vec{};
    for (int m = 0; m < batch; ++m) g += load(layer.dz.row(m) + n);
    store(layer.bias.gradient + n, g);
  }
}

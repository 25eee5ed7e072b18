// Layer 1 over piecewise linear inputs: of a feature with T bins all inputs but one are constants.
//
// Z of a row is, summed over the features, P[b] + v W[b] with b the bin of its value, v what stands in the
// input of that bin, and P[b] = sum of full[k] W[k] below b and of empty[k] W[k] above. The gradient of W[k]
// is sum of v dL/dZ over the rows of bin k, and full[k] and empty[k] times the sums of dL/dZ over the rows of
// the bins above and below. So the product takes two rows of W for a feature instead of T.

constexpr int kPiecewiseVectors = STEEPEST_REGISTERS == 32 ? 8 : 4;  // three sums of a sweep in registers

// A row of the data as all inputs of layer 1, (features, padded).
static void expand(const Piecewise& columns, const float* row, float* x, int features) {
  for (int i = 0; i < columns.features; ++i) {
    const int64_t first = columns.first[i], own = first + int64_t(row[columns.places[i]]);
    for (int64_t k = first; k < own; ++k) x[k] = columns.full[k];
    for (int64_t k = own + 1; k < first + columns.bins[i]; ++k) x[k] = columns.empty[k];
    x[own] = row[columns.values[i]];
  }
  for (int i = 0; i < columns.plain; ++i) x[columns.to[i]] = row[columns.from[i]];
  for (int k = features; k < padded(features); ++k) x[k] = 0.0f;
}

struct PiecewiseForward {
  const Linear& layer;
  const PiecewiseRows& rows;
  int begin, end;

  template <int N>
  void run(int j) {
    const int column = j * W;
    const Piecewise& columns = *rows.columns;
    for (int m = begin; m < end; ++m) {
      float* z = layer.z.row(m) + column;
#pragma GCC unroll 8
      for (int i = 0; i < N; ++i) {
        store(z + i * W, layer.bias.value.data ? load(layer.bias.value.data + column + i * W) : Vec{});
      }
    }
    for (int i = 0; i < columns.features; ++i) feature<N>(column, i);
    for (int i = 0; i < columns.plain; ++i) {
      const float* x = rows.plain + i * rows.stride;
      for (int m = begin; m < end; ++m) {
        if (x[m] != 0.0f) add<N>(layer.z.row(m) + column, nullptr, x[m], weights(columns.to[i], column));
      }
    }
  }

  INLINE_MEMBER const float* weights(int64_t k, int column) const { return layer.weight.value.row(k) + column; }

  template <int N>
  INLINE_MEMBER void feature(int column, int i) {
    alignas(64) float sums[kMostBins * N * W];
    const Piecewise& columns = *rows.columns;
    const int64_t first = columns.first[i];
    const int bins = int(columns.bins[i]);
    Vec below[N], above[N];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) below[n] = above[n] = Vec{};
    for (int b = bins - 1; b >= 0; --b) {
      const Vec empty = splat(columns.empty[first + b]);
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) {
        store(sums + (b * N + n) * W, above[n]);
        above[n] += empty * load(weights(first + b, column) + n * W);
      }
    }
    for (int b = 0; b < bins; ++b) {
      const Vec full = splat(columns.full[first + b]);
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) {
        float* sum = sums + (b * N + n) * W;
        store(sum, load(sum) + below[n]);
        below[n] += full * load(weights(first + b, column) + n * W);
      }
    }
    const float* values = rows.values + i * rows.stride;
    const uint8_t* own = rows.bins + i * rows.stride;
    for (int m = begin; m < end; ++m) {
      const int b = own[m];
      add<N>(layer.z.row(m) + column, sums + b * N * W, values[m], weights(first + b, column));
    }
  }

  // z += sums + x w.
  template <int N>
  INLINE_MEMBER void add(float* z, const float* sums, float x, const float* w) const {
    const Vec element = splat(x);
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
      Vec sum = load(z + n * W);
      if (sums) sum += load(sums + n * W);
      store(z + n * W, sum + element * load(w + n * W));
    }
  }
};

// The rows of a minibatch by the bin of one feature: those of bin b are rows[starts[b]] .. before starts[b + 1].
struct ByBin {
  uint16_t rows[kMostPiecewiseRows];
  int starts[kMostBins + 1];

  void sort(const uint8_t* bins, int batch, int count) {
    for (int b = 0; b <= count; ++b) starts[b] = 0;
    for (int m = 0; m < batch; ++m) ++starts[bins[m] + 1];
    for (int b = 0; b < count; ++b) starts[b + 1] += starts[b];
    int next[kMostBins];
    for (int b = 0; b < count; ++b) next[b] = starts[b];
    for (int m = 0; m < batch; ++m) rows[next[bins[m]]++] = static_cast<uint16_t>(m);
  }
};

template <class Sink>
struct PiecewiseGradient {
  const Linear& layer;
  const PiecewiseRows& rows;
  int batch, begin, end;  // rows of W from begin to end-1
  const Sink& sink;

  template <int N>
  void run(int j) {
    const int column = j * W;
    const Piecewise& columns = *rows.columns;
    Vec all[N];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) all[n] = Vec{};
    for (int m = 0; m < batch; ++m) {
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) all[n] += load(layer.dz.row(m) + column + n * W);
    }
    alignas(64) float totals[N * W];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) store(totals + n * W, all[n]);
    for (int i = 0; i < columns.features; ++i) {
      if (columns.first[i] < end && columns.first[i] + columns.bins[i] > begin) feature<N>(column, i, totals);
    }
    for (int i = 0; i < columns.plain; ++i) {
      if (columns.to[i] >= begin && columns.to[i] < end) plain<N>(column, i);
    }
  }

  template <int N>
  INLINE_MEMBER void feature(int column, int i, const float* totals) {
    const Piecewise& columns = *rows.columns;
    const int first = int(columns.first[i]), bins = int(columns.bins[i]);
    const float* values = rows.values + i * rows.stride;
    ByBin sorted;
    sorted.sort(rows.bins + i * rows.stride, batch, bins);
    Vec above[N];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) above[n] = Vec{};
    for (int b = bins - 1; b >= 0; --b) {
      const int k = first + b;
      if (k > begin) prefetch_row<N>(layer.weight, k - 1, column);
      Vec own[N], gradient[N];
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) own[n] = gradient[n] = Vec{};
      for (int at = sorted.starts[b]; at < sorted.starts[b + 1]; ++at) {
        const int m = sorted.rows[at];
        const Vec element = splat(values[m]);
        const float* g = layer.dz.row(m) + column;
#pragma GCC unroll 8
        for (int n = 0; n < N; ++n) {
          const Vec v = load(g + n * W);
          own[n] += v;
          gradient[n] += element * v;
        }
      }
      const Vec full = splat(columns.full[k]), empty = splat(columns.empty[k]);
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) {
        gradient[n] += full * above[n];
        above[n] += own[n];
        gradient[n] += empty * (load(totals + n * W) - above[n]);
      }
      if (k >= begin && k < end) sink.template take<N>(k, column, gradient);
    }
  }

  template <int N>
  INLINE_MEMBER void plain(int column, int i) {
    const float* x = rows.plain + i * rows.stride;
    Vec gradient[N];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) gradient[n] = Vec{};
    for (int m = 0; m < batch; ++m) {
      if (x[m] == 0.0f) continue;
      const Vec element = splat(x[m]);
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) gradient[n] += element * load(layer.dz.row(m) + column + n * W);
    }
    sink.template take<N>(int(rows.columns->to[i]), column, gradient);
  }
};

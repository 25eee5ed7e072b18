// The kernels of a linear layer whose products are of bfloat16 (bf16.h).

// 2 W numbers from column n on of a row of `width`, with zeros behind it.
INLINE Brief round_row(const float* row, int n, int width) {
  Vec first = load(row + n), second = n + W < width ? load(row + n + W) : Vec{};
  if (n + 2 * W > width) {
    first = select(lanes() < splat_int(width - n), first, Vec{});
    second = select(lanes() < splat_int(width - n - W), second, Vec{});
  }
  return round_two(first, second);
}

// Rows begin .. end-1 by twos, both ways. A last row without a second one is paired with zeros.
INLINE void round_rows(Matrix from, Matrix by_row, Matrix by_column, int width, int begin, int end) {
  for (int m = begin; m < end; m += 2) {
    const bool two = m + 1 < end;
    float* pairs = by_column.row(m / 2);
    for (int n = 0; n < width; n += 2 * W) {
      const Brief first = round_row(from.row(m), n, width);
      const Brief second = two ? round_row(from.row(m + 1), n, width) : Brief{};
      if (by_row.data) {
        store(by_row.row(m) + n / 2, first);
        if (two) store(by_row.row(m + 1) + n / 2, second);
      }
      store(pairs + n, interleave<0>(first, second));
      store(pairs + n + W, interleave<W>(first, second));
    }
  }
}

// Rows begin .. end-1 of W, from a multiple of W on, rounded, and the columns of its transpose that they are.
static void round_weights(const Linear& layer, int begin, int end) {
  for (int n = 0; n < layer.out; n += 2 * W) {
    for (int k = begin; k < end; k += W) {
      Brief rows[W];
#pragma GCC unroll 16
      for (int i = 0; i < W; ++i) rows[i] = round_row(layer.weight.value.row(k + i), n, layer.out);
#pragma GCC unroll 8
      for (int i = 0; i < W; i += 2) {
        if (k + i >= layer.in) break;
        float* pairs = layer.bf16.weight.row((k + i) / 2) + n;
        store(pairs, interleave<0>(rows[i], rows[i + 1]));
        store(pairs + W, interleave<W>(rows[i], rows[i + 1]));
      }
      if (!layer.bf16.transpose.data) continue;
      Vec block[W];
#pragma GCC unroll 16
      for (int i = 0; i < W; ++i) block[i] = as_pairs(rows[i]);
      exchange_blocks<1>(block);
#pragma GCC unroll 16
      for (int i = 0; i < W; ++i) {
        if (n + 2 * i < layer.out) store(layer.bf16.transpose.row(n / 2 + i) + k, block[i]);
      }
    }
  }
}

static void linear_rounded(const Linear& layer, int begin, int end) {
  const FlushToZero flush;
  round_rows(layer.x, layer.bf16.x, layer.bf16.x_pairs, layer.in, begin, end);
  product(layer.bf16.x, layer.bf16.weight, layer.z, (layer.in + 1) / 2, layer.out, layer.bias.value.data, begin,
          end);
}

static void linear_back_rounded(const Linear& layer, int begin, int end) {
  const FlushToZero flush;
  round_rows(layer.dz, layer.bf16.dz, layer.bf16.dz_pairs, layer.out, begin, end);
  if (!layer.dx.data) return;
  product(layer.bf16.dz, layer.bf16.transpose, layer.dx, (layer.out + 1) / 2, layer.in, nullptr, begin, end);
}

// The layer with the pairs of two rows of the minibatch as one.
INLINE Linear by_pairs(const Linear& layer) {
  Linear pairs = layer;
  pairs.x = layer.bf16.x_pairs;
  pairs.dz = layer.bf16.dz_pairs;
  return pairs;
}

static void update_rounded(const Linear& layer, const uint64_t*, int batch, const Update& u, int begin, int end,
                           RowSums* sums, void*) {
  const FlushToZero flush;
  const Linear pairs = by_pairs(layer);
  for (int first = begin; first < end; first += kStripRows) {
    const int last = first + kStripRows < end ? first + kStripRows : end;
    if (!sums && u.plain()) {
      gradient_dense(pairs, (batch + 1) / 2, first, last, PlainStep{layer.weight, u});
    } else {
      gradient_dense(pairs, (batch + 1) / 2, first, last, AnyStep{layer.weight, u, choose_move(u), sums});
    }
    round_weights(layer, first, last);
  }
}

static void collect_rounded(const Linear& layer, const uint64_t*, int batch, const Update& u, bool add, int begin,
                            int end, double* norms, void*) {
  if (begin >= end) return;
  const FlushToZero flush;
  gradient_dense(by_pairs(layer), (batch + 1) / 2, begin, end, ToMemory{layer.weight, u, add, norms});
}

static void finish_rounded(const Linear& layer, const Update& u, int begin, int end, RowSums* sums) {
  finish_rows(layer.weight, u, begin, end, sums);
  round_weights(layer, begin, end);
}

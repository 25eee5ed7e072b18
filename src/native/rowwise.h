// C = A B^T for few rows of A: of each row of B, as it lies, its products with the rows of A. W then needs no
// transpose beside it for the gradient of X, which each update would write anew; with many rows of the minibatch
// that is cheaper than these sums, which end across the lanes.
//
// A number is the sum of W sums, lane by lane, that run upwards over the columns, and then of these: it does not
// depend on the tile or the thread that computes it. What lies in rows behind their last column is zero.

// Rows of B and rows of A whose sums are in registers together.
constexpr int kRowwiseRows = 4, kRowwiseTogether = STEEPEST_REGISTERS == 32 ? 4 : 2;

template <int M>
INLINE void row_sums(Matrix a, Matrix b, int i, int k, int vectors, Vec (*sums)[W]) {
  Vec own[M][kRowwiseRows] = {};
  for (int n = 0; n < vectors * W; n += W) {
    Vec factors[M];
#pragma GCC unroll 4
    for (int r = 0; r < M; ++r) factors[r] = load(a.row(i + r) + n);
#pragma GCC unroll 4
    for (int j = 0; j < kRowwiseRows; ++j) {
      const Vec row = load(b.row(k + j) + n);
#pragma GCC unroll 4
      for (int r = 0; r < M; ++r) own[r][j] += factors[r] * row;
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < M; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < kRowwiseRows; ++j) sums[r][k % W + j] = own[r][j];
  }
}

struct RowwiseProduct {
  Matrix a, b, c;
  int k, vectors;

  // Columns k .. k+W-1 of rows i .. i+M-1 of C.
  template <int M>
  void run(int i) {
    Vec sums[M][W];
#pragma GCC unroll 16
    for (int j = 0; j < W; j += kRowwiseRows) row_sums<M>(a, b, i, k + j, vectors, sums);
#pragma GCC unroll 4
    for (int r = 0; r < M; ++r) {
      exchange_blocks<1>(sums[r]);
      Vec total = sums[r][0];
#pragma GCC unroll 16
      for (int j = 1; j < W; ++j) total += sums[r][j];
      store(c.row(i + r) + k, total);
    }
  }
};

// Rows begin .. end-1 of C, `columns` of A and B; B has `rows` rows, and memory for W more.
INLINE void product_rowwise(Matrix a, Matrix b, Matrix c, int rows, int columns, int begin, int end) {
  for (int k = 0; k < rows; k += W) {
    RowwiseProduct tiles{a, b, c, k, padded(columns) / W};
    for_rows<kRowwiseTogether>(begin, end, tiles);
  }
}

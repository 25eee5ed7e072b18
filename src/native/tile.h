// The one micro-kernel, and the dense products made of it.
//
// C[i][n] += sum_k A(i, k) B[k][n]: A is broadcast and may lie in any way (element (i, k) is at
// a[i * row_step + k * k_step]), rows of B and C are vectors. The sum over k always runs upwards, so a
// number does not depend on the tile or the thread that computes it.

// Rows of a tile for each number of vectors in its columns, so that the tile stays in registers.
#if STEEPEST_REGISTERS == 32
constexpr int kTileVectors = 4;
template <int N>
constexpr int kTileRows = N == 1   ? 12
                          : N == 2 ? 12
                          : N == 3 ? 8
                                   : 6;
#else
constexpr int kTileVectors = 3;
template <int N>
constexpr int kTileRows = N == 1   ? 8
                          : N == 2 ? 6
                                   : 4;
#endif

template <int M, int N>
INLINE void multiply(const float* a, size_t row_step, size_t k_step, const float* b, size_t b_stride, int depth,
                     Vec (&c)[M][N]) {
  for (int k = 0; k < depth; ++k, a += k_step, b += b_stride) {
    Vec columns[N];
#pragma GCC unroll 8
    for (int j = 0; j < N; ++j) columns[j] = load(b + j * W);
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
      const Vec element = splat(a[i * row_step]);
#pragma GCC unroll 8
      for (int j = 0; j < N; ++j) c[i][j] += element * columns[j];
    }
  }
}

// Calls f.run<M>(i) for tiles that cover the rows begin .. end-1, the last one as high as is left.
template <int M, class F>
INLINE void last_rows(int left, int i, F& f) {
  if constexpr (M > 0) {
    if (left == M) return f.template run<M>(i);
    last_rows<M - 1>(left, i, f);
  }
}
template <int M, class F>
INLINE void for_rows(int begin, int end, F& f) {
  int i = begin;
  for (; i + M <= end; i += M) f.template run<M>(i);
  last_rows<M - 1>(end - i, i, f);
}

// Calls f.run<N>(first vector) for panels of at most Most vectors that cover `vectors` of them.
template <int N, class F>
INLINE void last_panel(int left, int j, F& f) {
  if constexpr (N > 0) {
    if (left == N) return f.template run<N>(j);
    last_panel<N - 1>(left, j, f);
  }
}
template <int Most, class F>
INLINE void for_panels(int vectors, F& f) {
  int j = 0;
  for (; j + Most <= vectors; j += Most) f.template run<Most>(j);
  last_panel<Most - 1>(vectors - j, j, f);
}

// C = A B (+ bias) for rows begin .. end-1 of A and C, `depth` columns of A, `vectors` of C.
template <int N>
struct ProductRows {
  Matrix a;
  const float* b;
  size_t b_stride;
  int depth;
  const float* bias;
  float* c;
  size_t c_stride;

  template <int M>
  void run(int i) {
    Vec sums[M][N];
#pragma GCC unroll 8
    for (int j = 0; j < N; ++j) {
      const Vec start = bias ? load(bias + j * W) : Vec{};
#pragma GCC unroll 16
      for (int r = 0; r < M; ++r) sums[r][j] = start;
    }
    multiply<M, N>(a.row(i), a.stride, 1, b, b_stride, depth, sums);
#pragma GCC unroll 16
    for (int r = 0; r < M; ++r) {
#pragma GCC unroll 8
      for (int j = 0; j < N; ++j) store(c + (i + r) * c_stride + j * W, sums[r][j]);
    }
  }
};

struct Product {
  Matrix a, b, c;
  int depth, begin, end;
  const float* bias;

  template <int N>
  void run(int j) {
    ProductRows<N> rows{a,       b.data + j * W, b.stride, depth, bias ? bias + j * W : nullptr, c.data + j * W,
                        c.stride};
    for_rows<kTileRows<N>>(begin, end, rows);
  }
};

INLINE void product(Matrix a, Matrix b, Matrix c, int depth, int columns, const float* bias, int begin, int end) {
  Product panels{a, b, c, depth, begin, end, bias};
  for_panels<kTileVectors>(padded(columns) / W, panels);
}

// The one micro-kernel, and the dense products made of it.
//
// C[i][n] += sum_k A(i, k) B[k][n]: A is broadcast and may lie in any way (element (i, k) is at
// a[i * row_step + k * k_step]), rows of B and C are vectors. The sum over k always runs upwards, so a
// number does not depend on the tile or the thread that computes it. Where STEEPEST_PAIRS is defined (bf16.inc), a
// number of A or B stands for two of the product in bfloat16, and k for two of their columns or rows.

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

#if !defined(STEEPEST_PAIRS)
INLINE Vec accumulate(Vec sum, Vec a, Vec b) { return sum + a * b; }
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
      for (int j = 0; j < N; ++j) c[i][j] = accumulate(c[i][j], element, columns[j]);
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

// Calls f.run<N>(first vector) for panels of at most Most vectors that cover `vectors` of them. No panel of one
// vector is left over, whose tile has too few sums to keep the multiplier busy.
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
  for (; j + Most <= vectors && vectors - j != Most + 1; j += Most) f.template run<Most>(j);
  if (vectors - j == Most + 1) {
    f.template run<Most - 1>(j);
    j += Most - 1;
  }
  last_panel<Most - 1>(vectors - j, j, f);
}

// Of a panel of B so many bytes lie in the first cache, with room for rows of A and C beside them.
constexpr int kPanelBytes = 24 * 1024;
constexpr int kPanelDepth = kPanelBytes / (kTileVectors * W * 4);
// Rows of a block of A, of that depth, which stays in the second cache.
constexpr int kBlockRows = 256 * 1024 / (kPanelDepth * 4);

// A matrix of more floats does not stay in the second cache. What packing costs is worth it for so many rows.
constexpr size_t kLarge = 512 * 1024;
constexpr int kRowsWorthPacking = 128, kRowsWorthPackingLarge = 32;
// Where there are few rows of A, whole rows of B that are read side by side for each tile of those: a panel of
// them comes from far for the first tile, and is in the first cache for the others.
constexpr int kFewRowsDepth = 8;

// Rows first .. first+depth-1 of N vectors of B, one behind the other.
template <int N>
INLINE void pack(const float* b, size_t b_stride, int depth, float* packed) {
  for (int k = 0; k < depth; ++k) {
#pragma GCC unroll 8
    for (int j = 0; j < N; ++j) store(packed + (k * N + j) * W, load(b + k * b_stride + j * W));
  }
}

// C = A B (+ bias), or C += A B, for rows begin .. end-1 of A and C, `depth` columns of A. kPieces: the depth may
// be a piece of the whole, and panels of B may be packed.
template <int N, bool kPieces>
struct ProductRows {
  Matrix a;
  const float* b;
  size_t b_stride;
  int depth;
  bool adds;
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
      for (int r = 0; r < M; ++r) sums[r][j] = kPieces && adds ? load(c + (i + r) * c_stride + j * W) : start;
    }
    multiply<M, N>(a.row(i), a.stride, 1, b, b_stride, depth, sums);
#pragma GCC unroll 16
    for (int r = 0; r < M; ++r) {
#pragma GCC unroll 8
      for (int j = 0; j < N; ++j) store(c + (i + r) * c_stride + j * W, sums[r][j]);
    }
  }
};

template <bool kPieces>
struct Product {
  Matrix a, b, c;
  int depth, begin, end;
  const float* bias;
  bool adds, packs;

  template <int N>
  void run(int j) {
    alignas(64) float packed[kPieces ? kPanelDepth * N * W : 1];
    const float* panel = b.data + j * W;
    size_t stride = b.stride;
    if (kPieces && packs) {
      pack<N>(panel, stride, depth, packed);
      panel = packed;
      stride = N * W;
    }
    ProductRows<N, kPieces> rows{
        a, panel, stride, depth, adds, bias ? bias + j * W : nullptr, c.data + j * W, c.stride};
    for_rows<kTileRows<N>>(begin, end, rows);
  }
};

// Where there are many rows, A is taken in blocks that stay in the second cache, and a panel of B of some depth is
// packed and read by all of its rows; the sums so far wait in C, which changes no bit of them. Where there are few
// and B is large, whole rows of B are read one behind the other.
INLINE void product(Matrix a, Matrix b, Matrix c, int depth, int columns, const float* bias, int begin, int end) {
  const bool large = size_t(depth) * columns > kLarge;
  const bool packs = end - begin >= (large ? kRowsWorthPackingLarge : kRowsWorthPacking);
  if (!large && !packs) {
    Product<false> panels{a, b, c, depth, begin, end, bias, false, false};
    return for_panels<kTileVectors>(padded(columns) / W, panels);
  }
  const int tiles = (end - begin + kTileRows<kTileVectors> - 1) / kTileRows<kTileVectors>;
  const int piece = packs ? kPanelDepth : kFewRowsDepth * tiles, block = packs ? kBlockRows : end - begin;
  for (int first = begin; first < end; first += block) {
    const int last = first + block < end ? first + block : end;
    for (int k = 0; k < depth; k += piece) {
      const int some = depth - k < piece ? depth - k : piece;
      Product<true> panels{{a.data + k, a.stride}, {b.row(k), b.stride}, c, some, first, last, bias, k > 0, packs};
      for_panels<kTileVectors>(padded(columns) / W, panels);
    }
  }
}

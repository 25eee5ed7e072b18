// Layer 1 where many inputs are exactly zero: their products are left out, which changes no bit of a
// sum while the weights are finite (adding 0 w changes nothing).

constexpr int kSparseVectors = 8;  // columns of one sweep: few, but all in registers

// One bit for each of the W values that is not zero, the first lane lowest.
INLINE uint64_t lane_bits(Vec x) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask(reinterpret_cast<__m512>(x), _mm512_setzero_ps(), _CMP_NEQ_UQ);
#elif defined(__AVX__)
  return _mm256_movemask_ps(reinterpret_cast<__m256>(x != 0.0f));
#elif defined(__SSE2__)
  return _mm_movemask_ps(reinterpret_cast<__m128>(x != 0.0f));
#else
  const Int nonzero = x != 0.0f;
  uint64_t bits = 0;
  for (int i = 0; i < W; ++i) bits |= static_cast<uint64_t>(nonzero[i] & 1) << i;
  return bits;
#endif
}

static void nonzero_bits(const float* x, int words, uint64_t* bits) {
  for (int word = 0; word < words; ++word) {
    uint64_t found = 0;
    for (int i = 0; i < 64; i += W) found |= lane_bits(load(x + word * 64 + i)) << i;
    bits[word] = found;
  }
}

struct SparseForward {
  const Layer& layer;
  Matrix a;
  const uint64_t* bits;
  int words, begin, end;

  // 64 rows of W at a time stay in the first cache while all rows of the batch use them.
  template <int N>
  void run(int j) {
    for (int word = 0; word < words; ++word) {
      for (int i = begin; i < end; ++i) sweep<N>(j * W, word, i);
    }
  }

  template <int N>
  INLINE_MEMBER void sweep(int column, int word, int i) {
    float* z = layer.pre.row(i) + column;
    Vec sums[N];
#pragma GCC unroll 8
    for (int j = 0; j < N; ++j) {
      const Vec start = layer.bias ? load(layer.bias + column + j * W) : Vec{};
      sums[j] = word == 0 ? start : load(z + j * W);
    }
    const float* x = a.row(i) + word * 64;
    const float* w = layer.weight.row(word * 64) + column;
    for (uint64_t left = bits[static_cast<size_t>(i) * words + word]; left; left &= left - 1) {
      const int k = __builtin_ctzll(left);
      const Vec element = splat(x[k]);
#pragma GCC unroll 8
      for (int j = 0; j < N; ++j) {
        sums[j] += element * load(w + static_cast<size_t>(k) * layer.weight.stride + j * W);
      }
    }
#pragma GCC unroll 8
    for (int j = 0; j < N; ++j) store(z + j * W, sums[j]);
  }
};

// The batch is walked in chunks of 32 rows, whose zeros in one input are the bits of one word.
struct SparseUpdate {
  const Layer& layer;
  Matrix a;
  const Update& u;
  int batch, begin, end;
  RowSums* sums;
  bool plain;  // an input that is zero in all rows leaves its weights as they are
  const Int* masks;  // (chunks, vectors of inputs from `begin`)

  template <int N>
  void run(int j) {
    const int column = j * W;
    const int chunks = (batch + 31) / 32, vectors = (end - begin + W - 1) / W;
    for (int k = begin; k < end; ++k) {
      const int vector = (k - begin) / W, lane = (k - begin) % W;
      Vec gradient[N];
#pragma GCC unroll 8
      for (int i = 0; i < N; ++i) gradient[i] = Vec{};
      uint32_t any = 0;
      for (int chunk = 0; chunk < chunks; ++chunk) {
        const int32_t* lanes = reinterpret_cast<const int32_t*>(masks + chunk * vectors + vector);
        const uint32_t rows = static_cast<uint32_t>(lanes[lane]);
        any |= rows;
        for (uint32_t left = rows; left; left &= left - 1) {
          const int m = chunk * 32 + __builtin_ctz(left);
          const Vec element = splat(a.row(m)[k]);
          const float* g = layer.gradient.row(m) + column;
#pragma GCC unroll 8
          for (int i = 0; i < N; ++i) gradient[i] += element * load(g + i * W);
        }
      }
      if (any || !plain) apply<N>(layer, u, k, column, gradient, sums);
    }
  }
};

// A batch of one row and plain SGD: only the weights of inputs that are not zero move.
struct SparseRankOne {
  const Layer& layer;
  const float* x;
  const uint64_t* bits;
  float rate;
  int begin, end;

  template <int N>
  void run(int j) {
    Vec gradient[N];
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) gradient[i] = load(layer.gradient.row(0) + (j + i) * W);
    for (int word = begin / 64; word * 64 < end; ++word) {
      for (uint64_t left = bits[word]; left; left &= left - 1) {
        const int k = word * 64 + __builtin_ctzll(left);
        if (k < begin || k >= end) continue;
        const Vec element = splat(x[k]);
        float* w = layer.weight.row(k) + j * W;
#pragma GCC unroll 8
        for (int i = 0; i < N; ++i) store(w + i * W, load(w + i * W) - rate * (element * gradient[i]));
      }
    }
  }
};

static void update_sparse(const Layer& layer, Matrix a, const uint64_t* bits, int batch,
                          const Update& u, int begin, int end, RowSums* sums, void* scratch) {
  if (begin >= end) return;
  const bool plain = !layer.velocity.data && u.weight_decay == 0.0f && !sums;
  const int vectors = padded(layer.out) / W;
  if (batch == 1 && plain) {
    SparseRankOne panels{layer, a.row(0), bits, u.rate, begin, end};
    return for_panels<kSparseVectors>(vectors, panels);
  }
  Int* masks = static_cast<Int*>(scratch);
  const int groups = (end - begin + W - 1) / W;
  for (int group = 0; group < groups; ++group) {
    for (int first = 0; first < batch; first += 32) {
      const int last = first + 32 < batch ? first + 32 : batch;
      Int mask = {};
      for (int m = first; m < last; ++m) {
        const Int bit = splat_int(static_cast<int32_t>(1u << (m - first)));
        mask |= (load(a.row(m) + begin + group * W) != 0.0f) & bit;
      }
      masks[first / 32 * groups + group] = mask;
    }
  }
  SparseUpdate panels{layer, a, u, batch, begin, end, sums, plain, masks};
  for_panels<kSparseVectors>(vectors, panels);
}

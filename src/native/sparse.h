// Layer 1 where many inputs are exactly zero: their products are left out, which changes no bit of a
// sum while the weights are finite (adding 0 w changes nothing).

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
  const Linear& layer;
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
    float* z = layer.z.row(i) + column;
    Vec sums[N];
#pragma GCC unroll 8
    for (int j = 0; j < N; ++j) {
      const Vec start = layer.bias.value.data ? load(layer.bias.value.data + column + j * W) : Vec{};
      sums[j] = word == 0 ? start : load(z + j * W);
    }
    const float* x = layer.x.row(i) + word * 64;
    const float* w = layer.weight.value.row(word * 64) + column;
    for (uint64_t left = bits[static_cast<size_t>(i) * words + word]; left; left &= left - 1) {
      const int k = __builtin_ctzll(left);
      const Vec element = splat(x[k]);
#pragma GCC unroll 8
      for (int j = 0; j < N; ++j) {
        sums[j] += element * load(w + static_cast<size_t>(k) * layer.weight.value.stride + j * W);
      }
    }
#pragma GCC unroll 8
    for (int j = 0; j < N; ++j) store(z + j * W, sums[j]);
  }
};

// The batch is walked in chunks of 32 rows, whose zeros in one input are the bits of one word.
template <class Sink>
struct SparseGradient {
  const Linear& layer;
  int batch, begin, end;
  const Int* masks;  // (chunks, vectors of inputs from `begin`)
  const Sink& sink;

  template <int N>
  void run(int j) {
    const int column = j * W;
    const int chunks = (batch + 31) / 32, vectors = (end - begin + W - 1) / W;
    const bool skips_zero = sink.skips_zero();
    for (int k = begin; k < end; ++k) {
      const int vector = (k - begin) / W, lane = (k - begin) % W;
      prefetch_row<N>(layer.weight, k + 1, column);
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
          const Vec element = splat(layer.x.row(m)[k]);
          const float* g = layer.dz.row(m) + column;
#pragma GCC unroll 8
          for (int i = 0; i < N; ++i) gradient[i] += element * load(g + i * W);
        }
      }
      if (any || !skips_zero) sink.template take<N>(k, column, gradient);
    }
  }
};

// A batch of one row and plain SGD: only the weights of inputs that are not zero move.
struct SparseRankOne {
  const Linear& layer;
  const float* x;
  const uint64_t* bits;
  float rate;
  int begin, end;

  template <int N>
  void run(int j) {
    Vec gradient[N];
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) gradient[i] = load(layer.dz.row(0) + (j + i) * W);
    for (int word = begin / 64; word * 64 < end; ++word) {
      for (uint64_t left = bits[word]; left; left &= left - 1) {
        const int k = word * 64 + __builtin_ctzll(left);
        if (k < begin || k >= end) continue;
        const Vec element = splat(x[k]);
        float* w = layer.weight.value.row(k) + j * W;
#pragma GCC unroll 8
        for (int i = 0; i < N; ++i) store(w + i * W, load(w + i * W) - rate * (element * gradient[i]));
      }
    }
  }
};

template <class Sink>
INLINE void gradient_sparse(const Linear& layer, int batch, int begin, int end, void* scratch, const Sink& sink) {
  Int* masks = static_cast<Int*>(scratch);
  const int groups = (end - begin + W - 1) / W;
  for (int group = 0; group < groups; ++group) {
    for (int first = 0; first < batch; first += 32) {
      const int last = first + 32 < batch ? first + 32 : batch;
      Int mask = {};
      for (int m = first; m < last; ++m) {
        const Int bit = splat_int(static_cast<int32_t>(1u << (m - first)));
        mask |= (load(layer.x.row(m) + begin + group * W) != 0.0f) & bit;
      }
      masks[first / 32 * groups + group] = mask;
    }
  }
  SparseGradient<Sink> panels{layer, batch, begin, end, masks, sink};
  for_panels<kSparseVectors>(padded(layer.out) / W, panels);
}

template <class Sink>
INLINE void gradient(const Linear& layer, const uint64_t* bits, int batch, int begin, int end, void* scratch,
                     const Sink& sink) {
  if (layer.piecewise) {
    PiecewiseGradient<Sink> panels{layer, *layer.piecewise, batch, begin, end, sink};
    return for_panels<kPiecewiseVectors>(padded(layer.out) / W, panels);
  }
  if (bits) return gradient_sparse(layer, batch, begin, end, scratch, sink);
  gradient_dense(layer, batch, begin, end, sink);
}

static void update(const Linear& layer, const uint64_t* bits, int batch, const Update& u, int begin, int end,
                   RowSums* sums, void* scratch) {
  if (begin >= end) return;
  // The transpose of a strip is written while it is in the second cache.
  const bool by_strips = layer.transpose.data && !bits && takes_strips(layer, batch);
  const int strip = by_strips ? kStripRows : end - begin;
  for (int first = begin; first < end; first += strip) {
    const int last = first + strip < end ? first + strip : end;
    if (sums || !u.plain()) {
      gradient(layer, bits, batch, first, last, scratch, AnyStep{layer.weight, u, choose_move(u), sums});
    } else if (const PlainStep step{layer.weight, u}; bits && batch == 1 && step.skips_zero()) {
      SparseRankOne panels{layer, layer.x.row(0), bits, u.rate, begin, end};
      for_panels<kSparseVectors>(padded(layer.out) / W, panels);
    } else {
      gradient(layer, bits, batch, first, last, scratch, step);
    }
    if (layer.transpose.data) write_transpose(layer, first, last);
  }
}

static void collect(const Linear& layer, const uint64_t* bits, int batch, const Update& u, bool add, int begin,
                    int end, double* norms, void* scratch) {
  if (begin >= end) return;
  gradient(layer, bits, batch, begin, end, scratch, ToMemory{layer.weight, u, add, norms});
}

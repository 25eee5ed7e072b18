// Vectors of floats by GCC's and Clang's vector extensions: one source for every instruction set.
// Included inside a namespace by each kernels_<isa>.cpp, which defines STEEPEST_WIDTH.

constexpr int W = STEEPEST_WIDTH;
typedef float Vec __attribute__((vector_size(W * 4)));
typedef int32_t Int __attribute__((vector_size(W * 4)));
// The same, where nothing is known of the address.
typedef float LooseVec __attribute__((vector_size(W * 4), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

INLINE Vec load(const float* p) { return *reinterpret_cast<const LooseVec*>(p); }
INLINE void store(float* p, Vec v) { *reinterpret_cast<LooseVec*>(p) = v; }
INLINE Vec splat(float x) { return x - Vec{}; }
INLINE Int splat_int(int32_t x) { return x - Int{}; }
INLINE Vec as_float(Int i) { return reinterpret_cast<Vec>(i); }
INLINE Int as_int(Vec v) { return reinterpret_cast<Int>(v); }
INLINE Vec select(Int mask, Vec yes, Vec no) { return as_float((mask & as_int(yes)) | (~mask & as_int(no))); }
INLINE Vec maximum(Vec a, Vec b) { return select(a > b, a, b); }
INLINE Vec minimum(Vec a, Vec b) { return select(a < b, a, b); }
INLINE Vec absolute(Vec v) { return as_float(as_int(v) & splat_int(0x7fffffff)); }
INLINE Vec square_root(Vec v) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vec>(_mm512_sqrt_ps(reinterpret_cast<__m512>(v)));
#elif defined(__AVX__)
  return reinterpret_cast<Vec>(_mm256_sqrt_ps(reinterpret_cast<__m256>(v)));
#elif defined(__SSE2__)
  return reinterpret_cast<Vec>(_mm_sqrt_ps(reinterpret_cast<__m128>(v)));
#else
  for (int i = 0; i < W; ++i) v[i] = __builtin_sqrtf(v[i]);
  return v;
#endif
}
// c + a b, rounded once.
INLINE Vec fused(Vec c, Vec a, Vec b) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vec>(
      _mm512_fmadd_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b), reinterpret_cast<__m512>(c)));
#elif defined(__FMA__)
  return reinterpret_cast<Vec>(
      _mm256_fmadd_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b), reinterpret_cast<__m256>(c)));
#else
  for (int i = 0; i < W; ++i) c[i] = __builtin_fmaf(a[i], b[i], c[i]);
  return c;
#endif
}
INLINE Vec to_float(Int i) { return __builtin_convertvector(i, Vec); }
INLINE Int to_int(Vec v) { return __builtin_convertvector(v, Int); }

// Sums and maxima over the lanes, by halves.
template <int N>
struct Lanes {
  typedef float type __attribute__((vector_size(N * 4)));
};
template <int N, class F>
INLINE float fold(typename Lanes<N>::type v, F f) {
  if constexpr (N == 2) {
    return f(v[0], v[1]);
  } else {
    typename Lanes<N / 2>::type half[2];
    __builtin_memcpy(half, &v, sizeof v);
    return fold<N / 2>(f(half[0], half[1]), f);
  }
}
INLINE float lane_sum(Vec v) {
  return fold<W>(v, [](auto a, auto b) { return a + b; });
}
INLINE float lane_max(Vec v) {
  return fold<W>(v, [](auto a, auto b) { return a > b ? a : b; });
}
INLINE double lane_sum_double(Vec v) {
  double sum = 0;
  for (int i = 0; i < W; ++i) sum += v[i];
  return sum;
}
INLINE Int lanes() {
  Int numbers;
  for (int i = 0; i < W; ++i) numbers[i] = i;
  return numbers;
}
// Lane i of the result is lane which[i] of the two vectors, the second counted from W.
INLINE Vec shuffle(Vec first, Vec second, Int which) {
#if defined(__clang__)
  Vec result;
  for (int i = 0; i < W; ++i) result[i] = which[i] < W ? first[which[i]] : second[which[i] - W];
  return result;
#else
  return __builtin_shuffle(first, second, which);
#endif
}
INLINE int padded(int n) { return (n + W - 1) / W * W; }

// Philox 4x32-10 (Salmon et al., SC 2011), as in src/steepest/random.py: W / 2 blocks at a time, the
// words of a block in the lower halves of 64-bit lanes.

typedef uint64_t Wide __attribute__((vector_size(W * 4)));
typedef uint64_t LooseWide __attribute__((vector_size(W * 4), aligned(4), may_alias));
constexpr int kWideLanes = W / 2;

INLINE Wide splat_wide(uint64_t x) { return x - Wide{}; }

// The 64-bit products of the lower halves. Compilers do not see that half the work suffices.
INLINE Wide multiply_halves(Wide a, Wide b) {
#if defined(__AVX512F__)
  return reinterpret_cast<Wide>(_mm512_mul_epu32(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif defined(__AVX2__)
  return reinterpret_cast<Wide>(_mm256_mul_epu32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#elif defined(__SSE2__)
  return reinterpret_cast<Wide>(_mm_mul_epu32(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#else
  return (a & 0xFFFFFFFFu) * (b & 0xFFFFFFFFu);
#endif
}

// Words 4 first .. 4 (first + blocks) - 1 of a (seed, step, purpose). `words` has room for a whole
// number of vectors.
static void random_words(uint64_t seed, uint32_t step, uint32_t purpose, uint64_t first, int blocks,
                         uint32_t* words) {
  Wide lane, upper, lower;
  for (int i = 0; i < kWideLanes; ++i) {
    lane[i] = i;
    lower[i] = i / 2 + (i % 2) * kWideLanes;  // blocks lie one after the other
    upper[i] = lower[i] + kWideLanes / 2;
  }
  const Wide m0 = splat_wide(0xD2511F53u), m1 = splat_wide(0xCD9E8D57u), low = splat_wide(0xFFFFFFFFu);
  for (int b = 0; b < blocks; b += kWideLanes) {
    const Wide block = first + b + lane;
    Wide c0 = block & low, c1 = block >> 32, c2 = splat_wide(step), c3 = splat_wide(purpose);
    uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
    for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
      const Wide p0 = multiply_halves(c0, m0), p1 = multiply_halves(c2, m1);
      c0 = (p1 >> 32) ^ c1 ^ splat_wide(k0);
      c2 = (p0 >> 32) ^ c3 ^ splat_wide(k1);
      c1 = p1 & low;
      c3 = p0 & low;
    }
    const Wide even = c0 | c1 << 32, odd = c2 | c3 << 32;
    LooseWide* to = reinterpret_cast<LooseWide*>(words + 4 * b);
#if defined(__clang__)
    for (int i = 0; i < 2 * kWideLanes; ++i) to[i / kWideLanes][i % kWideLanes] = i % 2 ? odd[i / 2] : even[i / 2];
    (void)upper, (void)lower;
#else
    to[0] = __builtin_shuffle(even, odd, lower);
    to[1] = __builtin_shuffle(even, odd, upper);
#endif
  }
}

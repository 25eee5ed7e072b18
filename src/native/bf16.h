// Products of bfloat16: operands rounded to it, sums in float32.
//
// What a product sums up lies in pairs, two numbers in the place of a float, so that the dense kernels of tile.h
// and update.h run as they are over half as many places. One pair adds, to a sum s, first its upper product and
// then its lower one, each rounded once and with numbers below 2^-126 taken as zeros: what x86's VDPBF16PS does
// (Intel's manual, volume 2C), and what two fused multiply-adds do elsewhere, to the last bit.
//
// X and dL/dZ are rounded on the way through the layer, by rows of the minibatch, of which each thread takes a
// multiple of two; the weights themselves stay float32, and their rounded copies are written wherever they move.

typedef uint16_t Brief __attribute__((vector_size(W * 4)));  // 2 W numbers
typedef uint16_t LooseBrief __attribute__((vector_size(W * 4), aligned(4), may_alias));

INLINE void store(float* p, Brief v) { *reinterpret_cast<LooseBrief*>(p) = v; }
INLINE Vec as_pairs(Brief v) { return reinterpret_cast<Vec>(v); }

// While it lives, results below 2^-126 are zeros, and so are such operands, as for VDPBF16PS.
class FlushToZero {
 public:
#if defined(__SSE2__)
  FlushToZero() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
  ~FlushToZero() { _mm_setcsr(before_); }

 private:
  unsigned before_;
#elif defined(__aarch64__)
  FlushToZero() {
    __asm__ volatile("mrs %0, fpcr" : "=r"(before_));
    __asm__ volatile("msr fpcr, %0" ::"r"(before_ | (uint64_t{1} << 24)) : "memory");
  }
  ~FlushToZero() { __asm__ volatile("msr fpcr, %0" ::"r"(before_) : "memory"); }

 private:
  uint64_t before_;
#endif
};

// Lanes 2 i and 2 i + 1 of the result are lane `from` + i of each of the two.
template <int From>
INLINE Brief interleave(Brief first, Brief second) {
  Brief which;
  for (int i = 0; i < W; ++i) {
    which[2 * i] = static_cast<uint16_t>(From + i);
    which[2 * i + 1] = static_cast<uint16_t>(2 * W + From + i);
  }
#if defined(__clang__)
  Brief result;
  for (int i = 0; i < 2 * W; ++i) result[i] = which[i] < 2 * W ? first[which[i]] : second[which[i] - 2 * W];
  return result;
#else
  return __builtin_shuffle(first, second, which);
#endif
}

#if !defined(__AVX512BF16__)
// To nearest, ties to even, in the upper halves; NaN stays NaN.
INLINE Int rounded(Vec v) {
  const Int bits = as_int(v), magnitude = bits & 0x7fffffff;
  const Int nearest = bits + 0x7fff + ((bits >> 16) & 1);
  const Int small = magnitude < 0x00800000, nan = magnitude > 0x7f800000;
  const Int sign = bits & splat_int(INT32_MIN);
  return (small & sign) | (nan & (bits | 0x00400000)) | (~small & ~nan & nearest);
}
#endif

// The numbers of the first, then those of the second.
INLINE Brief round_two(Vec first, Vec second) {
#if defined(__AVX512BF16__)
  return reinterpret_cast<Brief>(
      _mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(second), reinterpret_cast<__m512>(first)));
#else
  const Brief low = reinterpret_cast<Brief>(rounded(first)), high = reinterpret_cast<Brief>(rounded(second));
  Brief which;
  for (int i = 0; i < 2 * W; ++i) which[i] = static_cast<uint16_t>(2 * i + 1);
#if defined(__clang__)
  Brief result;
  for (int i = 0; i < 2 * W; ++i) result[i] = which[i] < 2 * W ? low[which[i]] : high[which[i] - 2 * W];
  return result;
#else
  return __builtin_shuffle(low, high, which);
#endif
#endif
}

// sum + (upper a)(upper b) + (lower a)(lower b), in this order.
#define STEEPEST_PAIRS
INLINE Vec accumulate(Vec sum, Vec a, Vec b) {
#if defined(__AVX512BF16__)
  return reinterpret_cast<Vec>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sum), reinterpret_cast<__m512bh>(a),
                                                reinterpret_cast<__m512bh>(b)));
#else
  const Int upper = splat_int(static_cast<int32_t>(0xffff0000));
  sum = fused(sum, as_float(as_int(a) & upper), as_float(as_int(b) & upper));
  return fused(sum, as_float(as_int(a) << 16), as_float(as_int(b) << 16));
#endif
}

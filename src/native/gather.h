// A row of the data as inputs of layer 1: x = (x - offset) factor + shift, in float32.

// W bytes. Compilers turn the conversion of a vector of bytes into W scalar ones, hence intrinsics.
INLINE Vec load_bytes(const uint8_t* from) {
#if defined(__AVX512F__)
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return to_float(reinterpret_cast<Int>(_mm512_cvtepu8_epi32(bytes)));
#elif defined(__AVX2__)
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
  return to_float(reinterpret_cast<Int>(_mm256_cvtepu8_epi32(bytes)));
#elif defined(__SSE4_1__)
  int32_t word;
  __builtin_memcpy(&word, from, 4);
  return to_float(reinterpret_cast<Int>(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(word))));
#else
  typedef uint8_t Bytes __attribute__((vector_size(W), aligned(1), may_alias));
  return to_float(__builtin_convertvector(*reinterpret_cast<const Bytes*>(from), Int));
#endif
}

// The last bytes of a row: nothing past them is read.
INLINE Vec load_last_bytes(const uint8_t* from, int count) {
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  const __m128i bytes = _mm_maskz_loadu_epi8(static_cast<__mmask16>((1u << count) - 1), from);
  return to_float(reinterpret_cast<Int>(_mm512_cvtepu8_epi32(bytes)));
#else
  Vec v = {};
  for (int i = 0; i < count; ++i) v[i] = from[i];
  return v;
#endif
}

// A mapped file's floats may lie anywhere, so none is read as an aligned one.
typedef float AnywhereVec __attribute__((vector_size(W * 4), aligned(1), may_alias));
INLINE Vec load_floats(const void* from) { return *static_cast<const AnywhereVec*>(from); }

INLINE Vec load_last_floats(const float* from, int count) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vec>(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), from));
#else
  Vec v = {};
  for (int i = 0; i < count; ++i) {
    float x;
    __builtin_memcpy(&x, reinterpret_cast<const char*>(from) + sizeof(float) * i, sizeof(float));
    v[i] = x;
  }
  return v;
#endif
}

INLINE Vec scaled(const Source& source, Vec v, int i) {
  if (source.offset) v = v - load(source.offset + i);
  return source.factor ? v * load(source.factor + i) + source.shift : v;
}

static void gather(const Source& source, size_t row, float* x) {
  const char* from = static_cast<const char*>(source.data) + row * source.row_bytes;
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(from);
  const float* floats = reinterpret_cast<const float*>(from);
  if (source.piecewise) return expand(*source.piecewise, floats, x, source.features);
  int i = 0;
  for (; i + W <= source.features; i += W) {
    const Vec v = source.bytes ? load_bytes(bytes + i) : load_floats(floats + i);
    store(x + i, scaled(source, v, i));
  }
  if (const int left = source.features - i) {
    const Vec v = source.bytes ? load_last_bytes(bytes + i, left) : load_last_floats(floats + i, left);
    // A shift must not reach the padding.
    store(x + i, select(lanes() < left, scaled(source, v, i), Vec{}));
  }
}

static void mix(float* x, const float* other, float share, int n) {
  for (int i = 0; i < n; i += W) store(x + i, share * load(x + i) + (1.0f - share) * load(other + i));
}

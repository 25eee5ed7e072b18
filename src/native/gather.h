// A row of the data as inputs of layer 1: x = (x - offset) factor + shift, in float32.

// W bytes, the last ones missing where there are fewer: nothing past the row is read.
INLINE Vec load_bytes(const uint8_t* from, int count) {
  typedef uint8_t Bytes __attribute__((vector_size(W), aligned(1), may_alias));
  if (count >= W) return to_float(__builtin_convertvector(*reinterpret_cast<const Bytes*>(from), Int));
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  const __m128i bytes = _mm_maskz_loadu_epi8(static_cast<__mmask16>((1u << count) - 1), from);
  return reinterpret_cast<Vec>(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)));
#else
  Vec v = {};
  for (int i = 0; i < count; ++i) v[i] = from[i];
  return v;
#endif
}

INLINE Vec load_floats(const float* from, int count) {
  if (count >= W) return load(from);
#if defined(__AVX512F__)
  return reinterpret_cast<Vec>(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), from));
#else
  Vec v = {};
  for (int i = 0; i < count; ++i) v[i] = from[i];
  return v;
#endif
}

static void gather(const Source& source, size_t row, float* x) {
  const char* from = static_cast<const char*>(source.data) + row * source.row_bytes;
  for (int i = 0; i < source.features; i += W) {
    const int left = source.features - i;
    Vec v = source.bytes ? load_bytes(reinterpret_cast<const uint8_t*>(from) + i, left)
                         : load_floats(reinterpret_cast<const float*>(from) + i, left);
    if (source.offset) v = v - load(source.offset + i);
    if (source.factor) v = v * load(source.factor + i) + source.shift;
    // A shift must not reach the padding.
    if (left < W) v = select(lanes() < left, v, Vec{});
    store(x + i, v);
  }
}

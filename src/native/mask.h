// Dropout and stochastic depth: masks from the random words of (seed, step, row).

typedef uint32_t Unsigned __attribute__((vector_size(W * 4)));
typedef uint32_t LooseUnsigned __attribute__((vector_size(W * 4), aligned(4), may_alias));

// y = x mask, where the mask is `scale` or 0 for each number.
static void dropout(const Dropout& layer, uint64_t seed, uint32_t step, int begin, int end) {
  constexpr int kBlocks = 64;
  alignas(64) uint32_t words[4 * (kBlocks + 8)];
  const int blocks = (layer.width + 3) / 4;
  for (int m = begin; m < end; ++m) {
    const float* x = layer.x.row(m);
    float *y = layer.y.row(m), *mask = layer.mask.row(m);
    for (int first = 0; first < blocks; first += kBlocks) {
      const int count = blocks - first < kBlocks ? blocks - first : kBlocks;
      random_words(seed, step, layer.purpose, static_cast<uint64_t>(m) * blocks + first, count, words);
      for (int n = 4 * first; n < 4 * first + 4 * count; n += W) {
        const Unsigned word = *reinterpret_cast<const LooseUnsigned*>(words + n - 4 * first);
        const Vec kept = select(word >= layer.threshold, splat(layer.scale), Vec{});
        store(mask + n, kept);
        store(y + n, load(x + n) * kept);
      }
    }
  }
}

static void dropout_back(const Dropout& layer, int begin, int end) {
  if (!layer.dx.data) return;
  for (int m = begin; m < end; ++m) {
    for (int n = 0; n < layer.width; n += W) {
      store(layer.dx.row(m) + n, load(layer.dy.row(m) + n) * load(layer.mask.row(m) + n));
    }
  }
}

static void join(const Join& layer, uint64_t seed, uint32_t step, int begin, int end) {
  for (int m = begin; m < end; ++m) {
    uint32_t words[4 * (1 + 8)];
    if (layer.threshold) random_words(seed, step, layer.purpose, m / 4, 1, words);
    const float scale = !layer.threshold ? 1.0f : words[m % 4] >= layer.threshold ? layer.keep_scale : 0.0f;
    layer.scale[m] = scale;
    const float *x = layer.x.row(m), *f = layer.f.row(m);
    for (int n = 0; n < layer.width; n += W) store(layer.y.row(m) + n, load(x + n) + scale * load(f + n));
  }
}

static void join_back(const Join& layer, int begin, int end) {
  if (!layer.df.data) return;
  for (int m = begin; m < end; ++m) {
    const float scale = layer.scale[m];
    for (int n = 0; n < layer.width; n += W) {
      store(layer.df.row(m) + n, scale * load(layer.dy.row(m) + n));
    }
  }
}

static void branch_back(const Branch& layer, int begin, int end) {
  if (!layer.dx.data) return;
  for (int m = begin; m < end; ++m) {
    float* dx = layer.dx.row(m);
    for (int n = 0; n < layer.width; n += W) store(dx + n, load(dx + n) + load(layer.dy.row(m) + n));
  }
}

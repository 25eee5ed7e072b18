// Dropout of channels and stochastic depth, for a block of images, each with factors of its own.

// For channels begin .. end-1: y = x times `scale` or 0.
static void channel_dropout(const ChannelDropout& layer, uint64_t seed, uint32_t step, int block, int begin,
                            int end) {
  constexpr int kBlocks = 16;
  uint32_t words[4 * (kBlocks + 8)];
  const int channels = layer.planes.channels, blocks = (channels + 3) / 4;
  const int pixels = layer.planes.height * layer.planes.width;
  float* mask = layer.mask + static_cast<size_t>(block) * channels * W;
  for (int i = 0; i < W; ++i) {
    const uint64_t row = static_cast<uint64_t>(block * W + i) * blocks;
    for (int first = begin / 4; 4 * first < end; first += kBlocks) {
      random_words(seed, step, layer.purpose, row + first, kBlocks, words);
      for (int c = 4 * first < begin ? begin : 4 * first; c < end && c < 4 * (first + kBlocks); ++c) {
        mask[c * W + i] = words[c - 4 * first] >= layer.threshold ? layer.scale : 0.0f;
      }
    }
  }
  for (int c = begin; c < end; ++c) {
    const Vec kept = load(mask + c * W);
    const float* x = layer.x.row(block) + c * layer.planes.stride;
    float* y = layer.y.row(block) + c * layer.planes.stride;
    for (int p = 0; p < pixels; ++p) store(y + p * W, load(x + p * W) * kept);
  }
}

static void channel_dropout_back(const ChannelDropout& layer, int block, int begin, int end) {
  if (!layer.dx.data) return;
  const int pixels = layer.planes.height * layer.planes.width;
  for (int c = begin; c < end; ++c) {
    const Vec kept = load(layer.mask + (static_cast<size_t>(block) * layer.planes.channels + c) * W);
    const float* dy = layer.dy.row(block) + c * layer.planes.stride;
    float* dx = layer.dx.row(block) + c * layer.planes.stride;
    for (int p = 0; p < pixels; ++p) store(dx + p * W, load(dy + p * W) * kept);
  }
}

static void join(const Join& layer, uint64_t seed, uint32_t step, int block) {
  float* scales = layer.scale + block * W;
  for (int i = 0; i < W; ++i) {
    uint32_t words[4 * (1 + 8)];
    const int m = block * W + i;
    if (layer.threshold) random_words(seed, step, layer.purpose, m / 4, 1, words);
    scales[i] = !layer.threshold ? 1.0f : words[m % 4] >= layer.threshold ? layer.keep_scale : 0.0f;
  }
  const Vec scale = load(scales);
  const float *x = layer.x.row(block), *f = layer.f.row(block);
  float* y = layer.y.row(block);
  for (int n = 0; n < layer.width; n += W) store(y + n, load(x + n) + scale * load(f + n));
}

static void join_back(const Join& layer, int block) {
  if (!layer.df.data) return;
  const Vec scale = load(layer.scale + block * W);
  const float* dy = layer.dy.row(block);
  float* df = layer.df.row(block);
  for (int n = 0; n < layer.width; n += W) store(df + n, scale * load(dy + n));
}

// Images with margins of zeros, of their own pixels mirrored or repeated, or of those of the other side.

// Calls f(whether it is a copy, of which pixel, the pixel itself) for those of channel c with its margins.
template <class F>
INLINE void for_padded(const Pad& layer, int c, F f) {
  size_t to = c * layer.to.stride;
  for (int i = 0; i < layer.to.height; ++i) {
    for (int j = 0; j < layer.to.width; ++j, to += W) {
      const int row = layer.rows[i], column = layer.columns[j];
      const bool inside = row >= 0 && column >= 0;
      f(inside, c * layer.from.stride + (inside ? (size_t(row) * layer.from.width + column) * W : 0), to);
    }
  }
}

static void pad(const Pad& layer, int block, int begin, int end) {
  const float* x = layer.x.row(block);
  float* y = layer.y.row(block);
  for (int c = begin; c < end; ++c) {
    for_padded(layer, c,
               [&](bool inside, size_t from, size_t to) { store(y + to, inside ? load(x + from) : Vec{}); });
  }
}

// A pixel gets the gradients of all its copies.
static void pad_back(const Pad& layer, int block, int begin, int end) {
  if (!layer.dx.data) return;
  const float* dy = layer.dy.row(block);
  float* dx = layer.dx.row(block);
  __builtin_memset(dx + begin * layer.from.stride, 0, sizeof(float) * (end - begin) * layer.from.stride);
  for (int c = begin; c < end; ++c) {
    for_padded(layer, c, [&](bool inside, size_t from, size_t to) {
      if (inside) store(dx + from, load(dx + from) + load(dy + to));
    });
  }
}

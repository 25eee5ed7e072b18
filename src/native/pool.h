// Windows of images: their largest number, their mean; rows of numbers as images.

template <class F>
INLINE void for_windows(const Pool& layer, int begin, int end, F f) {
  for (int c = begin; c < end; ++c) {
    for (int i = 0; i < layer.to.height; ++i) {
      const int top = layer.rows[2 * i], bottom = layer.rows[2 * i + 1];
      for (int j = 0; j < layer.to.width; ++j) {
        const int left = layer.columns[2 * j], right = layer.columns[2 * j + 1];
        const size_t from = c * layer.from.stride + (size_t(top) * layer.from.width + left) * W;
        const size_t to = c * layer.to.stride + (size_t(i) * layer.to.width + j) * W;
        f(from, bottom - top, right - left, to);
      }
    }
  }
}

INLINE float mean_factor(const Pool& layer, int pixels) {
  return 1.0f / float(layer.divisor ? layer.divisor : pixels);
}

INLINE Vec larger(Vec a, Vec b) { return select((b <= a) | (a != a), a, b); }  // NaN is taken, and stays

// Calls f(first pixel of a window, where its result is) for windows of 2 x 2, one beside the other.
template <class F>
INLINE void for_halves(const Pool& layer, int begin, int end, F f) {
  for (int c = begin; c < end; ++c) {
    for (int i = 0; i < layer.to.height; ++i) {
      size_t from = c * layer.from.stride + size_t(2 * i) * layer.from.width * W;
      size_t to = c * layer.to.stride + size_t(i) * layer.to.width * W;
      for (int j = 0; j < layer.to.width; ++j, from += 2 * W, to += W) f(from, to);
    }
  }
}

// Pixels behind the last whole windows have no gradient.
static void largest_of_halves_back(const Pool& layer, int block, int begin, int end) {
  const float *x = layer.x.row(block), *y = layer.y.row(block), *dy = layer.dy.row(block);
  float* dx = layer.dx.row(block);
  const size_t line = size_t(layer.from.width) * W;
  for_halves(layer, begin, end, [&](size_t from, size_t to) {
    const Vec g = load(dy + to), largest = load(y + to);
    const Int first = load(x + from) == largest, second = (load(x + from + W) == largest) & ~first;
    const Int before = first | second, third = (load(x + from + line) == largest) & ~before;
    const Int fourth = (load(x + from + line + W) == largest) & ~(before | third);
    store(dx + from, select(first, g, Vec{}));
    store(dx + from + W, select(second, g, Vec{}));
    store(dx + from + line, select(third, g, Vec{}));
    store(dx + from + line + W, select(fourth, g, Vec{}));
  });
  const int rows = 2 * layer.to.height, columns = 2 * layer.to.width;
  for (int c = begin; c < end; ++c) {
    for (int i = 0; i < layer.from.height; ++i) {
      for (int j = i < rows ? columns : 0; j < layer.from.width; ++j) {
        store(dx + c * layer.from.stride + i * line + j * W, Vec{});
      }
    }
  }
}

static void pool(const Pool& layer, int block, int begin, int end) {
  const float* x = layer.x.row(block);
  float* y = layer.y.row(block);
  const size_t line = size_t(layer.from.width) * W;
  if (layer.halves && !layer.mean) {
    return for_halves(layer, begin, end, [&](size_t from, size_t to) {
      const Vec above = larger(load(x + from), load(x + from + W));
      store(y + to, larger(above, larger(load(x + from + line), load(x + from + line + W))));
    });
  }
  for_windows(layer, begin, end, [&](size_t from, int rows, int columns, size_t to) {
    if (layer.mean) {
      Vec sum = {};
      for (int i = 0; i < rows; ++i) {
        for (int j = 0; j < columns; ++j) sum += load(x + from + i * line + j * W);
      }
      return store(y + to, sum * mean_factor(layer, rows * columns));
    }
    Vec largest = load(x + from);
    for (int i = 0; i < rows; ++i) {
      for (int j = i == 0; j < columns; ++j) {
        largest = larger(largest, load(x + from + i * line + j * W));
      }
    }
    store(y + to, largest);
  });
}

// The gradient of a largest number goes to the first of its window that is as large, as in PyTorch.
static void pool_back(const Pool& layer, int block, int begin, int end) {
  if (!layer.dx.data) return;
  if (layer.halves && !layer.mean) return largest_of_halves_back(layer, block, begin, end);
  const float *x = layer.x.row(block), *y = layer.y.row(block), *dy = layer.dy.row(block);
  float* dx = layer.dx.row(block);
  const size_t line = size_t(layer.from.width) * W;
  __builtin_memset(dx + begin * layer.from.stride, 0, sizeof(float) * (end - begin) * layer.from.stride);
  for_windows(layer, begin, end, [&](size_t from, int rows, int columns, size_t to) {
    const Vec g = load(dy + to);
    if (layer.mean) {
      const Vec share = g * mean_factor(layer, rows * columns);
      for (int i = 0; i < rows; ++i) {
        for (int j = 0; j < columns; ++j) {
          float* d = dx + from + i * line + j * W;
          store(d, load(d) + share);
        }
      }
      return;
    }
    const Vec largest = load(y + to);
    Int left = splat_int(-1);
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < columns; ++j) {
        const size_t at = from + i * line + j * W;
        const Int hit = (load(x + at) == largest) & left;
        left &= ~hit;
        const Vec taken = select(hit, g, Vec{});
        store(dx + at, layer.disjoint ? taken : load(dx + at) + taken);
      }
    }
  });
}

// How the numbers of a row lie as images: lines of them, beside each other in the row. Of one pixel the channels
// are a line.
struct RowLines {
  int count, length;
  size_t line, number;  // of two in the images, in floats
};
INLINE RowLines lines_of(const Planes& planes) {
  const int pixels = planes.height * planes.width;
  if (pixels == 1) return {1, planes.channels, 0, planes.stride};
  return {planes.channels, pixels, planes.stride, W};
}

// Exchanges rows of W numbers with vectors of W images.
INLINE void to_images(const Planes& planes, Matrix rows, int first_row, int count, float* images) {
  const RowLines lines = lines_of(planes);
  for (int c = 0; c < lines.count; ++c) {
    for (int p = 0; p < lines.length; p += W) {
      Vec block[W];
#pragma GCC unroll 16
      for (int i = 0; i < W; ++i) {
        block[i] = i < count ? load(rows.row(first_row + i) + c * lines.length + p) : Vec{};
      }
      exchange_blocks<1>(block);
#pragma GCC unroll 16
      for (int i = 0; i < W; ++i) {
        if (p + i < lines.length) store(images + c * lines.line + (p + i) * lines.number, block[i]);
      }
    }
  }
}

INLINE void to_rows(const Planes& planes, const float* images, Matrix rows, int first_row, int count) {
  const RowLines lines = lines_of(planes);
  for (int c = 0; c < lines.count; ++c) {
    for (int p = 0; p < lines.length; p += W) {
      const int left = lines.length - p;
      Vec block[W];
#pragma GCC unroll 16
      for (int i = 0; i < W; ++i) {
        block[i] = i < left ? load(images + c * lines.line + (p + i) * lines.number) : Vec{};
      }
      exchange_blocks<1>(block);
#pragma GCC unroll 16
      for (int i = 0; i < W; ++i) {
        if (i >= count) continue;
        float* to = rows.row(first_row + i) + c * lines.length + p;
        if (left >= W) {
          store(to, block[i]);
        } else {
          __builtin_memcpy(to, &block[i], sizeof(float) * left);
        }
      }
    }
  }
}

static void interleave(const Interleave& layer, int block, int count) {
  if (layer.to_images) return to_images(layer.planes, layer.rows, block * W, count, layer.images.row(block));
  to_rows(layer.planes, layer.images.row(block), layer.rows, block * W, count);
}

static void interleave_back(const Interleave& layer, int block, int count) {
  if (!layer.drows.data) return;
  if (layer.to_images) return to_rows(layer.planes, layer.dimages.row(block), layer.drows, block * W, count);
  to_images(layer.planes, layer.drows, block * W, count, layer.dimages.row(block));
}

// Convolution of blocks of images (image_kernels.h): forward, to the inputs, to the weights.
//
// z[o][y][x] = b[o] + sum over c, i, j of w[o][c][i][j] x[c][y s + i d - top][x s + j d - left], each number of
// an image being a vector over images. It is the micro-kernel of tile.h whose depth runs over channels and taps:
// the weight is broadcast, and the pixels of a line are its vectors. The sum runs over channels, then taps.

// out[r][line][j] = bias[r] + sum over channels and taps of a[r + channel a_channel + tap] times
// b[channel b_channel + pixel of the tap + line b_line + j b_pixel].
struct Correlation {
  const float* a;
  size_t a_channel;
  const float* b;
  size_t b_channel, b_line, b_pixel;
  float* out;
  size_t out_row, out_line, out_pixel;
  const float* bias;
  const Tap* taps;
  int count, channels, rows, lines, columns;
  // Where b has numbers and no zeros around them, and how far a line and a column of the result are apart in it.
  Frame frame;
  int line_step, column_step;
};

// The taps that meet numbers of b for some of the columns j .. j+columns-1 of a line: what is left out adds zeros.
constexpr int kMostTaps = 64;
INLINE int meeting(const Correlation& c, int line, int j, int columns, Tap (&kept)[kMostTaps]) {
  int count = 0;
  for (int t = 0; t < c.count; ++t) {
    const Tap tap = c.taps[t];
    const int row = line * c.line_step + tap.row, first = j * c.column_step + tap.column;
    const int last = first + (columns - 1) * c.column_step;
    kept[count] = tap;
    count += row >= c.frame.top && row < c.frame.bottom && last >= c.frame.left && first < c.frame.right;
  }
  return count;
}

// kBeside: whether the pixels of neighbouring columns lie beside each other.
template <int N, bool kBeside>
struct CorrelationRows {
  const Correlation& c;
  const float* b;
  float* out;
  const Tap* taps;
  int count;

  template <int M>
  void run(int i) {
    Vec sums[M][N];
#pragma GCC unroll 16
    for (int r = 0; r < M; ++r) {
      const Vec start = c.bias ? splat(c.bias[i + r]) : Vec{};
#pragma GCC unroll 8
      for (int j = 0; j < N; ++j) sums[r][j] = start;
    }
    const float *weights = c.a + i, *pixels = b;
    const size_t b_pixel = kBeside ? W : c.b_pixel;
    for (int channel = 0; channel < c.channels; ++channel, weights += c.a_channel, pixels += c.b_channel) {
      for (int t = 0; t < count; ++t) {
        const float *weight = weights + taps[t].weight, *pixel = pixels + taps[t].pixel;
        Vec line[N];
#pragma GCC unroll 8
        for (int j = 0; j < N; ++j) line[j] = load(pixel + j * b_pixel);
#pragma GCC unroll 16
        for (int r = 0; r < M; ++r) {
          const Vec element = splat(weight[r]);
#pragma GCC unroll 8
          for (int j = 0; j < N; ++j) sums[r][j] += element * line[j];
        }
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < M; ++r) {
#pragma GCC unroll 8
      for (int j = 0; j < N; ++j) store(out + (i + r) * c.out_row + j * c.out_pixel, sums[r][j]);
    }
  }
};

template <bool kBeside>
struct CorrelationLine {
  const Correlation& c;
  const float* b;
  float* out;
  int line, first_row, last_row;

  template <int N>
  void run(int j) {
    CorrelationRows<N, kBeside> rows{c, b + j * c.b_pixel, out + j * c.out_pixel, c.taps, c.count};
    Tap kept[kMostTaps];
    if (c.frame.bottom && c.count < kMostTaps) {
      rows.count = meeting(c, line, j, N, kept);
      rows.taps = kept;
    }
    for_rows<kTileRows<N>>(first_row, last_row, rows);
  }
};

// Weights of so many rows at a time pass all pixels, that they stay in the second cache: whole tiles of any
// height.
constexpr int kWholeTiles = 24;
constexpr size_t kWeightBytes = 256 * 1024;

template <bool kBeside>
static void correlate_lines(const Correlation& c) {
  const size_t bytes = sizeof(float) * c.channels * c.count * kWholeTiles;
  const int group = kWholeTiles * int(bytes < kWeightBytes ? kWeightBytes / (bytes + 1) : 1);
  for (int row = 0; row < c.rows; row += group) {
    const int last = row + group < c.rows ? row + group : c.rows;
    for (int line = 0; line < c.lines; ++line) {
      CorrelationLine<kBeside> panels{c, c.b + line * c.b_line, c.out + line * c.out_line, line, row, last};
      for_panels<kTileVectors>(c.columns, panels);
    }
  }
}

INLINE void correlate(const Correlation& c) {
  if (c.b_pixel == W) return correlate_lines<true>(c);
  correlate_lines<false>(c);
}

INLINE float* put_zeros(float* to, int vectors) {
  for (int i = 0; i < vectors; ++i) store(to + i * W, Vec{});
  return to + vectors * W;
}

// The images with zeros around them, in scratch.
static const float* put_frame(const float* x, const Planes& from, const Planes& to, const Frame& frame,
                              float* scratch) {
  const int top = frame.top, left = frame.left;
  const int rows = from.height < to.height - top ? from.height : to.height - top;
  const int columns = from.width < to.width - left ? from.width : to.width - left;
  for (int c = 0; c < from.channels; ++c) {
    float* at = put_zeros(scratch + c * to.stride, top * to.width + left);
    for (int i = 0; i < rows; ++i) {
      const float* line = x + c * from.stride + size_t(i) * from.width * W;
      for (int j = 0; j < columns; ++j) store(at + j * W, load(line + j * W));
      const bool last = i + 1 == rows;
      const int behind = to.width - left - columns;
      at = put_zeros(at + columns * W, last ? behind + (to.height - top - rows) * to.width : behind + left);
    }
  }
  return scratch;
}

static const float* padded_inputs(const Convolution& layer, float* scratch, int block) {
  const float* x = layer.x.row(block);
  return layer.pads_x ? put_frame(x, layer.from, layer.padded_x, layer.x_frame, scratch) : x;
}

static void convolve(const Convolution& layer, float* scratch, int block) {
  const float* x = padded_inputs(layer, scratch, block);
  const int in = layer.from.channels / layer.groups, out = layer.to.channels / layer.groups;
  for (int g = 0; g < layer.groups; ++g) {
    correlate({.a = layer.by_output.data + g * out,
               .a_channel = layer.taps * layer.by_output.stride,
               .b = x + size_t(g) * in * layer.padded_x.stride,
               .b_channel = layer.padded_x.stride,
               .b_line = size_t(layer.row_step) * layer.padded_x.width * W,
               .b_pixel = size_t(layer.column_step) * W,
               .out = layer.z.row(block) + size_t(g) * out * layer.to.stride,
               .out_row = layer.to.stride,
               .out_line = size_t(layer.to.width) * W,
               .out_pixel = W,
               .bias = layer.bias.value.data ? layer.bias.value.data + g * out : nullptr,
               .taps = layer.forward,
               .count = layer.taps,
               .channels = in,
               .rows = out,
               .lines = layer.to.height,
               .columns = layer.to.width,
               .frame = layer.x_frame,
               .line_step = layer.row_step,
               .column_step = layer.column_step});
  }
}

// dL/dx[c][y][x] = sum over o, i, j of w[o][c][i][j] dL/dz[o][(y + top - i d) / s][(x + left - j d) / s], of the
// taps for which these are whole numbers: for each phase of the strides a correlation of its own.
static void convolve_back(const Convolution& layer, float* scratch, int block) {
  if (!layer.dx.data) return;
  const float* dz = layer.dz.row(block);
  if (layer.pads_dz) dz = put_frame(dz, layer.to, layer.padded_dz, layer.dz_frame, scratch);
  const int in = layer.from.channels / layer.groups, out = layer.to.channels / layer.groups;
  const int height = layer.from.height, width = layer.from.width;
  for (int g = 0; g < layer.groups; ++g) {
    for (int p = 0; p < layer.phase_count; ++p) {
      const Phase& phase = layer.phases[p];
      correlate({.a = layer.by_input.row(g * out * layer.taps),
                 .a_channel = layer.taps * layer.by_input.stride,
                 .b = dz + size_t(g) * out * layer.padded_dz.stride,
                 .b_channel = layer.padded_dz.stride,
                 .b_line = size_t(layer.padded_dz.width) * W,
                 .b_pixel = W,
                 .out = layer.dx.row(block) + size_t(g) * in * layer.from.stride +
                        (size_t(phase.row) * width + phase.column) * W,
                 .out_row = layer.from.stride,
                 .out_line = size_t(layer.row_step) * width * W,
                 .out_pixel = size_t(layer.column_step) * W,
                 .bias = nullptr,
                 .taps = phase.taps,
                 .count = phase.count,
                 .channels = out,
                 .rows = in,
                 .lines = (height - phase.row + layer.row_step - 1) / layer.row_step,
                 .columns = (width - phase.column + layer.column_step - 1) / layer.column_step,
                 .frame = layer.dz_frame,
                 .line_step = 1,
                 .column_step = 1});
    }
  }
}

// dL/dw[o][k] = sum over images and pixels of dL/dz[o][p] x[pixel p of k], k running over channels and taps.
struct WeightGradient {
  const Convolution& layer;
  const float *x, *dz;  // of a group
  float* part;          // likewise
  bool add;
  int first, last;  // of its filters

  template <int N>
  struct Columns {
    const WeightGradient& g;
    const float* x[N];  // where the pixels of N columns begin
    int k;

    template <int M>
    void run(int i) {
      const Convolution& layer = g.layer;
      const size_t plane = layer.to.stride, step = size_t(layer.column_step) * W;
      const size_t line = size_t(layer.row_step) * layer.padded_x.width * W;
      Vec sums[M][N];
#pragma GCC unroll 16
      for (int r = 0; r < M; ++r) {
#pragma GCC unroll 8
        for (int j = 0; j < N; ++j) sums[r][j] = Vec{};
      }
      const float* dz = g.dz + i * plane;
      for (int y = 0; y < layer.to.height; ++y) {
        size_t at = y * line;
        for (int n = 0; n < layer.to.width; ++n, at += step, dz += W) {
          Vec pixels[N];
#pragma GCC unroll 8
          for (int j = 0; j < N; ++j) pixels[j] = load(x[j] + at);
#pragma GCC unroll 16
          for (int r = 0; r < M; ++r) {
            const Vec d = load(dz + r * plane);
#pragma GCC unroll 8
            for (int j = 0; j < N; ++j) sums[r][j] += d * pixels[j];
          }
        }
      }
      for (int r = 0; r < M; ++r) {
        float* to = g.part + (i + r) * layer.weight.value.stride + k;
        for (int j = 0; j < N; ++j) to[j] = lane_sum(sums[r][j]) + (g.add ? to[j] : 0.0f);
      }
    }
  };

  template <int N>
  void run(int k) {
    Columns<N> columns{*this, {}, k};
    for (int j = 0; j < N; ++j) {
      const int channel = (k + j) / layer.taps, tap = (k + j) % layer.taps;
      columns.x[j] = x + channel * layer.padded_x.stride + layer.forward[tap].pixel;
    }
    for_rows<kTileRows<N>>(first, last, columns);
  }
};

constexpr size_t kGradientBytes = 16 * 1024;

static void convolve_gradient(const Convolution& layer, float* scratch, int block, int chunk, bool add) {
  const float* x = padded_inputs(layer, scratch, block);
  const int in = layer.from.channels / layer.groups, out = layer.to.channels / layer.groups;
  const size_t stride = layer.weight.value.stride;
  float* part = layer.weight_parts + size_t(chunk) * layer.to.channels * stride;
  // The gradients dL/dz of so many filters stay in the first cache while x passes them.
  constexpr int kTile = kTileRows<kTileVectors>;
  const int filters = kTile * int(1 + kGradientBytes / (sizeof(float) * kTile * layer.to.stride));
  for (int g = 0; g < layer.groups; ++g) {
    for (int first = 0; first < out; first += filters) {
      WeightGradient gradient{layer,
                              x + size_t(g) * in * layer.padded_x.stride,
                              layer.dz.row(block) + size_t(g) * out * layer.to.stride,
                              part + size_t(g) * out * stride,
                              add,
                              first,
                              first + filters < out ? first + filters : out};
      for_panels<kTileVectors>(in * layer.taps, gradient);
    }
  }
  if (!layer.bias.value.data) return;
  float* bias = layer.bias_parts + size_t(chunk) * layer.bias.value.stride;
  for (int o = 0; o < layer.to.channels; ++o) {
    const float* dz = layer.dz.row(block) + o * layer.to.stride;
    Vec sums[4] = {};
    const int pixels = layer.to.height * layer.to.width;
    for (int p = 0; p < pixels; ++p) sums[p % 4] += load(dz + p * W);
    bias[o] = lane_sum((sums[0] + sums[1]) + (sums[2] + sums[3])) + (add ? bias[o] : 0.0f);
  }
}

static void collect_parts(const Parameter& p, const float* parts, int chunks, bool add, int begin, int end) {
  const size_t stride = p.value.stride, size = stride * p.rows;
  for (int k = begin; k < end; ++k) {
    for (int n = 0; n < p.columns; n += W) {
      const size_t at = k * stride + n;
      Vec sum = add ? load(p.gradient + at) : Vec{};
      for (int chunk = 0; chunk < chunks; ++chunk) sum += load(parts + chunk * size + at);
      store(p.gradient + at, sum);
    }
  }
}

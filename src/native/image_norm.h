// Batch normalisation of channels, and residual blocks, of images.
//
// The mean and the sum of squares about it of each block come together as in Chan, Golub and LeVeque (1979), in
// the order of the blocks, so no bit depends on the threads.

typedef double DoubleVec __attribute__((vector_size(W * 8)));

INLINE double over_lanes(DoubleVec v) {
  double sum = 0;
  for (int i = 0; i < W; ++i) sum += v[i];
  return sum;
}

// Sums over pixels, of each image or of all: f(p) gives N vectors. 32 pixels at a time are added up in floats, the
// rest in doubles.
template <int N>
struct Terms {
  Vec of[N];
};
template <int N, class F>
INLINE void sum_by_lane(int pixels, DoubleVec (&total)[N], F f) {
  constexpr int kApart = 4;  // sums beside each other: an addition is longer on its way than the next one may wait
  for (int n = 0; n < N; ++n) total[n] = DoubleVec{};
  for (int first = 0; first < pixels; first += 8 * kApart) {
    Vec parts[kApart][N] = {};
    const int left = pixels - first < 8 * kApart ? pixels - first : 8 * kApart;
    int p = 0;
    for (; p + kApart <= left; p += kApart) {
#pragma GCC unroll 4
      for (int i = 0; i < kApart; ++i) {
        const Terms<N> terms = f(first + p + i);
#pragma GCC unroll 2
        for (int n = 0; n < N; ++n) parts[i][n] += terms.of[n];
      }
    }
    for (; p < left; ++p) {
      const Terms<N> terms = f(first + p);
      for (int n = 0; n < N; ++n) parts[0][n] += terms.of[n];
    }
    for (int n = 0; n < N; ++n) {
      const Vec sum = (parts[0][n] + parts[1][n]) + (parts[2][n] + parts[3][n]);
      total[n] += __builtin_convertvector(sum, DoubleVec);
    }
  }
}
template <int N, class F>
INLINE void sum_pixels(int pixels, double (&sums)[N], F f) {
  DoubleVec total[N];
  sum_by_lane(pixels, total, f);
  for (int n = 0; n < N; ++n) sums[n] = over_lanes(total[n]);
}

static void norm_parts(const ImageNorm& layer, int block, int count, int begin, int end) {
  const int pixels = layer.planes.height * layer.planes.width;
  const Int inside = lanes() < count;
  for (int c = begin; c < end; ++c) {
    const float* x = layer.x.row(block) + c * layer.planes.stride;
    double* part = layer.parts + 2 * (size_t(block) * layer.planes.channels + c);
    const double numbers = double(count) * pixels;
    double sum[1];
    sum_pixels(pixels, sum, [&](int p) { return Terms<1>{select(inside, load(x + p * W), Vec{})}; });
    const double mean = sum[0] / numbers;
    const float middle = float(mean);
    sum_pixels(pixels, sum, [&](int p) {
      const Vec d = select(inside, load(x + p * W) - middle, Vec{});
      return Terms<1>{d * d};
    });
    part[0] = mean;
    part[1] = sum[0] - numbers * (mean - middle) * (mean - middle);  // about the mean itself
  }
}

static void norm_whole(const ImageNorm& layer, int batch, int begin, int end) {
  const int pixels = layer.planes.height * layer.planes.width, channels = layer.planes.channels;
  for (int c = begin; c < end; ++c) {
    double seen = 0, mean = 0, squares = 0;
    for (int first = 0; first < batch; first += W) {
      const double* part = layer.parts + 2 * (size_t(first / W) * channels + c);
      const double own = double(first + W < batch ? W : batch - first) * pixels, all = seen + own;
      const double apart = part[0] - mean;
      squares += part[1] + apart * apart * (seen * own / all);
      mean += apart * (own / all);
      seen = all;
    }
    float &running = layer.mean.value.data[c], &running_variance = layer.variance.value.data[c];
    if (seen == 1) {  // of one number there is no variance
      layer.center[c] = running;
      layer.inverse[c] = 1.0f / __builtin_sqrtf(running_variance + layer.eps);
      continue;
    }
    layer.center[c] = float(mean);
    layer.inverse[c] = 1.0f / __builtin_sqrtf(float(squares / seen) + layer.eps);
    running += layer.momentum * (float(mean) - running);
    running_variance += layer.momentum * (float(squares / (seen - 1)) - running_variance);
  }
}

static void normalise(const ImageNorm& layer, int block, int begin, int end) {
  const int pixels = layer.planes.height * layer.planes.width;
  for (int c = begin; c < end; ++c) {
    const float* x = layer.x.row(block) + c * layer.planes.stride;
    float* y = layer.y.row(block) + c * layer.planes.stride;
    const float center = layer.center[c], inverse = layer.inverse[c];
    const float gamma = layer.gamma.value.data ? layer.gamma.value.data[c] : 1.0f;
    const float beta = layer.beta.value.data ? layer.beta.value.data[c] : 0.0f;
    for (int p = 0; p < pixels; ++p) store(y + p * W, gamma * ((load(x + p * W) - center) * inverse) + beta);
  }
}

// Lanes behind the minibatch have no gradient, and add nothing.
static void norm_back_parts(const ImageNorm& layer, int block, int begin, int end) {
  if (!layer.dy.data) return;
  const int pixels = layer.planes.height * layer.planes.width;
  for (int c = begin; c < end; ++c) {
    const float* x = layer.x.row(block) + c * layer.planes.stride;
    const float* dy = layer.dy.row(block) + c * layer.planes.stride;
    double* part = layer.back_parts + 2 * (size_t(block) * layer.planes.channels + c);
    const float center = layer.center[c], inverse = layer.inverse[c];
    double sums[2];
    sum_pixels(pixels, sums, [&](int p) {
      const Vec g = load(dy + p * W);
      return Terms<2>{g, g * ((load(x + p * W) - center) * inverse)};
    });
    part[0] = sums[0];
    part[1] = sums[1];
  }
}

static void norm_back_whole(const ImageNorm& layer, int batch, bool add, int begin, int end) {
  const int channels = layer.planes.channels;
  const double count = double(batch) * layer.planes.height * layer.planes.width;
  for (int c = begin; c < end; ++c) {
    double sum = 0, product = 0;
    for (int block = 0; block * W < batch; ++block) {
      const double* part = layer.back_parts + 2 * (size_t(block) * channels + c);
      sum += part[0];
      product += part[1];
    }
    const double share = count == 1 ? 0.0 : 1 / count;  // of one number the statistics are constants
    layer.sums[2 * c] = float(sum * share);
    layer.sums[2 * c + 1] = float(product * share);
    if (!layer.gamma.value.data) continue;
    layer.gamma.gradient[c] = float(product) + (add ? layer.gamma.gradient[c] : 0.0f);
    layer.beta.gradient[c] = float(sum) + (add ? layer.beta.gradient[c] : 0.0f);
  }
}

static void norm_back(const ImageNorm& layer, int block, int count, int begin, int end) {
  if (!layer.dx.data) return;
  const int pixels = layer.planes.height * layer.planes.width;
  const Int inside = lanes() < count;
  for (int c = begin; c < end; ++c) {
    const float* x = layer.x.row(block) + c * layer.planes.stride;
    const float* dy = layer.dy.row(block) + c * layer.planes.stride;
    float* dx = layer.dx.row(block) + c * layer.planes.stride;
    const float center = layer.center[c], inverse = layer.inverse[c];
    const float factor = layer.gamma.value.data ? layer.gamma.value.data[c] * inverse : inverse;
    const float sum = layer.sums[2 * c], product = layer.sums[2 * c + 1];
    for (int p = 0; p < pixels; ++p) {
      const Vec normalised = (load(x + p * W) - center) * inverse;
      const Vec d = factor * (load(dy + p * W) - sum - normalised * product);
      store(dx + p * W, select(inside, d, Vec{}));
    }
  }
}

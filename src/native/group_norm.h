// Group normalisation (Wu and He, 2018): each image by itself, so that a lane is never added to another one.
//
// With n numbers in a group and g = dL/dy gamma: dL/dx = (g - sum(g) / n - x^ sum(g x^) / n) / sqrt(variance +
// eps).

INLINE Vec to_floats(DoubleVec v) { return __builtin_convertvector(v, Vec); }

static void group_norm(const GroupNorm& layer, int block, int count) {
  const int pixels = layer.planes.height * layer.planes.width, channels = layer.planes.channels / layer.groups;
  const size_t plane = layer.planes.stride;
  const double numbers = double(channels) * pixels;
  const Int inside = lanes() < count;
  for (int g = 0; g < layer.groups; ++g) {
    const float* x = layer.x.row(block) + g * channels * plane;
    float* y = layer.y.row(block) + g * channels * plane;
    DoubleVec sum = {}, squares = {}, part[1];
    for (int c = 0; c < channels; ++c) {
      sum_by_lane(pixels, part, [&](int p) { return Terms<1>{load(x + c * plane + p * W)}; });
      sum += part[0];
    }
    const Vec center = to_floats(sum / numbers);
    for (int c = 0; c < channels; ++c) {
      sum_by_lane(pixels, part, [&](int p) {
        const Vec d = load(x + c * plane + p * W) - center;
        return Terms<1>{d * d};
      });
      squares += part[0];
    }
    const Vec variance = to_floats(squares / numbers);
    const Vec inverse = select(inside, 1.0f / square_root(variance + layer.eps), Vec{});
    store(layer.center + (size_t(block) * layer.groups + g) * W, center);
    store(layer.inverse + (size_t(block) * layer.groups + g) * W, inverse);
    for (int c = 0; c < channels; ++c) {
      const float gamma = layer.gamma.value.data ? layer.gamma.value.data[g * channels + c] : 1.0f;
      const float beta = layer.beta.value.data ? layer.beta.value.data[g * channels + c] : 0.0f;
      for (int p = 0; p < pixels; ++p) {
        const size_t at = c * plane + p * W;
        store(y + at, gamma * ((load(x + at) - center) * inverse) + beta);
      }
    }
  }
}

static void group_norm_back(const GroupNorm& layer, int block) {
  if (!layer.dy.data) return;
  const int pixels = layer.planes.height * layer.planes.width, channels = layer.planes.channels / layer.groups;
  const size_t plane = layer.planes.stride;
  const double numbers = double(channels) * pixels;
  for (int g = 0; g < layer.groups; ++g) {
    const float* x = layer.x.row(block) + g * channels * plane;
    const float* dy = layer.dy.row(block) + g * channels * plane;
    const Vec center = load(layer.center + (size_t(block) * layer.groups + g) * W);
    const Vec inverse = load(layer.inverse + (size_t(block) * layer.groups + g) * W);
    const float* gamma = layer.gamma.value.data ? layer.gamma.value.data + g * channels : nullptr;
    DoubleVec sum = {}, product = {};
    for (int c = 0; c < channels; ++c) {
      DoubleVec part[2];
      sum_by_lane(pixels, part, [&](int p) {
        const size_t at = c * plane + p * W;
        const Vec d = load(dy + at);
        return Terms<2>{d, d * ((load(x + at) - center) * inverse)};
      });
      const double factor = gamma ? gamma[c] : 1.0;
      sum += factor * part[0];
      product += factor * part[1];
      double* parts = layer.parts + 2 * (size_t(block) * layer.planes.channels + g * channels + c);
      parts[0] = over_lanes(part[0]);
      parts[1] = over_lanes(part[1]);
    }
    if (!layer.dx.data) continue;
    float* dx = layer.dx.row(block) + g * channels * plane;
    const Vec mean = to_floats(sum / numbers), mean_product = to_floats(product / numbers);
    for (int c = 0; c < channels; ++c) {
      const float factor = gamma ? gamma[c] : 1.0f;
      for (int p = 0; p < pixels; ++p) {
        const size_t at = c * plane + p * W;
        const Vec normalised = (load(x + at) - center) * inverse;
        store(dx + at, inverse * (factor * load(dy + at) - mean - normalised * mean_product));
      }
    }
  }
}

static void collect_group_norm(const GroupNorm& layer, int batch, bool add) {
  const int channels = layer.planes.channels;
  for (int c = 0; c < channels; ++c) {
    double sum = 0, product = 0;
    for (int block = 0; block * W < batch; ++block) {
      const double* part = layer.parts + 2 * (size_t(block) * channels + c);
      sum += part[0];
      product += part[1];
    }
    layer.gamma.gradient[c] = float(product) + (add ? layer.gamma.gradient[c] : 0.0f);
    layer.beta.gradient[c] = float(sum) + (add ? layer.beta.gradient[c] : 0.0f);
  }
}

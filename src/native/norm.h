// Batch normalisation (Ioffe and Szegedy, 2015) and layer normalisation (Ba, Kiros and Hinton, 2016).
//
// x^ = (x - mean) / sqrt(variance + eps); y = gamma x^ + beta. With g = dL/dy gamma and means over what was
// normalised: dL/dx = (g - mean(g) - x^ mean(g x^)) / sqrt(variance + eps).

typedef double DoubleVec __attribute__((vector_size(W * 8)));

// Sums over rows: 32 at a time in floats, these in doubles, in one order whatever the batch.
template <class F>
INLINE DoubleVec sum_rows(int rows, F f) {
  DoubleVec total = {};
  for (int first = 0; first < rows; first += 32) {
    Vec part = {};
    const int last = first + 32 < rows ? first + 32 : rows;
    for (int m = first; m < last; ++m) part += f(m);
    total += __builtin_convertvector(part, DoubleVec);
  }
  return total;
}
INLINE Vec to_floats(DoubleVec v) { return __builtin_convertvector(v, Vec); }

static void batch_norm(const BatchNorm& layer, int batch, int begin, int end) {
  for (int n = begin; n < end; n += W) {
    float *running_mean = layer.mean.value.data + n, *running_variance = layer.variance.value.data + n;
    Vec mean, inverse;
    if (batch == 1) {
      mean = load(running_mean);
      inverse = 1.0f / square_root(load(running_variance) + layer.eps);
    } else {
      mean = to_floats(sum_rows(batch, [&](int m) { return load(layer.x.row(m) + n); }) / double(batch));
      const DoubleVec squares = sum_rows(batch, [&](int m) {
        const Vec d = load(layer.x.row(m) + n) - mean;
        return d * d;
      });
      inverse = 1.0f / square_root(to_floats(squares / double(batch)) + layer.eps);
      const Vec unbiased = to_floats(squares / double(batch - 1));
      store(running_mean, load(running_mean) + layer.momentum * (mean - load(running_mean)));
      store(running_variance, load(running_variance) + layer.momentum * (unbiased - load(running_variance)));
    }
    store(layer.inverse + n, inverse);
    const Vec gamma = layer.gamma.value.data ? load(layer.gamma.value.data + n) : splat(1.0f);
    const Vec beta = layer.beta.value.data ? load(layer.beta.value.data + n) : Vec{};
    for (int m = 0; m < batch; ++m) {
      const Vec normalised = (load(layer.x.row(m) + n) - mean) * inverse;
      store(layer.normalised.row(m) + n, normalised);
      store(layer.y.row(m) + n, gamma * normalised + beta);
    }
  }
}

static void batch_norm_back(const BatchNorm& layer, int batch, bool add, int begin, int end) {
  for (int n = begin; n < end; n += W) {
    const Vec sum = to_floats(sum_rows(batch, [&](int m) { return load(layer.dy.row(m) + n); }));
    const Vec product = to_floats(
        sum_rows(batch, [&](int m) { return load(layer.dy.row(m) + n) * load(layer.normalised.row(m) + n); }));
    Vec gamma = splat(1.0f);
    if (layer.gamma.value.data) {
      gamma = load(layer.gamma.value.data + n);
      float *dgamma = layer.gamma.gradient + n, *dbeta = layer.beta.gradient + n;
      store(dgamma, add ? load(dgamma) + product : product);
      store(dbeta, add ? load(dbeta) + sum : sum);
    }
    if (!layer.dx.data) continue;
    const Vec factor = gamma * load(layer.inverse + n);
    const float share = batch == 1 ? 0.0f : 1.0f / float(batch);  // of one row the statistics are constants
    for (int m = 0; m < batch; ++m) {
      const Vec g = load(layer.dy.row(m) + n), normalised = load(layer.normalised.row(m) + n);
      store(layer.dx.row(m) + n, factor * (g - share * sum - normalised * (share * product)));
    }
  }
}

// Lanes behind the width count for nothing.
INLINE Vec inside(Vec v, int n, int width) { return select(lanes() + n < width, v, Vec{}); }

static void layer_norm(const LayerNorm& layer, int begin, int end) {
  const int width = layer.width;
  for (int m = begin; m < end; ++m) {
    const float* x = layer.x.row(m);
    Vec sums = {}, squares = {};
    for (int n = 0; n < width; n += W) sums += inside(load(x + n), n, width);
    const Vec mean = splat(lane_sum(sums) / float(width));
    for (int n = 0; n < width; n += W) {
      const Vec d = inside(load(x + n) - mean, n, width);
      squares += d * d;
    }
    const float inverse = 1.0f / __builtin_sqrtf(lane_sum(squares) / float(width) + layer.eps);
    layer.inverse[m] = inverse;
    for (int n = 0; n < width; n += W) {
      const Vec normalised = inside((load(x + n) - mean) * inverse, n, width);
      store(layer.normalised.row(m) + n, normalised);
      const Vec scaled = layer.gamma.value.data ? load(layer.gamma.value.data + n) * normalised : normalised;
      store(layer.y.row(m) + n, layer.beta.value.data ? scaled + load(layer.beta.value.data + n) : scaled);
    }
  }
}

static void layer_norm_back(const LayerNorm& layer, int begin, int end) {
  if (!layer.dx.data) return;
  const int width = layer.width;
  for (int m = begin; m < end; ++m) {
    const float *dy = layer.dy.row(m), *normalised = layer.normalised.row(m);
    const auto gradient = [&](int n) {
      const Vec g = layer.gamma.value.data ? load(dy + n) * load(layer.gamma.value.data + n) : load(dy + n);
      return inside(g, n, width);
    };
    Vec sums = {}, products = {};
    for (int n = 0; n < width; n += W) {
      sums += gradient(n);
      products += gradient(n) * load(normalised + n);
    }
    const float mean = lane_sum(sums) / float(width), product = lane_sum(products) / float(width);
    for (int n = 0; n < width; n += W) {
      const Vec g = inside(gradient(n) - mean - load(normalised + n) * product, n, width);
      store(layer.dx.row(m) + n, layer.inverse[m] * g);
    }
  }
}

static void collect_layer_norm(const LayerNorm& layer, int batch, bool add) {
  for (int n = 0; n < layer.width; n += W) {
    const Vec sum = to_floats(sum_rows(batch, [&](int m) { return load(layer.dy.row(m) + n); }));
    const Vec product = to_floats(
        sum_rows(batch, [&](int m) { return load(layer.dy.row(m) + n) * load(layer.normalised.row(m) + n); }));
    if (layer.gamma.value.data) {
      float* dgamma = layer.gamma.gradient + n;
      store(dgamma, add ? load(dgamma) + product : product);
    }
    if (layer.beta.value.data) {
      float* dbeta = layer.beta.gradient + n;
      store(dbeta, add ? load(dbeta) + sum : sum);
    }
  }
}

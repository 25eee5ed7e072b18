// Members that share a net (BatchEnsemble): each row once for each member, one after the other, so that row
// m of member k is row m members + k, and a linear layer of all of them is one product.

static void view(const View& layer, int begin, int end) {
  for (int m = begin; m < end; ++m) {
    const float* x = layer.x.row(m);
    for (int k = 0; k < layer.members; ++k) {
      float* y = layer.y.row(size_t(m) * layer.members + k);
      for (int n = 0; n < layer.width; n += W) store(y + n, load(x + n));
    }
  }
}

static void view_back(const View& layer, int begin, int end) {
  if (!layer.dx.data) return;
  for (int m = begin; m < end; ++m) {
    float* dx = layer.dx.row(m);
    for (int n = 0; n < layer.width; n += W) {
      Vec sum = {};
      for (int k = 0; k < layer.members; ++k) sum += load(layer.dy.row(size_t(m) * layer.members + k) + n);
      store(dx + n, sum);
    }
  }
}

// y = x scale_k (+ bias_k) of member k; rows begin .. end-1 begin with the first member.
static void member_scaling(const MemberScaling& layer, int begin, int end) {
  for (int m = begin, k = 0; m < end; ++m, k = k + 1 < layer.members ? k + 1 : 0) {
    const float *x = layer.x.row(m), *scale = layer.scale.value.row(k);
    const float* bias = layer.bias.value.data ? layer.bias.value.row(k) : nullptr;
    float* y = layer.y.row(m);
    for (int n = 0; n < layer.width; n += W) {
      const Vec scaled = load(x + n) * load(scale + n);
      store(y + n, bias ? scaled + load(bias + n) : scaled);
    }
  }
}

static void member_scaling_back(const MemberScaling& layer, int begin, int end) {
  if (!layer.dx.data) return;
  for (int m = begin, k = 0; m < end; ++m, k = k + 1 < layer.members ? k + 1 : 0) {
    const float *dy = layer.dy.row(m), *scale = layer.scale.value.row(k);
    float* dx = layer.dx.row(m);
    for (int n = 0; n < layer.width; n += W) store(dx + n, load(dy + n) * load(scale + n));
  }
}

// batch: rows of one member.
static void collect_member_scaling(const MemberScaling& layer, int batch, bool add) {
  const size_t stride = layer.scale.value.stride;
  for (int k = 0; k < layer.members; ++k) {
    const auto row = [&](int m) { return size_t(m) * layer.members + k; };
    for (int n = 0; n < layer.width; n += W) {
      const DoubleVec sum = sum_rows(batch, [&](int m) {
        return load(layer.dy.row(row(m)) + n) * inside(load(layer.x.row(row(m)) + n), n, layer.width);
      });
      put(layer.scale.gradient + k * stride + n, sum, add);
      if (!layer.bias.value.data) continue;
      put(layer.bias.gradient + k * stride + n,
          sum_rows(batch, [&](int m) { return load(layer.dy.row(row(m)) + n); }), add);
    }
  }
}

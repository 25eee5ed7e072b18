// What is learned for each unit by itself: parametric activations and factors of columns.
//
// Both are y = base(x) + p change(x), so that dL/dp is the sum over the rows of dL/dy change(x), and
// dL/dx = dL/dy (base'(x) + p change'(x)).

// z + alpha (f(z) - z) of an activation f.
template <Activation kind>
struct Blend {
  float slope;
  INLINE_MEMBER Vec base(Vec z) const { return z; }
  INLINE_MEMBER Vec change(Vec z) const { return value<kind>(z, slope) - z; }
  INLINE_MEMBER Vec base_slope(Vec) const { return splat(1.0f); }
  INLINE_MEMBER Vec change_slope(Vec z) const { return derivative<kind>(z, value<kind>(z, slope), slope) - 1.0f; }
};

// PReLU (He et al., 2015): max(0, z) + alpha min(0, z).
struct Prelu {
  INLINE_MEMBER Vec base(Vec z) const { return select(z > 0.0f, z, Vec{}); }
  INLINE_MEMBER Vec change(Vec z) const { return select(z > 0.0f, Vec{}, z); }  // NaN stays
  INLINE_MEMBER Vec base_slope(Vec z) const { return select(z > 0.0f, splat(1.0f), Vec{}); }
  INLINE_MEMBER Vec change_slope(Vec z) const { return select(z > 0.0f, Vec{}, splat(1.0f)); }
};

// Calls f(form) for the layer's form.
template <class F>
INLINE void with_form(const Parametric& layer, F f) {
  if (layer.prelu) return f(Prelu{});
  with_activation(layer.kind, [&]<Activation kind>() { f(Blend<kind>{layer.slope}); });
}

INLINE Vec alpha_of(const Parametric& layer, int n) {
  const float* alpha = layer.alpha.value.data;
  return layer.alpha.columns == 1 ? splat(alpha[0]) : load(alpha + n);
}

static void parametric(const Parametric& layer, int begin, int end) {
  with_form(layer, [&](auto form) {
    for (int m = begin; m < end; ++m) {
      for (int n = 0; n < layer.width; n += W) {
        const Vec z = load(layer.x.row(m) + n), change = form.change(z);
        store(layer.change.row(m) + n, change);
        store(layer.y.row(m) + n, form.base(z) + alpha_of(layer, n) * change);
      }
    }
  });
}

static void parametric_back(const Parametric& layer, int begin, int end) {
  if (!layer.dx.data) return;
  with_form(layer, [&](auto form) {
    for (int m = begin; m < end; ++m) {
      for (int n = 0; n < layer.width; n += W) {
        const Vec z = load(layer.x.row(m) + n), dy = load(layer.dy.row(m) + n);
        const Vec slope = form.base_slope(z) + alpha_of(layer, n) * form.change_slope(z);
        store(layer.dx.row(m) + n, dy * slope);
      }
    }
  });
}

static void scaling(const Scaling& layer, int begin, int end) {
  for (int m = begin; m < end; ++m) {
    for (int n = 0; n < layer.width; n += W) {
      store(layer.y.row(m) + n, load(layer.scale.value.data + n) * load(layer.x.row(m) + n));
    }
  }
}

static void scaling_back(const Scaling& layer, int begin, int end) {
  if (!layer.dx.data) return;
  for (int m = begin; m < end; ++m) {
    for (int n = 0; n < layer.width; n += W) {
      store(layer.dx.row(m) + n, load(layer.scale.value.data + n) * load(layer.dy.row(m) + n));
    }
  }
}

// The gradient of p, written or added: one number for each column, or one for all of them.
static void collect_products(const Parameter& p, Matrix dy, Matrix change, int width, int batch, bool add) {
  DoubleVec whole = {};
  for (int n = 0; n < width; n += W) {
    const DoubleVec sum =
        sum_rows(batch, [&](int m) { return inside(load(dy.row(m) + n) * load(change.row(m) + n), n, width); });
    whole += sum;
    if (p.columns == 1) continue;
    const Vec g = to_floats(sum);
    store(p.gradient + n, add ? load(p.gradient + n) + g : g);
  }
  if (p.columns != 1) return;
  double total = 0;
  for (int i = 0; i < W; ++i) total += whole[i];
  p.gradient[0] = add ? p.gradient[0] + float(total) : float(total);
}

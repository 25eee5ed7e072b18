// What stands in front of a net: numbers as periodic functions of themselves, categories as vectors.

// cos(2 pi t) and sin(2 pi t). Whole turns are taken off exactly; beyond 2^22 of them a float says nothing of
// the rest, which counts as 0. What is not finite becomes NaN.
struct Angle {
  Vec cosine, sine;
  INLINE_MEMBER explicit Angle(Vec t) {
    const Vec shifter = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
    const Vec bounded = select(absolute(t) < 4194304.0f, t, t * 0.0f);
    const Vec rest = bounded - ((bounded + shifter) - shifter);
    const Vec quarters = (4.0f * rest + shifter) - shifter;
    const Vec y = (rest - 0.25f * quarters) * 6.2831853071795865f, z = y * y;
    // Cephes (S. L. Moshier, single precision: sinf), for |y| <= pi / 4.
    const Vec sin_y = polynomial(z, -1.9515295891e-4f, 8.3321608736e-3f, -1.6666654611e-1f) * z * y + y;
    const Vec cos_y =
        polynomial(z, 2.443315711809948e-5f, -1.388731625493765e-3f, 4.166664568298827e-2f) * (z * z) - 0.5f * z +
        1.0f;
    const Int quarter = to_int(select(quarters == quarters, quarters, Vec{}));
    const Int odd = (quarter & 1) != 0;
    const Vec c = select(odd, sin_y, cos_y), s = select(odd, cos_y, sin_y);
    cosine = select(((quarter + 1) & 2) != 0, -c, c);
    sine = select((quarter & 2) != 0, -s, s);
  }
};

// y = [x, E], E_d = sum_k mixing_dk cos(2 pi frequency_k x + phase_k) + bias_d, number by number.
static void periodic(const Periodic& layer, int begin, int end) {
  const int n = layer.numbers, span = layer.span;
  for (int m = begin; m < end; ++m) {
    const float* x = layer.x.row(m);
    float *y = layer.y.row(m), *taken = layer.taken.row(m), *e = layer.de.row(m);
    for (int i = 0; i < layer.width; ++i) y[i] = x[i];
    for (int i = 0; i < n; ++i) taken[i] = x[layer.columns[i]];
    for (int i = 0; i < n; i += W) {
      float *cosines = layer.cosines.row(m) + i, *sines = layer.sines.row(m) + i;
      for (int k = 0; k < layer.frequencies; ++k) {
        const Vec frequency = load(layer.frequency.value.row(k) + i), phase = load(layer.phase.value.row(k) + i);
        const Angle angle(frequency * load(taken + i) + 0.15915494309189535f * phase);
        store(cosines + k * span, angle.cosine);
        store(sines + k * span, angle.sine);
      }
      for (int d = 0; d < layer.outputs; ++d) {
        Vec sum = load(layer.bias.value.row(d) + i);
        for (int k = 0; k < layer.frequencies; ++k) {
          sum += load(layer.mixing.value.row(d * layer.frequencies + k) + i) * load(cosines + k * span);
        }
        store(e + d * span + i, sum);
      }
    }
    y += layer.width;
    for (int d = 0; d < layer.outputs; ++d, y += n) {
      for (int i = 0; i < n; ++i) y[i] = e[d * span + i];
    }
  }
}

// Leaves the gradient of E in `de`, and in `sines` that of the angles 2 pi frequency x + phase.
static void periodic_back(const Periodic& layer, int begin, int end) {
  const int n = layer.numbers, span = layer.span;
  for (int m = begin; m < end; ++m) {
    const float* dy = layer.dy.row(m);
    float *de = layer.de.row(m), *dx = layer.dx.data ? layer.dx.row(m) : nullptr;
    for (int i = 0; dx && i < layer.width; ++i) dx[i] = dy[i];
    dy += layer.width;
    for (int d = 0; d < layer.outputs; ++d, dy += n) {
      for (int i = 0; i < span; ++i) de[d * span + i] = i < n ? dy[i] : 0.0f;
    }
    for (int i = 0; i < n; i += W) {
      float* sines = layer.sines.row(m) + i;
      Vec of_number = {};
      for (int k = 0; k < layer.frequencies; ++k) {
        Vec g = {};
        for (int d = 0; d < layer.outputs; ++d) {
          g += load(layer.mixing.value.row(d * layer.frequencies + k) + i) * load(de + d * span + i);
        }
        const Vec angle = -g * load(sines + k * span);
        store(sines + k * span, angle);
        of_number += angle * load(layer.frequency.value.row(k) + i);
      }
      of_number *= 6.2831853071795865f;
      for (int j = 0; dx && j < W && i + j < n; ++j) dx[layer.columns[i + j]] += of_number[j];
    }
  }
}

INLINE void put(float* to, DoubleVec sum, bool add) {
  const Vec g = to_floats(sum);
  store(to, add ? load(to) + g : g);
}

static void collect_periodic(const Periodic& layer, int batch, bool add) {
  const int span = layer.span;
  const auto gradient = [](const Parameter& p, int row) { return p.gradient + row * p.value.stride; };
  for (int i = 0; i < layer.numbers; i += W) {
    for (int d = 0; d < layer.outputs; ++d) {
      const auto de = [&](int m) { return load(layer.de.row(m) + d * span + i); };
      put(gradient(layer.bias, d) + i, sum_rows(batch, de), add);
      for (int k = 0; k < layer.frequencies; ++k) {
        const DoubleVec sum =
            sum_rows(batch, [&](int m) { return de(m) * load(layer.cosines.row(m) + k * span + i); });
        put(gradient(layer.mixing, d * layer.frequencies + k) + i, sum, add);
      }
    }
    for (int k = 0; k < layer.frequencies; ++k) {
      const auto angle = [&](int m) { return load(layer.sines.row(m) + k * span + i); };
      put(gradient(layer.phase, k) + i, sum_rows(batch, angle), add);
      const DoubleVec sum = sum_rows(batch, [&](int m) { return angle(m) * load(layer.taken.row(m) + i); });
      put(gradient(layer.frequency, k) + i, sum * 6.283185307179586, add);
    }
  }
}

// y = [the columns of no category, E]: of each category its columns, which are 0 but for the one of the row's
// level, times its rows of the table.
static void categories(const Categories& layer, int begin, int end) {
  for (int m = begin; m < end; ++m) {
    const float* x = layer.x.row(m);
    float* y = layer.y.row(m);
    for (int i = 0; i < layer.kept; ++i) y[i] = x[layer.others[i]];
    y += layer.kept;
    int first_level = 0;
    for (int b = 0; b < layer.categories; ++b, y += layer.outputs) {
      const int first = layer.spans[2 * b], beyond = layer.spans[2 * b + 1];
      for (int i = 0; i < layer.outputs; i += W) {
        Vec sum = {};
        for (int c = first; c < beyond; ++c) {
          if (x[c] != 0.0f) sum += x[c] * load(layer.table.value.row(first_level + c - first) + i);
        }
        for (int j = 0; j < W && i + j < layer.outputs; ++j) y[i + j] = sum[j];
      }
      first_level += beyond - first;
    }
  }
}

static void categories_back(const Categories& layer, int begin, int end) {
  if (!layer.dx.data) return;
  for (int m = begin; m < end; ++m) {
    const float* dy = layer.dy.row(m);
    float* dx = layer.dx.row(m);
    for (int i = 0; i < layer.kept; ++i) dx[layer.others[i]] = dy[i];
    dy += layer.kept;
    int level = 0;
    for (int b = 0; b < layer.categories; ++b, dy += layer.outputs) {
      for (int c = layer.spans[2 * b]; c < layer.spans[2 * b + 1]; ++c, ++level) {
        float sum = 0.0f;
        for (int i = 0; i < layer.outputs; ++i) sum += layer.table.value.row(level)[i] * dy[i];
        dx[c] = sum;
      }
    }
  }
}

static void collect_categories(const Categories& layer, int batch, bool add) {
  const Parameter& table = layer.table;
  for (size_t i = 0; !add && i < table.value.stride * table.rows; i += W) store(table.gradient + i, Vec{});
  for (int m = 0; m < batch; ++m) {
    const float *x = layer.x.row(m), *dy = layer.dy.row(m) + layer.kept;
    int level = 0;
    for (int b = 0; b < layer.categories; ++b, dy += layer.outputs) {
      for (int c = layer.spans[2 * b]; c < layer.spans[2 * b + 1]; ++c, ++level) {
        if (x[c] == 0.0f) continue;
        float* gradient = table.gradient + level * table.value.stride;
        for (int i = 0; i < layer.outputs; ++i) gradient[i] += x[c] * dy[i];
      }
    }
  }
}

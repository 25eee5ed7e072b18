// Softmax, loss, correct rows and dL/dZ in one pass over the logits.
//
// A row's target puts the mass t_j on class j: (1 - label_smoothing) w_j on its class (shared between two
// classes by mixup), and label_smoothing w_j / C on each. loss = sum_j t_j (log sum_i exp(z_i) - z_j), and
// dL/dZ = (sum_j t_j) softmax(z) - t. Without weights and smoothing that is -log p_c and p - y.

struct Masses {
  float first, second, each;  // `each` is still to be multiplied by the weight of the class
};

// The factors of a row's gradient and of its reported loss.
struct Scales {
  float gradient, loss;
};

INLINE Scales scales(const Loss& what, int m) {
  if (!what.row_weights) return {what.scale, what.loss_scale};
  return {what.scale * what.row_weights[m], what.loss_scale * what.row_weights[m]};
}

INLINE Masses masses(const Loss& loss, int64_t first, int64_t second) {
  const float kept = 1.0f - loss.label_smoothing;
  Masses found{kept * loss.share, kept * (1.0f - loss.share), loss.label_smoothing / float(loss.classes)};
  if (loss.weights) {
    found.first *= loss.weights[first];
    found.second *= loss.weights[second];
  }
  return found;
}

static void softmax_loss(const Loss& what, Matrix logits, Matrix gradient, int begin, int end, float* loss,
                         int32_t* correct) {
  const Vec lowest = splat(-__builtin_huge_valf());
  for (int m = begin; m < end; ++m) {
    const Scales scale = scales(what, m);
    const float* z = logits.row(m);
    float* g = gradient.row(m);
    const int first = static_cast<int>(what.first[m]), second = static_cast<int>(what.second[m]);
    Vec largest = lowest;
    for (int n = 0; n < what.classes; n += W) {
      const Int inside = lanes() + n < what.classes;
      largest = maximum(largest, select(inside, load(z + n), lowest));
    }
    const float top = lane_max(largest);
    Vec sums = {};
    for (int n = 0; n < what.classes; n += W) {
      const Int inside = lanes() + n < what.classes;
      const Vec e = select(inside, exp(load(z + n) - top), Vec{});
      store(g + n, e);
      sums += e;
    }
    const float sum = lane_sum(sums), log_sum = __builtin_logf(sum);
    const Masses t = masses(what, first, second);
    const float total = t.first + t.second + t.each * what.weight_sum;
    for (int n = 0; n < what.classes; n += W) store(g + n, load(g + n) * (total * scale.gradient / sum));
    float value = t.first * (log_sum + (top - z[first]));
    g[first] -= t.first * scale.gradient;
    if (t.second != 0.0f) {
      value += t.second * (log_sum + (top - z[second]));
      g[second] -= t.second * scale.gradient;
    }
    for (int n = 0; t.each != 0.0f && n < what.classes; ++n) {
      const float mass = t.each * (what.weights ? what.weights[n] : 1.0f);
      value += mass * (log_sum + (top - z[n]));
      g[n] -= mass * scale.gradient;
    }
    loss[m] = value * scale.loss;
    // Of equal logits the first one is the prediction.
    int right = z[first] == top;
    for (int n = 0; right && n < first; ++n) right = z[n] != top;
    correct[m] = right;
  }
}

// With the masses t_0 and t_1: loss = t_1 log(1 + e^-z) + t_0 log(1 + e^z).
static void sigmoid_loss(const Loss& what, Matrix logits, Matrix gradient, int begin, int end, float* loss,
                         int32_t* correct) {
  for (int m = begin; m < end; ++m) {
    const Scales scale = scales(what, m);
    const float z = logits.row(m)[0];
    const float e = __builtin_expf(-__builtin_fabsf(z)), tail = __builtin_log1pf(e);
    const float probability = (z >= 0.0f ? 1.0f : e) / (1.0f + e);
    const Masses t = masses(what, what.first[m], what.second[m]);
    float mass[2] = {0.0f, 0.0f};
    mass[what.first[m]] += t.first;
    mass[what.second[m]] += t.second;
    for (int c = 0; c < 2; ++c) mass[c] += t.each * (what.weights ? what.weights[c] : 1.0f);
    store(gradient.row(m), Vec{});
    gradient.row(m)[0] = ((mass[0] + mass[1]) * probability - mass[1]) * scale.gradient;
    float value = 0.0f;
    if (mass[1] != 0.0f) value += mass[1] * ((z < 0.0f ? -z : 0.0f) + tail);
    if (mass[0] != 0.0f) value += mass[0] * ((z > 0.0f ? z : 0.0f) + tail);
    loss[m] = z != z ? z : value * scale.loss;
    correct[m] = (z > 0.0f) == (what.first[m] == 1);
  }
}

// With y smoothed and mixed: loss = mean over the classes of w (pos y log(1 + e^-z) + (1 - y) log(1 + e^z)).
static void label_loss(const Loss& what, Matrix logits, Matrix gradient, int begin, int end, float* loss,
                       int32_t* correct) {
  for (int m = begin; m < end; ++m) {
    const Scales scale = scales(what, m);
    const uint8_t* first = what.labels + what.first[m] * what.classes;
    const uint8_t* second = what.labels + what.second[m] * what.classes;
    const float* z = logits.row(m);
    float* g = gradient.row(m);
    float total = 0.0f;
    int right = 1;
    for (int n = 0; n < what.classes; ++n) {
      const float mixed = what.share * first[n] + (1.0f - what.share) * second[n];
      const float y = (1.0f - what.label_smoothing) * mixed + 0.5f * what.label_smoothing;
      const float w = (what.weights ? what.weights[n] : 1.0f) / float(what.classes);
      const float yes = w * what.pos_weight * y, no = w * (1.0f - y);
      const float e = __builtin_expf(-__builtin_fabsf(z[n])), tail = __builtin_log1pf(e);
      const float probability = (z[n] >= 0.0f ? 1.0f : e) / (1.0f + e);
      total += yes * ((z[n] < 0.0f ? -z[n] : 0.0f) + tail) + no * ((z[n] > 0.0f ? z[n] : 0.0f) + tail);
      if (z[n] != z[n]) total = z[n];
      g[n] = ((yes + no) * probability - yes) * scale.gradient;
      right &= (z[n] > 0.0f) == (first[n] == 1);
    }
    loss[m] = total * scale.loss;
    correct[m] = right;
  }
}

// Softmax, loss, correct rows and dL/dZ in one pass over the logits.

// loss = log sum_j exp(z_j) - z_c, shifted by the largest logit; dL/dZ = (softmax(z) - y) scale.
static void softmax_loss(const Layer& layer, const int64_t* targets, float scale, int begin, int end,
                         float* loss, int32_t* correct) {
  const Vec lowest = splat(-__builtin_huge_valf());
  for (int m = begin; m < end; ++m) {
    const float* z = layer.post.row(m);
    float* g = layer.gradient.row(m);
    const int target = static_cast<int>(targets[m]);
    Vec largest = lowest;
    for (int n = 0; n < layer.out; n += W) {
      const Int inside = lanes() + n < layer.out;
      largest = maximum(largest, select(inside, load(z + n), lowest));
    }
    const float top = lane_max(largest);
    Vec sums = {};
    for (int n = 0; n < layer.out; n += W) {
      const Int inside = lanes() + n < layer.out;
      const Vec e = select(inside, exp(load(z + n) - top), Vec{});
      store(g + n, e);
      sums += e;
    }
    const float sum = lane_sum(sums);
    for (int n = 0; n < layer.out; n += W) store(g + n, load(g + n) * (scale / sum));
    g[target] -= scale;
    loss[m] = __builtin_logf(sum) + (top - z[target]);
    // Of equal logits the first one is the prediction.
    int right = z[target] == top;
    for (int n = 0; right && n < target; ++n) right = z[n] != top;
    correct[m] = right;
  }
}

// loss = max(z, 0) - z y + log(1 + exp(-|z|)); dL/dz = (sigmoid(z) - y) scale.
static void sigmoid_loss(const Layer& layer, const int64_t* targets, float scale, int begin, int end,
                         float* loss, int32_t* correct) {
  for (int m = begin; m < end; ++m) {
    const float z = layer.post.row(m)[0], y = static_cast<float>(targets[m]);
    const float e = __builtin_expf(-__builtin_fabsf(z));
    const float probability = (z >= 0.0f ? 1.0f : e) / (1.0f + e);
    store(layer.gradient.row(m), Vec{});
    layer.gradient.row(m)[0] = (probability - y) * scale;
    loss[m] = (z > 0.0f ? z : 0.0f) - z * y + __builtin_log1pf(e);
    if (z != z) loss[m] = z;
    correct[m] = (z > 0.0f) == (targets[m] == 1);
  }
}

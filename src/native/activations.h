// The activations and their derivatives. All but those in `needs_pre` give the derivative from their
// value alone, so that Z need not be kept.

template <Activation kind>
INLINE Vec value(Vec z, float slope) {
  if constexpr (kind == Activation::kTanh) return tanh(z);
  if constexpr (kind == Activation::kSigmoid) return sigmoid(z);
  if constexpr (kind == Activation::kRelu) return select(z <= 0.0f, Vec{}, z);  // NaN stays
  if constexpr (kind == Activation::kLeakyRelu) return select(z <= 0.0f, z * slope, z);
  if constexpr (kind == Activation::kGelu) return 0.5f * z * (1.0f + erf(z * 0.70710678118654752f));
  if constexpr (kind == Activation::kGeluTanh) {
    return 0.5f * z * (1.0f + tanh(0.79788456080286536f * (z + 0.044715f * z * z * z)));
  }
  if constexpr (kind == Activation::kSilu) return z * sigmoid(z);
  return z;
}

// dA/dZ from Z (or from A where Z is not kept: `pre` is then the same memory as `post`).
template <Activation kind>
INLINE Vec derivative(Vec z, Vec a, float slope) {
  if constexpr (kind == Activation::kTanh) return 1.0f - a * a;
  if constexpr (kind == Activation::kSigmoid) return a * (1.0f - a);
  if constexpr (kind == Activation::kRelu) return select(a > 0.0f, splat(1.0f), Vec{});
  if constexpr (kind == Activation::kLeakyRelu) return select(z > 0.0f, splat(1.0f), splat(slope));
  if constexpr (kind == Activation::kGelu) {
    const Vec density = 0.39894228040143268f * exp(-0.5f * z * z);
    return 0.5f * (1.0f + erf(z * 0.70710678118654752f)) + z * density;
  }
  if constexpr (kind == Activation::kGeluTanh) {
    const Vec t = tanh(0.79788456080286536f * (z + 0.044715f * z * z * z));
    const Vec inner = 0.79788456080286536f * (1.0f + 0.134145f * z * z);
    return 0.5f * (1.0f + t) + 0.5f * z * (1.0f - t * t) * inner;
  }
  if constexpr (kind == Activation::kSilu) {
    const Vec s = sigmoid(z);
    return s * (1.0f + z * (1.0f - s));
  }
  return splat(1.0f);
}

// Calls f<kind>() for the kind that is known only now.
template <class F>
INLINE void with_activation(Activation kind, F f) {
  switch (kind) {
    case Activation::kIdentity:
      return f.template operator()<Activation::kIdentity>();
    case Activation::kTanh:
      return f.template operator()<Activation::kTanh>();
    case Activation::kSigmoid:
      return f.template operator()<Activation::kSigmoid>();
    case Activation::kRelu:
      return f.template operator()<Activation::kRelu>();
    case Activation::kLeakyRelu:
      return f.template operator()<Activation::kLeakyRelu>();
    case Activation::kGelu:
      return f.template operator()<Activation::kGelu>();
    case Activation::kGeluTanh:
      return f.template operator()<Activation::kGeluTanh>();
    case Activation::kSilu:
      return f.template operator()<Activation::kSilu>();
  }
}

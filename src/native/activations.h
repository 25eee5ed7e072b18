// The activations and their derivatives. All but those in `needs_pre` give the derivative from their
// value alone, so that Z need not be kept.

// SELU's scale, and scale times alpha (Klambauer et al., 2017).
constexpr float kSeluAbove = 1.0507009873554805f, kSeluBelow = 1.7580993408473766f;

// tanh(log(1 + e^z)) of Mish (Misra, 2020) as a quotient n / (n + d) of numbers that never overflow: with
// e = e^-|z| it is (1 + 2e) / (1 + 2e + 2e^2) above 0 and (e^2 + 2e) / (e^2 + 2e + 2) below.
struct MishGate {
  Vec n, d;
  INLINE_MEMBER explicit MishGate(Vec z) {
    const Vec e = exp(-absolute(z));
    const Int above = z > 0.0f;
    n = select(above, 1.0f + 2.0f * e, e * (2.0f + e));
    d = select(above, 2.0f * e * e, splat(2.0f));
  }
  INLINE_MEMBER Vec value() const { return n / (n + d); }
  // 1 - value^2, without the rounding of a difference.
  INLINE_MEMBER Vec left() const {
    const Vec whole = 1.0f / (n + d);
    return d * whole * ((2.0f * n + d) * whole);
  }
};

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
  if constexpr (kind == Activation::kMish) return z * MishGate(z).value();
  if constexpr (kind == Activation::kSelu) return select(z <= 0.0f, kSeluBelow * expm1(z), kSeluAbove * z);
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
  if constexpr (kind == Activation::kMish) {
    const MishGate gate(z);
    return gate.value() + z * sigmoid(z) * gate.left();
  }
  if constexpr (kind == Activation::kSelu) return select(z <= 0.0f, kSeluBelow * exp(z), splat(kSeluAbove));
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
    case Activation::kMish:
      return f.template operator()<Activation::kMish>();
    case Activation::kSelu:
      return f.template operator()<Activation::kSelu>();
  }
}

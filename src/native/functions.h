// exp, exp - 1, tanh, sigmoid, erf of a vector, each within 4 units in the last place (tests/native).
// Polynomials from Cephes (S. L. Moshier, single precision: expf, tanhf, ndtrf).

// 2^n by writing the exponent; n must be a whole number in [-126, 127].
INLINE Vec power_of_two(Int n) { return as_float((n + 127) << 23); }

// The highest coefficient first.
template <class... Coefficients>
INLINE Vec polynomial(Vec x, float highest, Coefficients... lower) {
  Vec p = splat(highest);
  ((p = p * x + lower), ...);
  return p;
}

// e^r - 1 for |r| <= log(2) / 2.
INLINE Vec exp_above_1(Vec r) {
  const Vec p = polynomial(r, 1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f,
                           1.6666665459e-1f, 5.0000001201e-1f);
  return p * (r * r) + r;
}

INLINE Vec exp(Vec x) {
  // Beyond these bounds the result is 0 or infinity; 2^n is applied in two halves so that results
  // near both ends, subnormal ones too, are right. NaN passes through the polynomial.
  const Vec bounded = select(x > 89.0f, splat(89.0f), select(x < -104.0f, splat(-104.0f), x));
  const Vec shifter = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
  const Vec n = (bounded * 1.44269504088896341f + shifter) - shifter;
  Vec r = bounded - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  const Vec value = exp_above_1(r) + 1.0f;
  const Int whole = to_int(select(n == n, n, Vec{}));
  const Int half = whole >> 1;
  return value * power_of_two(half) * power_of_two(whole - half);
}

INLINE Vec expm1(Vec x) {
  return select(absolute(x) < 0.34f, exp_above_1(x), exp(x) - 1.0f);  // NaN takes the second
}

INLINE Vec tanh(Vec x) {
  const Vec a = absolute(x);
  const Vec z = x * x;
  const Vec p = polynomial(z, -5.70498872745e-3f, 2.06390887954e-2f, -5.37397155531e-2f, 1.33314422036e-1f,
                           -3.33332819422e-1f);
  const Vec small = p * z * x + x;
  // exp(2a) overflows only where the quotient is 0 in any case.
  const Vec large = 1.0f - 2.0f / (exp(a + a) + 1.0f);
  const Vec sign = as_float(as_int(x) & splat_int(static_cast<int32_t>(0x80000000u)));
  const Vec signed_large = as_float(as_int(large) | as_int(sign));
  return select(a < 0.625f, small, select(x == x, signed_large, x));
}

INLINE Vec sigmoid(Vec x) {
  // e^-|x| never overflows, and neither form loses digits.
  const Vec e = exp(-absolute(x));
  return select(x >= 0.0f, splat(1.0f), e) / (1.0f + e);
}

INLINE Vec erf(Vec x) {
  const Vec a = absolute(x);
  const Vec z = x * x;
  const Vec t =
      polynomial(z, 7.853861353153693e-5f, -8.010193625184903e-4f, 5.188327685732524e-3f, -2.685381193529856e-2f,
                 1.128358514861418e-1f, -3.761262582423300e-1f, 1.128379165726710e+0f);
  const Vec small = x * t;

  const Vec q = 1.0f / maximum(a, splat(1.0f));
  const Vec y = q * q;
  const Vec p = polynomial(y, 2.326819970068386e-2f, -1.387039388740657e-1f, 3.687424674597105e-1f,
                           -5.824733027278666e-1f, 6.210004621745983e-1f, -4.944515323274145e-1f,
                           3.404879937665872e-1f, -2.741127028184656e-1f, 5.638259427386472e-1f);
  const Vec r =
      polynomial(y, -1.047766399936249e+1f, 1.297719955372516e+1f, -7.495518717768503e+0f, 2.921019019210786e+0f,
                 -1.015265279202700e+0f, 4.218463358204948e-1f, -2.820767439740514e-1f, 5.641895067754075e-1f);
  const Vec large = 1.0f - exp(-z) * q * select(a < 2.0f, p, r);
  const Vec sign = as_float(as_int(x) & splat_int(static_cast<int32_t>(0x80000000u)));
  const Vec signed_large = as_float(as_int(large) | as_int(sign));
  return select(a < 1.0f, small, select(x == x, signed_large, x));
}

// Transposition of a square of floats in registers.

// Transposes W rows of W floats in log2(W) rounds of exchanging ever larger blocks.
template <int Block>
INLINE void exchange_blocks(Vec (&rows)[W]) {
  if constexpr (Block < W) {
    const Int upper = (lanes() & Block) != 0;
    const Int from_first = lanes() + (upper & (W - Block)), from_second = lanes() + (upper & (W - Block)) + Block;
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i) {
      if (i & Block) continue;
      const Vec first = rows[i], second = rows[i + Block];
      rows[i] = shuffle(first, second, from_first);
      rows[i + Block] = shuffle(first, second, from_second);
    }
    exchange_blocks<2 * Block>(rows);
  }
}

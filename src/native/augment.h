// Changes to the rows of a minibatch before they are used, as steepest/data/augment.py defines them.

#pragma once

#include <cstdint>

#include "kernels.h"

namespace steepest {

struct Image {
  int channels = 0, height = 0, width = 0;
};

struct Augmentation {
  Image image;  // empty where rows are no images
  int shift = 0, cutout = 0, crop = 0;
  bool flip = false;
  uint32_t shift_purpose = 0, cutout_purpose = 0, crop_purpose = 0, flip_purpose = 0;
  bool mixes = false;  // whether steps may mix two rows
};

// The box of cutmix: rows top .. bottom-1, columns left .. right-1.
struct Box {
  int32_t top, bottom, left, right;
};

// Crops, mirrors, moves and cuts the image x (features) of row m of a step's minibatch. spare: as much memory.
void augment(const Augmentation&, const Kernels&, uint64_t seed, uint32_t step, int m, float* x, float* spare);

// Puts the box of `other` into x.
void paste(const Image&, const Box&, const float* other, float* x);

}  // namespace steepest

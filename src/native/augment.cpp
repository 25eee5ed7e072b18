#include "augment.h"

#include <algorithm>
#include <cstring>

namespace steepest {
namespace {

// A whole number below n from a random word, each about as likely.
int below(uint32_t word, int n) { return static_cast<int>(uint64_t{word} * static_cast<uint64_t>(n) >> 32); }

// The two words of row m.
const uint32_t* words_of_row(const Kernels& kernels, uint64_t seed, uint32_t step, uint32_t purpose, int m,
                             uint32_t* memory) {
  kernels.random_words(seed, step, purpose, static_cast<uint64_t>(m / 2), 1, memory);
  return memory + 2 * (m % 2);
}

void shift(const Image& image, int down, int right, float* x) {
  const int height = image.height, width = image.width;
  const int first = std::max(0, right), last = std::min(width, width + right);
  for (int c = 0; c < image.channels; ++c, x += height * width) {
    for (int i = 0; i < height; ++i) {
      const int to = down > 0 ? height - 1 - i : i, from = to - down;  // never onto what is still to come
      float* row = x + to * width;
      if (from < 0 || from >= height) {
        std::memset(row, 0, sizeof(float) * width);
        continue;
      }
      std::memmove(row + first, x + from * width + first - right, sizeof(float) * (last - first));
      std::memset(row, 0, sizeof(float) * first);
      std::memset(row + last, 0, sizeof(float) * (width - last));
    }
  }
}

// The place that a mirror at both ends shows instead of one beyond them.
int reflected(int place, int size) {
  if (place < 0) return -place;
  return place < size ? place : 2 * (size - 1) - place;
}

// The window of the image with its mirrored border that begins so far down and right of it.
void crop(const Image& image, int down, int right, float* x, float* spare) {
  const int height = image.height, width = image.width;
  std::memcpy(spare, x, sizeof(float) * image.channels * height * width);
  for (int c = 0; c < image.channels; ++c, spare += height * width) {
    for (int i = 0; i < height; ++i) {
      const float* from = spare + reflected(i + down, height) * width;
      for (int j = 0; j < width; ++j) *x++ = from[reflected(j + right, width)];
    }
  }
}

}  // namespace

void augment(const Augmentation& what, const Kernels& kernels, uint64_t seed, uint32_t step, int m, float* x,
             float* spare) {
  uint32_t memory[4 * (1 + 8)];
  const Image& image = what.image;
  if (what.crop) {
    const uint32_t* word = words_of_row(kernels, seed, step, what.crop_purpose, m, memory);
    const int span = 2 * what.crop + 1;
    crop(image, below(word[0], span) - what.crop, below(word[1], span) - what.crop, x, spare);
  }
  if (what.flip) {
    kernels.random_words(seed, step, what.flip_purpose, static_cast<uint64_t>(m / 4), 1, memory);
    const bool mirrored = memory[m % 4] >= 0x80000000u;
    for (int line = 0; mirrored && line < image.channels * image.height; ++line) {
      std::reverse(x + line * image.width, x + (line + 1) * image.width);
    }
  }
  if (what.shift) {
    const uint32_t* word = words_of_row(kernels, seed, step, what.shift_purpose, m, memory);
    const int span = 2 * what.shift + 1;
    const int down = below(word[0], span) - what.shift, right = below(word[1], span) - what.shift;
    shift(image, std::clamp(down, -image.height, image.height), std::clamp(right, -image.width, image.width), x);
  }
  if (what.cutout) {
    const uint32_t* word = words_of_row(kernels, seed, step, what.cutout_purpose, m, memory);
    const int top = below(word[0], image.height) - what.cutout / 2;
    const int left = below(word[1], image.width) - what.cutout / 2;
    const int first = std::max(0, left), last = std::min(image.width, left + what.cutout);
    for (int c = 0; c < image.channels; ++c) {
      for (int i = std::max(0, top); i < std::min(image.height, top + what.cutout); ++i) {
        std::memset(x + (c * image.height + i) * image.width + first, 0, sizeof(float) * (last - first));
      }
    }
  }
}

void paste(const Image& image, const Box& box, const float* other, float* x) {
  for (int c = 0; c < image.channels; ++c) {
    for (int i = box.top; i < box.bottom; ++i) {
      const int at = (c * image.height + i) * image.width + box.left;
      std::memcpy(x + at, other + at, sizeof(float) * (box.right - box.left));
    }
  }
}

}  // namespace steepest

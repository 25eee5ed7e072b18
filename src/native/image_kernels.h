// Images on their way through a net, and what its kernels promise.
//
// So many images as a vector has lanes lie side by side, a block: pixel p of channel c of all of them is one
// vector, at c stride + p lanes floats. Whatever is done to a pixel of one image is done to that of all in one
// instruction, with any number of channels, window, stride or padding; only a minibatch that is no multiple of
// the width leaves lanes idle, which hold zeros of the inputs and of the gradient. A matrix of images has a
// block in each row.

#pragma once

#include "kernels.h"

namespace steepest {

struct Planes {
  int channels = 0, height = 0, width = 0;
  size_t stride = 0;  // of two channels, in floats
};

// Where the weights of a tap begin, and the pixels that they multiply, in floats behind those of the first one.
struct Tap {
  int weight, pixel;
  int row, column;  // of the pixel, from that of the result
};

// Where images with zeros around them have numbers: rows top .. bottom-1, columns left .. right-1. Empty:
// everywhere.
struct Frame {
  int top = 0, bottom = 0, left = 0, right = 0;
};

// The pixels (row + s i, column + t j) of an input, s and t being the strides, and the taps that reach them.
struct Phase {
  int row, column, count;
  const Tap* taps;
};

// z = w * x + b, as torch.nn.Conv2d: (out, in / groups, rows, columns of the window) weights as they lie in
// PyTorch.
struct Convolution {
  int first_parameter, index;
  int groups, taps;
  int row_step, column_step;  // the strides
  Planes from, to;
  // x with zeros around it, where a window reaches beyond it, and dz likewise for the way back.
  bool pads_x, pads_dz;
  Planes padded_x, padded_dz;
  Frame x_frame, dz_frame;
  const Tap* forward;  // (taps), with pixels of padded_x
  const Phase* phases;
  int phase_count;
  Parameter weight, bias;  // a bias without memory is none
  // The weights again, as they are read: (in / groups taps, out) forwards, (out taps, in / groups) backwards,
  // which has no memory where no gradient flows back.
  Matrix by_output, by_input;
  Matrix x, z, dx, dz;
  float *weight_parts, *bias_parts;  // their gradients from each chunk of the minibatch, in the form of the value
};

// The largest number or the mean of each window; windows are given by their first and last row and column.
struct Pool {
  bool mean;
  bool disjoint;  // no pixel is in two windows
  bool halves;    // windows are 2 x 2, one beside the other
  int divisor;    // of a mean; 0: by how many pixels the window has
  Planes from, to;
  const int *rows, *columns;  // twice (height or width of to): first, and that beyond the last
  Matrix x, y, dx, dy;
};

// Images with a margin: the pixel in row i and column j is that of x in rows[i] and columns[j], or 0 where one of
// these is -1.
struct Pad {
  Planes from, to;
  const int *rows, *columns;
  Matrix x, y, dx, dy;
};

// Batch normalisation of each channel over images and pixels. parts, back_parts: (blocks, channels, 2) of what a
// block adds: the mean and the sum of squares about it; the sums of dy and of dy x^. Of both ways `center` and
// `inverse` are those of the whole minibatch, sums (channels, 2) the means of dy and dy x^.
struct ImageNorm {
  int first_parameter;
  float eps, momentum;
  Planes planes;
  Parameter gamma, beta, mean, variance;  // mean and variance: running, not moved by the optimizer
  double *parts, *back_parts;
  float *center, *inverse, *sums;
  Matrix x, y, dx, dy;
};

// Group normalisation of each image by itself, over the pixels of the channels of a group. parts: (blocks,
// channels, 2), what a block adds to the gradients of beta and gamma. center, inverse: (blocks, groups, lanes); an
// idle lane has an inverse of 0, so that what it normalises is 0, and its gradient too.
struct GroupNorm {
  int first_parameter, groups;
  float eps;
  Planes planes;
  Parameter gamma, beta;  // without memory where there are none
  double* parts;
  float *center, *inverse;
  Matrix x, y, dx, dy;
};

// torch.nn.Dropout2d: channels of an image as a whole, drawn as the numbers of a row of so many. mask: (blocks,
// channels, lanes).
struct ChannelDropout {
  double probability;  // as of Dropout (kernels.h)
  uint32_t threshold;
  float scale;
  uint32_t purpose;
  Planes planes;
  float* mask;
  Matrix x, y, dx, dy;
};

// Rows of numbers (batch, channels height width) as images, or back.
struct Interleave {
  bool to_images;
  Planes planes;
  Matrix rows, images, drows, dimages;
};

struct ImageKernels {
  // `block` is a row of the node's matrices, of which `count` images are of the minibatch. scratch: see
  // `scratch_floats` in images.h.
  void (*interleave)(const Interleave&, int block, int count);
  void (*interleave_back)(const Interleave&, int block, int count);
  void (*convolve)(const Convolution&, float* scratch, int block);
  void (*convolve_back)(const Convolution&, float* scratch, int block);
  // The gradient of the weights from one block, written to a chunk's part or added.
  void (*convolve_gradient)(const Convolution&, float* scratch, int block, int chunk, bool add);
  void (*pool)(const Pool&, int block, int begin, int end);
  void (*pool_back)(const Pool&, int block, int begin, int end);
  void (*pad)(const Pad&, int block, int begin, int end);
  void (*pad_back)(const Pad&, int block, int begin, int end);
  // Of channels begin .. end-1 what their blocks add up to, between what is done with each block.
  void (*norm_parts)(const ImageNorm&, int block, int count, int begin, int end);
  void (*norm_whole)(const ImageNorm&, int batch, int begin, int end);
  void (*normalise)(const ImageNorm&, int block, int begin, int end);
  void (*norm_back_parts)(const ImageNorm&, int block, int begin, int end);
  void (*norm_back_whole)(const ImageNorm&, int batch, bool add, int begin, int end);
  void (*norm_back)(const ImageNorm&, int block, int count, int begin, int end);
  // All channels of a block; the gradients of gamma and beta by all blocks together, written or added.
  void (*group_norm)(const GroupNorm&, int block, int count);
  void (*group_norm_back)(const GroupNorm&, int block);
  void (*collect_group_norm)(const GroupNorm&, int batch, bool add);
  // As of rows, each image with a factor of its own (kernels.h).
  void (*channel_dropout)(const ChannelDropout&, uint64_t seed, uint32_t step, int block, int begin, int end);
  void (*channel_dropout_back)(const ChannelDropout&, int block, int begin, int end);
  void (*join)(const Join&, uint64_t seed, uint32_t step, int block);
  void (*join_back)(const Join&, int block);
  // Rows begin .. end-1 of the gradient: the sum of the chunks' parts, written or added.
  void (*collect_parts)(const Parameter&, const float* parts, int chunks, bool add, int begin, int end);
};

}  // namespace steepest

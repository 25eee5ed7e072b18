// Blocks of images on their way through the nodes, forwards and backwards.
//
// A block goes through all nodes before the next one begins, while what it passes is in the caches. Batch
// normalisation needs all blocks: there each thread ends with its own, and meets the others.

#include "by_block.h"
#include "trainer.h"

namespace steepest {

void Trainer::forward_images(const Step& step, int thread, size_t from, size_t until, int first_row, int last_row,
                             Barrier& barrier) {
  const ImageKernels& kernels = *kernels_.images;
  float* scratch = image_scratch_[thread].data();
  const uint64_t seed = settings_.order.seed;
  for (size_t at = from; at < until;) {
    size_t end = at + 1;  // the next batch norm, or behind the last node
    while (end < until && !std::holds_alternative<ImageNorm>(network_.nodes[end])) ++end;
    for (int row = first_row; row < last_row; row += network_.lanes) {
      const int block = row / network_.lanes, count = std::min(network_.lanes, last_row - row);
      const ByBlock by_block{kernels_, scratch, block, count};
      for (size_t i = at; i < end; ++i) {
        std::visit(Overloaded{by_block, [&](const ImageNorm& layer) { kernels.normalise(layer, block); },
                              [&](const Join& layer) { kernels.join(layer, seed, step.number, block); }},
                   network_.nodes[i]);
      }
      if (end < until) kernels.norm_parts(std::get<ImageNorm>(network_.nodes[end]), block, count);
    }
    if (end < until) {
      const ImageNorm& layer = std::get<ImageNorm>(network_.nodes[end]);
      barrier.wait();
      const auto [first, last] = share(layer.planes.channels, thread, threads_, 16);
      kernels.norm_whole(layer, step.batch, first, last);
      barrier.wait();
    }
    at = end;
  }
}

void Trainer::back_images(const Step& step, int thread, size_t from, size_t until, int first_row, int last_row,
                          Barrier& barrier) {
  const ImageKernels& kernels = *kernels_.images;
  float* scratch = image_scratch_[thread].data();
  for (size_t end = until; end > from;) {
    size_t at = end - 1;  // the batch norm before, or the first node
    while (at > from && !std::holds_alternative<ImageNorm>(network_.nodes[at])) --at;
    const ImageNorm* norm = std::get_if<ImageNorm>(&network_.nodes[at]);
    for (int row = first_row; row < last_row; row += network_.lanes) {
      const int block = row / network_.lanes, count = std::min(network_.lanes, last_row - row);
      const int chunk = row / network_.chunks.rows;
      const bool opens = row % network_.chunks.rows == 0;
      const ByBlockBack by_block{kernels_, scratch, block, count, chunk, !opens};
      if (const ImageNorm* behind = end < until ? std::get_if<ImageNorm>(&network_.nodes[end]) : nullptr) {
        kernels.norm_back(*behind, block, count);
      }
      for (size_t i = end; i-- > at + (norm ? 1 : 0);) std::visit(by_block, network_.nodes[i]);
      if (norm) kernels.norm_back_parts(*norm, block);
    }
    if (norm) {
      barrier.wait();
      const auto [first, last] = share(norm->planes.channels, thread, threads_, 16);
      kernels.norm_back_whole(*norm, step.batch, !step.opens, first, last);
      barrier.wait();
      if (at == from) {
        for (int row = first_row; row < last_row; row += network_.lanes) {
          kernels.norm_back(*norm, row / network_.lanes, std::min(network_.lanes, last_row - row));
        }
      }
    }
    end = at;
  }
}

}  // namespace steepest

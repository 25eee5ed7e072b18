// Blocks of images on their way through the nodes, forwards and backwards.
//
// A block goes through all nodes before the next one begins, while what it passes is in the caches. Batch
// normalisation needs all blocks: there each thread ends with its own, and meets the others.

#include "by_block.h"
#include "trainer.h"

namespace steepest {
namespace {

// Calls f for the blocks of rows first .. last-1.
template <class F>
void for_blocks(int first, int last, int lanes, const F& f) {
  for (int row = first; row < last; row += lanes) f(Block{row / lanes, std::min(lanes, last - row), 0, 0});
}

}  // namespace

void Trainer::forward_images(const Step& step, int thread, size_t from, size_t until, int first_row, int last_row,
                             Barrier& barrier) {
  const ImageKernels& kernels = *kernels_.images;
  const auto forward = [&](size_t i, const Block& block) {
    const ByBlock by_block{kernels_, image_scratch_[thread].data(), network_.planes[i], block};
    const auto normalise = [&](const ImageNorm& layer) {
      kernels.normalise(layer, block.number, block.first, block.last);
    };
    const auto join = [&](const Join& layer) {
      kernels.join(layer, settings_.order.seed, step.number, block.number);
    };
    const auto drop = [&](ChannelDropout layer) {  // a copy: its probability may be of this step alone
      if (step.factors.dropout != 1) set_probability(layer, layer.probability * step.factors.dropout);
      kernels.channel_dropout(layer, settings_.order.seed, step.number, block.number, block.first, block.last);
    };
    std::visit(Overloaded{by_block, normalise, join, drop}, network_.nodes[i]);
  };
  for (size_t at = from; at < until;) {
    size_t end = at + 1;  // the next batch norm, or behind the last node
    while (end < until && !std::holds_alternative<ImageNorm>(network_.nodes[end])) ++end;
    const ImageNorm* norm = end < until ? &std::get<ImageNorm>(network_.nodes[end]) : nullptr;
    for_blocks(first_row, last_row, network_.lanes, [&](const Block& block) {
      for_nodes(network_, at, end, false, block, forward);
      if (norm) kernels.norm_parts(*norm, block.number, block.count, 0, norm->planes.channels);
    });
    if (norm)
      finish_norm(*norm, thread, barrier,
                  [&](int first, int last) { kernels.norm_whole(*norm, step.batch, first, last); });
    at = end;
  }
}

// A batch norm that is the first node has no gradient to give.
void Trainer::back_images(const Step& step, int thread, size_t from, size_t until, int first_row, int last_row,
                          Barrier& barrier) {
  const ImageKernels& kernels = *kernels_.images;
  const ImageNorm* behind = nullptr;  // the batch norm that the nodes end before
  for (size_t end = until; end > from;) {
    size_t at = end - 1;  // the batch norm before, or the first node
    while (at > from && !std::holds_alternative<ImageNorm>(network_.nodes[at])) --at;
    for_blocks(first_row, last_row, network_.lanes, [&](const Block& block) {
      if (behind) kernels.norm_back(*behind, block.number, block.count, 0, behind->planes.channels);
      const int row = block.number * network_.lanes;
      for_nodes(network_, at, end, true, block, [&](size_t i, const Block& part) {
        const int chunk = row / network_.chunks.rows;
        const bool adds = row % network_.chunks.rows != 0;
        const ByBlockBack by_block{kernels_, image_scratch_[thread].data(), network_.planes[i], part, chunk, adds};
        std::visit(by_block, network_.nodes[i]);
      });
    });
    behind = std::get_if<ImageNorm>(&network_.nodes[at]);
    if (behind)
      finish_norm(*behind, thread, barrier, [&](int first, int last) {
        kernels.norm_back_whole(*behind, step.batch, !step.opens, first, last);
      });
    end = at;
  }
}

// Once every thread is done with its blocks, channels of all of them together.
template <class F>
void Trainer::finish_norm(const ImageNorm& layer, int thread, Barrier& barrier, const F& whole) const {
  barrier.wait();
  const auto [first, last] = share(layer.planes.channels, thread, threads_, 16);
  whole(first, last);
  barrier.wait();
}

}  // namespace steepest

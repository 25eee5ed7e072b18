#include "images.h"

#include <algorithm>
#include <new>

namespace steepest {
namespace {

// Gradients are summed in at most so many chunks, and in fewer where their memory would be more than this.
constexpr int kMostChunks = 16, kFewestChunks = 4;
constexpr size_t kMostChunkFloats = size_t{4} << 20;

int floor_divided(int a, int b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

// A side of the way back: which taps reach the pixels begin, begin + step, ..., and from which row of dz.
struct Reach {
  int tap, from;
};
std::vector<Reach> reaching(int begin, int step, int taps, int spread, int before) {
  std::vector<Reach> found;
  for (int tap = 0; tap < taps; ++tap) {
    const int at = begin + before - tap * spread, from = floor_divided(at, step);
    if (from * step == at) found.push_back({tap, from});
  }
  return found;
}

// How many zeros dz needs before its first row, and behind its last one.
struct Margin {
  int before, behind;
};
Margin margin_of(int size, int out, int step, int taps, int spread, int before) {
  const int first = floor_divided(before - (taps - 1) * spread, step),
            last = floor_divided(size - 1 + before, step);
  return {std::max(0, -first), std::max(0, last - (out - 1))};
}

// Of rows from which a few numbers each are read: an odd number of lines, which fill all sets of a cache alike.
size_t arranged_stride(int columns) {
  const size_t lines = (size_t(columns) + 15) / 16;
  return columns <= 16 ? columns : (lines | 1) * 16;
}

}  // namespace

Planes planes_of(int channels, int height, int width, int lanes) {
  constexpr size_t kLine = 16;  // floats
  size_t lines = (size_t(height) * width * lanes + kLine - 1) / kLine;
  while (channels > 1 && lines > 4 && (lines % 32 < 5 || lines % 32 > 27)) ++lines;
  return {channels, height, width, lines * kLine};
}

void describe(Convolution& node, const Geometry& g, int lanes, Tables& tables) {
  node.by_output.stride = arranged_stride(g.out_channels);
  node.by_input.stride = arranged_stride(g.channels / g.groups);
  node.groups = g.groups;
  node.taps = g.window_rows * g.window_columns;
  node.row_step = g.row_step;
  node.column_step = g.column_step;
  node.from = planes_of(g.channels, g.height, g.width, lanes);
  node.to = planes_of(g.out_channels, g.out_height, g.out_width, lanes);
  const int height = (g.out_height - 1) * g.row_step + (g.window_rows - 1) * g.row_spread + 1;
  const int width = (g.out_width - 1) * g.column_step + (g.window_columns - 1) * g.column_spread + 1;
  node.pads_x = g.top > 0 || g.left > 0 || height > g.height || width > g.width;
  node.padded_x = node.pads_x ? planes_of(g.channels, height, width, lanes) : node.from;
  if (node.pads_x) node.x_frame = {g.top, g.top + g.height, g.left, g.left + g.width};
  std::vector<Tap>& forward = tables.taps.emplace_back();
  for (int i = 0; i < g.window_rows; ++i) {
    for (int j = 0; j < g.window_columns; ++j) {
      const int row = i * g.row_spread, column = j * g.column_spread;
      const int tap = (i * g.window_columns + j) * int(node.by_output.stride);
      forward.push_back({tap, (row * node.padded_x.width + column) * lanes, row, column});
    }
  }
  node.forward = forward.data();

  const Margin rows = margin_of(g.height, g.out_height, g.row_step, g.window_rows, g.row_spread, g.top);
  const Margin columns = margin_of(g.width, g.out_width, g.column_step, g.window_columns, g.column_spread, g.left);
  node.pads_dz = rows.before + rows.behind + columns.before + columns.behind > 0;
  if (node.pads_dz) {
    node.dz_frame = {rows.before, rows.before + g.out_height, columns.before, columns.before + g.out_width};
  }
  node.padded_dz = node.pads_dz ? planes_of(g.out_channels, rows.before + g.out_height + rows.behind,
                                            columns.before + g.out_width + columns.behind, lanes)
                                : node.to;
  std::vector<Phase>& phases = tables.phases.emplace_back();
  for (int y = 0; y < std::min(g.row_step, g.height); ++y) {
    for (int x = 0; x < std::min(g.column_step, g.width); ++x) {
      std::vector<Tap>& taps = tables.taps.emplace_back();
      for (const Reach& row : reaching(y, g.row_step, g.window_rows, g.row_spread, g.top)) {
        for (const Reach& column : reaching(x, g.column_step, g.window_columns, g.column_spread, g.left)) {
          const int line = row.from + rows.before, at = column.from + columns.before;
          const int tap = (row.tap * g.window_columns + column.tap) * int(node.by_input.stride);
          taps.push_back({tap, (line * node.padded_dz.width + at) * lanes, line, at});
        }
      }
      phases.push_back({y, x, int(taps.size()), taps.data()});
    }
  }
  node.phases = phases.data();
  node.phase_count = int(phases.size());
}

void describe(Pool& node, const Geometry& g, int lanes, Tables& tables) {
  node.divisor = g.divisor;
  node.from = planes_of(g.channels, g.height, g.width, lanes);
  node.to = planes_of(g.channels, g.out_height, g.out_width, lanes);
  const std::vector<int>& windows = tables.windows.emplace_back(g.windows);
  node.rows = windows.data();
  node.columns = windows.data() + 2 * g.out_height;
  const auto apart = [](const int* side, int count) {
    for (int i = 1; i < count; ++i) {
      if (side[2 * i] < side[2 * i - 1]) return false;
    }
    return true;
  };
  node.disjoint = apart(node.rows, g.out_height) && apart(node.columns, g.out_width);
  const auto halves = [](const int* side, int count) {
    for (int i = 0; i < count; ++i) {
      if (side[2 * i] != 2 * i || side[2 * i + 1] != 2 * i + 2) return false;
    }
    return true;
  };
  node.halves = halves(node.rows, g.out_height) && halves(node.columns, g.out_width);
}

void describe(Pad& node, const Geometry& g, int lanes, Tables& tables) {
  node.from = planes_of(g.channels, g.height, g.width, lanes);
  node.to = planes_of(g.channels, g.out_height, g.out_width, lanes);
  node.rows = tables.windows.emplace_back(g.windows).data();
  node.columns = node.rows + g.out_height;
}

double products_of(const Geometry& g) {
  return double(g.out_channels) * g.out_height * g.out_width * (g.channels / g.groups) * g.window_rows *
         g.window_columns;
}

void arrange(const Convolution& node, int begin, int end) {
  const int in = node.from.channels / node.groups;
  for (int o = begin; o < end; ++o) {
    const float* weight = node.weight.value.row(o);
    for (int k = 0; k < in * node.taps; ++k) node.by_output.row(k)[o] = weight[k];
    for (int tap = 0; node.by_input.data && tap < node.taps; ++tap) {
      float* row = node.by_input.row(o * node.taps + tap);
      for (int c = 0; c < in; ++c) row[c] = weight[c * node.taps + tap];
    }
  }
}

size_t scratch_floats(const Convolution& node) {
  const size_t x = node.pads_x ? node.padded_x.channels * node.padded_x.stride : 0;
  const size_t dz = node.pads_dz ? node.padded_dz.channels * node.padded_dz.stride : 0;
  return std::max(x, dz);
}

Scratch::Scratch(size_t floats)
    : memory_(static_cast<float*>(std::aligned_alloc(64, (floats + 31) / 16 * 16 * sizeof(float)))) {
  if (!memory_) throw std::bad_alloc();
}

Chunks chunks_of(int batch, int lanes, size_t filter_floats) {
  const int most =
      int(std::clamp<size_t>(kMostChunkFloats / std::max<size_t>(1, filter_floats), kFewestChunks, kMostChunks));
  const int blocks = (batch + lanes - 1) / lanes, in_one = (blocks + most - 1) / most;
  return {in_one * lanes, (blocks + in_one - 1) / in_one};
}

}  // namespace steepest

#include "coding.h"

#include <algorithm>

namespace steepest {

bool Coding::fits(const std::vector<Node>& nodes, const Matrix& inputs, const Source& source, int batch) {
  const Linear* layer = std::get_if<Linear>(&nodes.front());
  if (!layer || layer->x.data != inputs.data || !source.piecewise || batch > kMostPiecewiseRows) return false;
  const Piecewise& columns = *source.piecewise;
  return std::all_of(columns.bins, columns.bins + columns.features,
                     [](int64_t bins) { return bins <= kMostBins; });
}

Coding::Coding(const Piecewise& columns, int batch)
    : values_(size_t(columns.features) * batch),
      plain_(size_t(columns.plain) * batch),
      bins_(values_.size()),
      rows_{&columns, size_t(batch), values_.data(), plain_.data(), bins_.data()} {}

void Coding::put(const Source& source, size_t row, int m) {
  const Piecewise& columns = *rows_.columns;
  const float* from =
      reinterpret_cast<const float*>(static_cast<const char*>(source.data) + row * source.row_bytes);
  for (int i = 0; i < columns.features; ++i) {
    values_[i * rows_.stride + m] = from[columns.values[i]];
    bins_[i * rows_.stride + m] = static_cast<uint8_t>(from[columns.places[i]]);
  }
  for (int i = 0; i < columns.plain; ++i) plain_[i * rows_.stride + m] = from[columns.from[i]];
}

}  // namespace steepest

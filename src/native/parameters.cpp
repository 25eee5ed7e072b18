// How what is learned comes into a network's memory and out of it: PyTorch's layout on one side, the nodes'
// own on the other.

#include <algorithm>
#include <cstring>

#include "network.h"

namespace steepest {
namespace {

// Calls f(row, column) for each element, by tiles: both sides of a transposition stay in the first cache.
template <class F>
void for_tiles(const Parameter& p, const F& f) {
  constexpr int kTile = 16;
  for (int k = 0; k < p.rows; k += kTile) {
    for (int n = 0; n < p.columns; n += kTile) {
      for (int i = k; i < std::min(p.rows, k + kTile); ++i) {
        for (int j = n; j < std::min(p.columns, n + kTile); ++j) f(i, j);
      }
    }
  }
}

// Where PyTorch has the number of row k and column n.
size_t place(const Parameter& p, int k, int n) {
  return p.transposed ? size_t(n) * p.rows + k : size_t(k) * p.columns + n;
}

size_t size_of(const Parameter& p) { return size_t(p.rows) * p.columns; }

float* memory_of(const Parameter& p, Slot slot) {
  switch (slot) {
    case Slot::kFirstMoment:
      return p.first_moment;
    case Slot::kSecondMoment:
      return p.second_moment;
    case Slot::kEma:
      return p.ema;
    default:
      return p.value.data;
  }
}

}  // namespace

void Network::write(int parameter, Slot slot, const float* values) {
  const Parameter& whole = *parameters[parameter];
  for (int i = 0; i < whole.pieces; ++i)
    write(*whole.parts[i], slot, values + size_t(i) * size_of(*whole.parts[i]));
  if (!whole.pieces) write(whole, slot, values);
}

void Network::write(const Parameter& p, Slot slot, const float* values) {
  float* to = memory_of(p, slot);
  for_tiles(p, [&](int k, int n) { to[k * p.value.stride + n] = values[place(p, k, n)]; });
  if (slot != Slot::kValue) return;
  for (Node& node : nodes) {
    const Convolution* filters = std::get_if<Convolution>(&node);
    if (filters && &filters->weight == &p) arrange(*filters, 0, p.rows);
    Linear* linear = std::get_if<Linear>(&node);
    if (!linear || &linear->weight != &p) continue;
    if (bf16_) bf16_->round_weights(*linear, 0, linear->in);
    if (!linear->transpose.data) continue;
    for (int n = 0; n < linear->out; ++n) {
      std::memcpy(linear->transpose.row(n), values + size_t(n) * linear->in, sizeof(float) * linear->in);
    }
  }
}

void Network::read(int parameter, Slot slot, float* values) const {
  const Parameter& whole = *parameters[parameter];
  for (int i = 0; i < whole.pieces; ++i)
    read(*whole.parts[i], slot, values + size_t(i) * size_of(*whole.parts[i]));
  if (!whole.pieces) read(whole, slot, values);
}

// Calls f(parameter, slot, where it begins) for all that is kept, and returns how long that is together.
template <class F>
size_t Network::walk(const F& f) const {
  size_t at = 0;
  for (const Slot slot : {Slot::kValue, Slot::kFirstMoment, Slot::kSecondMoment, Slot::kEma}) {
    for (size_t i = 0; i < parameters.size(); ++i) {
      const Parameter& p = *parameters[i];
      if (!memory_of(p.pieces ? *p.parts[0] : p, slot)) continue;
      f(int(i), slot, at);
      at += size_of(p);
    }
  }
  return at;
}

size_t Network::state_size() const {
  return walk([](int, Slot, size_t) {});
}

void Network::load(const float* state) {
  arena_.clear();
  walk([&](int parameter, Slot slot, size_t at) { write(parameter, slot, state + at); });
}

void Network::store(float* state) const {
  walk([&](int parameter, Slot slot, size_t at) { read(parameter, slot, state + at); });
}

void Network::read(const Parameter& p, Slot slot, float* values) {
  const float* from = memory_of(p, slot);
  for_tiles(p, [&](int k, int n) { values[place(p, k, n)] = from[k * p.value.stride + n]; });
}

}  // namespace steepest

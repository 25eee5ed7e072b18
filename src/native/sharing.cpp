#include "sharing.h"

#include <algorithm>

namespace steepest {
namespace {

constexpr size_t kProbes = 256;
// What moving one row of W costs beside its sum over the batch, in rows of the batch: for W and for each
// matrix that is kept beside it.
constexpr double kUpdateCost = 2.5;

}  // namespace

std::pair<int, int> share(int total, int thread, int threads, int unit) {
  const int units = (total + unit - 1) / unit;
  const auto at = [&](int t) { return std::min(total, int(int64_t(units) * t / threads) * unit); };
  return {at(thread), at(thread + 1)};
}

std::vector<double> densities(const Data& data, const Kernels& kernels, size_t stride) {
  std::vector<float> x(stride + 16);
  std::vector<double> found(data.source.features);
  const size_t probes = std::min(data.samples, kProbes);
  for (size_t i = 0; i < probes; ++i) {
    kernels.gather(data.source, data.row(i * (data.samples / probes)), x.data());
    for (int j = 0; j < data.source.features; ++j) found[j] += (x[j] != 0.0f) / double(probes);
  }
  return found;
}

std::vector<int> equal_work(const std::vector<double>& densities, int batch, int threads, int matrices) {
  const int inputs = int(densities.size());
  std::vector<double> done{0.0};
  for (int k = 0; k < inputs; k += 16) {
    double work = 0;
    for (int i = k; i < std::min(k + 16, inputs); ++i) work += kUpdateCost * matrices + batch * densities[i];
    done.push_back(done.back() + work);
  }
  std::vector<int> begins;
  for (int t = 0; t <= threads; ++t) {
    const auto at = std::lower_bound(done.begin(), done.end(), done.back() * t / threads);
    begins.push_back(std::min(inputs, int(at - done.begin()) * 16));
  }
  return begins;
}

}  // namespace steepest

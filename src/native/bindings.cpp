// The only file that knows Python: nanobind, plain arrays in and out, the GIL released meanwhile.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <nanobind/stl/optional.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

#include "trainer.h"

namespace nb = nanobind;
using namespace steepest;

template <class T>
using Array1 = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Out = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
using Address = uintptr_t;

namespace {

// (kind, in, out, activation, number, momentum, learned, purpose), as in NodeSpec
using NodeTuple = std::tuple<int, int, int, int, double, double, bool, uint32_t>;
// (lr_scale, weight_decay, l1, l2)
using ParameterTuple = std::tuple<float, float, float, float>;

std::vector<NodeSpec> nodes_of(const std::vector<NodeTuple>& tuples) {
  std::vector<NodeSpec> nodes;
  for (const auto& [kind, in, out, activation, number, momentum, learned, purpose] : tuples) {
    nodes.push_back({static_cast<NodeSpec::Kind>(kind), in, out, static_cast<Activation>(activation), number,
                     momentum, learned, purpose});
  }
  return nodes;
}

template <class T>
T get(const nb::dict& settings, const char* name) {
  return nb::cast<T>(settings[name]);
}

template <class T>
std::vector<T> get_array(const nb::dict& settings, const char* name) {
  const auto array = nb::cast<Array1<T>>(settings[name]);
  return std::vector<T>(array.data(), array.data() + array.size());
}

Settings settings_of(const nb::dict& from) {
  Settings s{};
  s.nodes = nodes_of(get<std::vector<NodeTuple>>(from, "nodes"));
  s.binary = get<bool>(from, "binary");
  s.positive = get<float>(from, "positive");
  s.batch_size = get<int>(from, "batch_size");
  s.seed = get<uint64_t>(from, "seed");
  s.shuffle_purpose = get<uint32_t>(from, "shuffle_purpose");
  s.sample_purpose = get<uint32_t>(from, "sample_purpose");
  s.optimizer = static_cast<Optimizer>(get<int>(from, "optimizer"));
  s.momentum = get<float>(from, "momentum");
  s.nesterov = get<bool>(from, "nesterov");
  std::tie(s.beta1, s.beta2) = get<std::tuple<double, double>>(from, "betas");
  s.eps = get<float>(from, "eps");
  s.clip_norm = get<float>(from, "clip_norm");
  s.clip_value = get<float>(from, "clip_value");
  s.accumulate = get<int>(from, "accumulate");
  s.average = get<double>(from, "average");
  s.smoothing = get<float>(from, "smoothing");
  for (const auto& [lr_scale, decay, l1, l2] : get<std::vector<ParameterTuple>>(from, "parameters")) {
    s.parameters.push_back({lr_scale, decay, l1, l2});
  }
  s.class_weights = get_array<float>(from, "class_weights");
  s.class_weight_sum = get<float>(from, "class_weight_sum");
  s.normalisers = get_array<float>(from, "normalisers");
  s.sampling = get_array<double>(from, "sampling");
  const auto [channels, height, width] = get<std::tuple<int, int, int>>(from, "image");
  s.augmentation = {{channels, height, width},
                    get<int>(from, "shift"),
                    get<int>(from, "cutout"),
                    get<uint32_t>(from, "shift_purpose"),
                    get<uint32_t>(from, "cutout_purpose")};
  s.mixes = get<bool>(from, "mixes");
  s.threads = get<int>(from, "threads");
  return s;
}

nb::tuple advance(Trainer& trainer, Array1<double> rates, std::optional<Array1<double>> shares,
                  std::optional<Array1<int32_t>> boxes, bool statistics) {
  const Steps steps{int64_t(rates.size()), rates.data(), shares ? shares->data() : nullptr,
                    boxes ? boxes->data() : nullptr};
  Result result;
  {
    nb::gil_scoped_release released;
    result = trainer.advance(steps, statistics);
  }
  nb::list layers;
  for (const LayerSums& l : result.layers) {
    layers.append(nb::make_tuple(l.weight_norm, l.gradient_norm, l.change_norm, l.activation_mean,
                                 l.activation_std, l.idle));
  }
  return nb::make_tuple(result.rows, result.loss_sum, result.correct, layers);
}

}  // namespace

NB_MODULE(_native, m) {
  m.def("isa", [](std::optional<std::string> forced) {
    return std::string(choose_kernels(forced ? forced->c_str() : nullptr).name);
  }, nb::arg("forced").none() = nb::none());
  m.def("function", [](int which, Array1<float> x, Out<float> y, std::optional<std::string> forced) {
    choose_kernels(forced ? forced->c_str() : nullptr).function(which, x.data(), y.data(), int(x.size()));
  }, nb::arg("which"), nb::arg("x"), nb::arg("y"), nb::arg("forced").none() = nb::none());
  m.def("fma_peak", [](int threads) {
    const Kernels& kernels = choose_kernels(nullptr);
    nb::gil_scoped_release released;
    double best = 0;
    for (int repeat = 0; repeat < 5; ++repeat) {
      std::vector<std::thread> all;
      const auto since = std::chrono::steady_clock::now();
      for (int t = 0; t < threads; ++t) {
        all.emplace_back([&] { kernels.fma_rounds(4'000'000); });
      }
      for (std::thread& thread : all) thread.join();
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - since;
      best = std::max(best, threads * kernels.fma_rounds(1) * 4e6 / seconds.count());
    }
    return best;
  }, nb::arg("threads"));
  m.def("permutation",
        [](uint64_t seed, uint32_t purpose, uint32_t step, Out<uint32_t> to, std::optional<std::string> forced) {
    Shuffle shuffle(choose_kernels(forced ? forced->c_str() : nullptr), seed, purpose, to.size());
    const uint32_t* order = shuffle.order(step);
    std::copy(order, order + to.size(), to.data());
  }, nb::arg("seed"), nb::arg("purpose"), nb::arg("step"), nb::arg("to"), nb::arg("forced").none() = nb::none());

  m.def("random_words",
        [](uint64_t seed, uint32_t step, uint32_t purpose, uint64_t first, Out<uint32_t> to,
           std::optional<std::string> forced) {
    const Kernels& kernels = choose_kernels(forced ? forced->c_str() : nullptr);
    constexpr size_t kBlocks = 256;
    uint32_t words[4 * (kBlocks + 8)];
    for (size_t done = 0, count; done < to.size(); done += count) {
      count = std::min(4 * kBlocks, to.size() - done);
      kernels.random_words(seed, step, purpose, first + done / 4, int((count + 3) / 4), words);
      std::copy(words, words + count, to.data() + done);
    }
  },
        nb::arg("seed"), nb::arg("step"), nb::arg("purpose"), nb::arg("first_block"), nb::arg("to"),
        nb::arg("forced").none() = nb::none());

  nb::class_<Trainer>(m, "Trainer")
      .def("__init__",
           [](Trainer* self, const nb::dict& settings, Address data, bool bytes, size_t row_bytes, int features,
              std::optional<Array1<float>> offset, std::optional<Array1<float>> factor, float shift,
              std::optional<Array1<int64_t>> rows, std::optional<Array1<int64_t>> targets,
              std::optional<Array1<uint8_t>> labels, size_t samples,
              const std::tuple<int64_t, int64_t, bool>& position, std::optional<std::string> isa) {
    const Source source{
        reinterpret_cast<const void*>(data), bytes, row_bytes, features, offset ? offset->data() : nullptr,
        factor ? factor->data() : nullptr,   shift};
    const Data given{source, rows ? rows->data() : nullptr, targets ? targets->data() : nullptr,
                     labels ? labels->data() : nullptr, samples};
    const auto [step, updates, averaged] = position;
    new (self) Trainer(settings_of(settings), given, choose_kernels(isa ? isa->c_str() : nullptr),
                       {step, updates, averaged});
  },
           nb::arg("settings"), nb::arg("data"), nb::arg("bytes"), nb::arg("row_bytes"), nb::arg("features"),
           nb::arg("offset").none(), nb::arg("factor").none(), nb::arg("shift"), nb::arg("rows").none(),
           nb::arg("targets").none(), nb::arg("labels").none(), nb::arg("samples"), nb::arg("position"),
           nb::arg("isa").none())
      .def("set_orders",
           [](Trainer& t, int64_t first_epoch, Array1<uint32_t> orders) {
    t.set_orders(first_epoch, {orders.data(), orders.data() + orders.size()});
  }, nb::arg("first_epoch"), nb::arg("orders"))
      // what: 0 the values, 1 and 2 the optimizer's means, 3 the average of the values
      .def("write",
           [](Trainer& t, int parameter, int what, Out<const float> values) {
    t.network().write(parameter, what, values.data());
  }, nb::arg("parameter"), nb::arg("what"), nb::arg("values"))
      .def("read",
           [](Trainer& t, int parameter, int what, Out<float> values) {
    t.network().read(parameter, what, values.data());
  }, nb::arg("parameter"), nb::arg("what"), nb::arg("values"))
      .def("advance", &advance, nb::arg("rates"), nb::arg("shares").none(), nb::arg("boxes").none(),
           nb::arg("statistics"))
      .def_prop_ro("updates", &Trainer::updates)
      .def_prop_ro("description", &Trainer::description);
}

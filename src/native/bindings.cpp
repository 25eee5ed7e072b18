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

// (in, out, activation, slope of LeakyReLU, whether there is a bias)
using LayerTuple = std::tuple<int, int, int, float, bool>;

Settings settings_of(const std::vector<LayerTuple>& layers, bool binary, int batch_size,
                     uint64_t seed, uint32_t purpose, float momentum, bool nesterov,
                     float weight_decay, int threads) {
  Settings settings{{},       binary,       batch_size, seed,   purpose,
                    momentum, weight_decay, nesterov,   threads};
  for (const auto& [in, out, activation, slope, bias] : layers) {
    settings.layers.push_back({in, out, static_cast<Activation>(activation), slope, bias});
  }
  return settings;
}

nb::tuple advance(Trainer& trainer, Array1<double> rates, bool statistics) {
  Result result;
  {
    nb::gil_scoped_release released;
    result = trainer.advance(rates.data(), int64_t(rates.size()), statistics);
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
  m.def("permutation", [](uint64_t seed, uint32_t purpose, uint32_t step, Out<uint32_t> to,
                          std::optional<std::string> forced) {
    Shuffle shuffle(choose_kernels(forced ? forced->c_str() : nullptr), seed, purpose, to.size());
    const uint32_t* order = shuffle.order(step);
    std::copy(order, order + to.size(), to.data());
  }, nb::arg("seed"), nb::arg("purpose"), nb::arg("step"), nb::arg("to"), nb::arg("forced").none() = nb::none());

  nb::class_<Trainer>(m, "Trainer")
      .def("__init__",
           [](Trainer* self, const std::vector<LayerTuple>& layers, bool binary, int batch_size,
              uint64_t seed, uint32_t purpose, float momentum, bool nesterov, float weight_decay,
              int threads, Address data, bool bytes, size_t row_bytes, int features,
              std::optional<Array1<float>> offset, std::optional<Array1<float>> factor, float shift,
              std::optional<Array1<int64_t>> rows, Array1<int64_t> targets, int64_t first_step,
              std::optional<std::string> isa) {
             const Source source{reinterpret_cast<const void*>(data), bytes, row_bytes, features,
                                 offset ? offset->data() : nullptr, factor ? factor->data() : nullptr,
                                 shift};
             const Data given{source, rows ? rows->data() : nullptr, targets.data(), targets.size()};
             new (self) Trainer(settings_of(layers, binary, batch_size, seed, purpose, momentum,
                                            nesterov, weight_decay, threads),
                                given, choose_kernels(isa ? isa->c_str() : nullptr), first_step);
           },
           nb::arg("layers"), nb::arg("binary"), nb::arg("batch_size"), nb::arg("seed"),
           nb::arg("purpose"), nb::arg("momentum"), nb::arg("nesterov"), nb::arg("weight_decay"),
           nb::arg("threads"), nb::arg("data"), nb::arg("bytes"), nb::arg("row_bytes"),
           nb::arg("features"), nb::arg("offset").none(), nb::arg("factor").none(), nb::arg("shift"),
           nb::arg("rows").none(), nb::arg("targets"), nb::arg("first_step"), nb::arg("isa").none())
      .def("write", [](Trainer& t, int layer, bool velocity, Out<const float> weight,
                       std::optional<Out<const float>> bias) {
        t.write(layer, velocity, weight.data(), bias ? bias->data() : nullptr);
      }, nb::arg("layer"), nb::arg("velocity"), nb::arg("weight"), nb::arg("bias").none())
      .def("read", [](const Trainer& t, int layer, bool velocity, Out<float> weight,
                      std::optional<Out<float>> bias) {
        t.read(layer, velocity, weight.data(), bias ? bias->data() : nullptr);
      }, nb::arg("layer"), nb::arg("velocity"), nb::arg("weight"), nb::arg("bias").none())
      .def("advance", &advance, nb::arg("rates"), nb::arg("statistics"))
      .def_prop_ro("description", &Trainer::description);
}

// The only C++ that knows Python: nanobind's enums and classes, arrays in and out.
//
// A number never crosses this border in place of a name: kinds, optimizers, activations and slots are enums,
// and what has several fields is a class with keyword arguments, under the recipe's names. Constructors of
// settings copy their arrays; `Rows` keeps the Python arrays that it is given, and a Trainer its Rows.
// Nothing here converts an array of another type or form: that raises TypeError.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <thread>

#include "inference.h"
#include "pace.h"
#include "trainer.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace steepest;

namespace {

template <class T>
using Array1 = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Out = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
template <class T>
using Out2 = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Name = std::optional<std::string>;  // of an instruction set; None for the best one

template <class T>
std::vector<T> copied(const Array1<T>& array) {
  return std::vector<T>(array.data(), array.data() + array.size());
}

template <class T>
const T* pointer(const std::optional<Array1<T>>& array) {
  return array ? array->data() : nullptr;
}

const Kernels& kernels_of(const Name& isa) { return choose_kernels(isa ? isa->c_str() : nullptr); }

// A view of any object with Python's buffer protocol. An nb::ndarray counts distances in elements, but the
// rows of a field of a structured array may lie at any number of bytes.
class Buffer {
 public:
  explicit Buffer(nb::handle object) {
    if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_STRIDES | PyBUF_FORMAT)) throw nb::python_error();
  }
  ~Buffer() { PyBuffer_Release(&view_); }
  Buffer(const Buffer&) = delete;
  const Py_buffer* operator->() const { return &view_; }

 private:
  Py_buffer view_;
};

// What the extension knows of piecewise linear columns, in the memory of the Python arrays that it keeps alive.
class PiecewiseColumns {
 public:
  PiecewiseColumns(int width, Array1<int64_t> from, Array1<int64_t> to, Array1<int64_t> values,
                   Array1<int64_t> places, Array1<int64_t> first, Array1<int64_t> bins, Array1<float> empty,
                   Array1<float> full)
      : width_(width),
        integers_{from, to, values, places, first, bins},
        floats_{empty, full},
        columns_{int(from.size()), int(values.size()), from.data(), to.data(),    values.data(),
                 places.data(),    first.data(),       bins.data(), empty.data(), full.data()} {}
  int width() const { return width_; }
  const Piecewise& columns() const { return columns_; }

 private:
  int width_;
  std::vector<Array1<int64_t>> integers_;
  std::vector<Array1<float>> floats_;
  Piecewise columns_;
};

// The training rows and their targets, in the memory of the Python arrays that they keep alive.
class Rows {
 public:
  Rows(nb::handle values, std::optional<Array1<int64_t>> rows, std::optional<Array1<int64_t>> targets,
       std::optional<Array1<uint8_t>> labels, std::optional<Array1<float>> weights, size_t samples,
       std::optional<Array1<float>> offset, std::optional<Array1<float>> factor, float shift,
       std::optional<PiecewiseColumns> piecewise)
      : values_(values),
        rows_(rows),
        targets_(targets),
        labels_(labels),
        weights_(weights),
        offset_(offset),
        factor_(factor),
        piecewise_(std::move(piecewise)) {
    const bool bytes = std::strcmp(values_->format, "B") == 0;
    // "=f" where they are not aligned, as arrays of an NPZ file that is mapped seldom are.
    const bool floats = std::strcmp(values_->format, "f") == 0 || std::strcmp(values_->format, "=f") == 0;
    if (values_->ndim < 1 || !(bytes || floats)) {
      throw std::invalid_argument("the rows must be an array of uint8 or float32");
    }
    int64_t features = 1;
    for (int i = 1; i < values_->ndim; ++i) features *= values_->shape[i];
    if (piecewise_ && bytes) throw std::invalid_argument("piecewise linear columns must be float32");
    if (piecewise_) features = piecewise_->width();
    const Source source{values_->buf,
                        bytes,
                        size_t(values_->strides[0]),
                        int(features),
                        pointer(offset_),
                        pointer(factor_),
                        shift,
                        piecewise_ ? &piecewise_->columns() : nullptr};
    data_ = {source, pointer(rows_), pointer(targets_), pointer(weights_), pointer(labels_), samples};
  }
  const Data& data() const { return data_; }

 private:
  Buffer values_;
  std::optional<Array1<int64_t>> rows_, targets_;
  std::optional<Array1<uint8_t>> labels_;
  std::optional<Array1<float>> weights_, offset_, factor_;
  std::optional<PiecewiseColumns> piecewise_;
  Data data_;
};

Result advance(Trainer& trainer, Array1<double> rates, std::optional<Array1<double>> shares,
               std::optional<Array1<int32_t>> boxes, bool statistics, std::optional<Array1<double>> factors) {
  if (factors && factors->size() != 3 * rates.size()) throw std::invalid_argument("there are 3 factors a step");
  const Steps steps{int64_t(rates.size()), rates.data(), pointer(shares), pointer(boxes),
                    reinterpret_cast<const Factors*>(pointer(factors))};
  nb::gil_scoped_release released;
  return trainer.advance(steps, statistics);
}

// Many trainings, one after the other, all at one position: states (K, state_size) are moved on by the steps of
// `rates`, (K, steps). Returns the sums of each training.
std::vector<Result> advance_stacked(Trainer& trainer, const Array1<uint64_t>& seeds, const Position& position,
                                    const Out2<float>& states, const Out2<const double>& rates) {
  const size_t count = seeds.size(), size = trainer.network().state_size();
  if (states.shape(0) != count || rates.shape(0) != count || states.shape(1) != size) {
    throw std::invalid_argument("there are a state and a row of rates for each seed");
  }
  const int64_t steps = int64_t(rates.shape(1));
  nb::gil_scoped_release released;
  std::vector<Result> results;
  for (size_t i = 0; i < count; ++i) {
    float* state = states.data() + i * size;
    trainer.restart(seeds.data()[i], position);
    trainer.network().load(state);
    results.push_back(
        trainer.advance({steps, rates.data() + int64_t(i) * steps, nullptr, nullptr, nullptr}, false));
    trainer.network().store(state);
  }
  return results;
}

// Outputs for the same rows by each of many states: (K, samples, classes), or (K, samples, members, classes).
void run_stacked(Inference& inference, const Rows& rows, const Out2<const float>& states, Out<float> outputs) {
  const size_t count = states.shape(0), size = inference.network().state_size();
  const size_t each = rows.data().samples * size_t(inference.network().members * inference.network().classes);
  if (states.shape(1) < size || outputs.size() != count * each) {
    throw std::invalid_argument("the states are too short, or the outputs have another size");
  }
  nb::gil_scoped_release released;
  for (size_t i = 0; i < count; ++i) {
    inference.network().load(states.data() + i * states.shape(1));
    inference.run(rows.data(), outputs.data() + i * each);
  }
}

// Operations a second of fused multiply-adds in registers, the best of five rounds: what no kernel exceeds.
double fma_peak(int threads) {
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
}

void random_words(uint64_t seed, uint32_t step, uint32_t purpose, uint64_t first_block, Out<uint32_t> to,
                  const Name& isa) {
  const Kernels& kernels = kernels_of(isa);
  constexpr size_t kBlocks = 256;
  uint32_t words[4 * (kBlocks + 8)];
  for (size_t done = 0, count; done < to.size(); done += count) {
    count = std::min(4 * kBlocks, to.size() - done);
    kernels.random_words(seed, step, purpose, first_block + done / 4, int((count + 3) / 4), words);
    std::copy(words, words + count, to.data() + done);
  }
}

void permutation(uint64_t seed, uint32_t purpose, uint32_t step, Out<uint32_t> to, const Name& isa) {
  Shuffle shuffle(kernels_of(isa), seed, purpose, to.size());
  const uint32_t* order = shuffle.order(step);
  std::copy(order, order + to.size(), to.data());
}

void bind_enums(nb::module_& m) {
  nb::enum_<NodeSpec::Kind>(m, "NodeKind")
      .value("LINEAR", NodeSpec::Kind::kLinear)
      .value("ACTIVATION", NodeSpec::Kind::kActivate)
      .value("PARAMETRIC", NodeSpec::Kind::kParametric)
      .value("PRELU", NodeSpec::Kind::kPrelu)
      .value("SCALING", NodeSpec::Kind::kScaling)
      .value("PERIODIC", NodeSpec::Kind::kPeriodic)
      .value("CATEGORIES", NodeSpec::Kind::kCategories)
      .value("VIEW", NodeSpec::Kind::kView)
      .value("MEMBER_SCALING", NodeSpec::Kind::kMemberScaling)
      .value("HEADS", NodeSpec::Kind::kHeads)
      .value("DROPOUT", NodeSpec::Kind::kDropout)
      .value("BATCH_NORM", NodeSpec::Kind::kBatchNorm)
      .value("LAYER_NORM", NodeSpec::Kind::kLayerNorm)
      .value("BRANCH", NodeSpec::Kind::kBranch)
      .value("SHORTCUT", NodeSpec::Kind::kShortcut)
      .value("JOIN", NodeSpec::Kind::kJoin)
      .value("TO_IMAGES", NodeSpec::Kind::kToImages)
      .value("TO_ROWS", NodeSpec::Kind::kToRows)
      .value("CONVOLUTION", NodeSpec::Kind::kConvolution)
      .value("MAX_POOL", NodeSpec::Kind::kMaxPool)
      .value("MEAN_POOL", NodeSpec::Kind::kMeanPool)
      .value("PAD", NodeSpec::Kind::kPad)
      .value("IMAGE_NORM", NodeSpec::Kind::kImageNorm)
      .value("GROUP_NORM", NodeSpec::Kind::kGroupNorm)
      .value("CHANNEL_DROPOUT", NodeSpec::Kind::kChannelDropout);
  nb::enum_<Activation>(m, "Activation")
      .value("IDENTITY", Activation::kIdentity)
      .value("TANH", Activation::kTanh)
      .value("SIGMOID", Activation::kSigmoid)
      .value("RELU", Activation::kRelu)
      .value("LEAKY_RELU", Activation::kLeakyRelu)
      .value("GELU", Activation::kGelu)
      .value("GELU_TANH", Activation::kGeluTanh)
      .value("SILU", Activation::kSilu)
      .value("MISH", Activation::kMish)
      .value("SELU", Activation::kSelu);
  nb::enum_<Optimizer>(m, "Optimizer")
      .value("SGD", Optimizer::kSgd)
      .value("ADAM", Optimizer::kAdam)
      .value("ADAMW", Optimizer::kAdamW)
      .value("RMSPROP", Optimizer::kRmsprop)
      .value("MUON", Optimizer::kMuon);
  nb::enum_<Slot>(m, "Slot")
      .value("VALUE", Slot::kValue)
      .value("FIRST_MOMENT", Slot::kFirstMoment)
      .value("SECOND_MOMENT", Slot::kSecondMoment)
      .value("EMA", Slot::kEma);
  nb::enum_<Function>(m, "Function")
      .value("EXP", Function::kExp)
      .value("EXPM1", Function::kExpm1)
      .value("TANH", Function::kTanh)
      .value("COS_OF_TURNS", Function::kCosOfTurns)
      .value("SIN_OF_TURNS", Function::kSinOfTurns)
      .value("ERF", Function::kErf);
}

void bind_settings(nb::module_& m) {
  using Pair = std::tuple<int, int>;
  nb::class_<Geometry>(m, "Geometry")
      .def("__init__",
           [](Geometry* self, const std::tuple<int, int, int>& from, const std::tuple<int, int, int>& to,
              const Pair& window, const Pair& steps, const Pair& spread, const Pair& padding, int groups,
              int divisor, std::vector<int> windows) {
    Geometry& g = *new (self) Geometry();
    std::tie(g.channels, g.height, g.width) = from;
    std::tie(g.out_channels, g.out_height, g.out_width) = to;
    std::tie(g.window_rows, g.window_columns) = window;
    std::tie(g.row_step, g.column_step) = steps;
    std::tie(g.row_spread, g.column_spread) = spread;
    std::tie(g.top, g.left) = padding;
    g.groups = groups;
    g.divisor = divisor;
    g.windows = std::move(windows);
  },
           nb::kw_only(), "from_"_a, "to"_a, "window"_a = Pair(1, 1), "steps"_a = Pair(1, 1),
           "spread"_a = Pair(1, 1), "padding"_a = Pair(0, 0), "groups"_a = 1, "divisor"_a = 0,
           "windows"_a = std::vector<int>());
  nb::class_<NodeSpec>(m, "NodeSpec")
      .def(nb::init<NodeSpec::Kind, int, int, int, Activation, float, double, float, float, bool, uint32_t,
                    std::vector<int>, Geometry>(),
           "kind"_a, nb::kw_only(), "inputs"_a = 0, "outputs"_a = 0, "members"_a = 1,
           "activation"_a = Activation::kIdentity, "slope"_a = 0.0f, "probability"_a = 0.0, "eps"_a = 0.0f,
           "momentum"_a = 0.0f, "learned"_a = false, "purpose"_a = 0, "columns"_a = std::vector<int>(),
           "geometry"_a = Geometry())
      .def_ro("kind", &NodeSpec::kind);
  nb::class_<ParameterSettings>(m, "ParameterSettings")
      .def(nb::init<float, float, float, float, bool>(), nb::kw_only(), "lr_scale"_a, "weight_decay"_a, "l1"_a,
           "l2"_a, "muon"_a = false);
  nb::class_<LossSettings>(m, "LossSettings")
      .def("__init__",
           [](LossSettings* self, bool binary, float pos_weight, double label_smoothing,
              Array1<float> class_weights, float class_weight_sum, Array1<float> normalisers) {
    new (self) LossSettings{binary,           pos_weight,         label_smoothing, copied(class_weights),
                            class_weight_sum, copied(normalisers)};
  },
           nb::kw_only(), "binary"_a, "pos_weight"_a, "label_smoothing"_a, "class_weights"_a, "class_weight_sum"_a,
           "normalisers"_a);
  nb::class_<OptimizerSettings>(m, "OptimizerSettings")
      .def("__init__",
           [](OptimizerSettings* self, Optimizer kind, float momentum, bool nesterov,
              const std::tuple<double, double>& betas, float eps, float clip_norm, float clip_value,
              int accumulate, double ema, std::vector<ParameterSettings> parameters) {
    const auto [beta1, beta2] = betas;
    new (self) OptimizerSettings{kind,
                                 momentum,
                                 nesterov,
                                 beta1,
                                 beta2,
                                 eps,
                                 clip_norm,
                                 clip_value,
                                 accumulate,
                                 ema,
                                 std::move(parameters)};
  },
           "kind"_a, nb::kw_only(), "momentum"_a, "nesterov"_a, "betas"_a, "eps"_a, "clip_norm"_a, "clip_value"_a,
           "accumulate"_a, "ema"_a, "parameters"_a);
  nb::class_<OrderSettings>(m, "OrderSettings")
      .def("__init__",
           [](OrderSettings* self, int batch_size, uint64_t seed, uint32_t purpose,
              Array1<double> cumulative_weights) {
    new (self) OrderSettings{batch_size, seed, purpose, copied(cumulative_weights)};
  },
           nb::kw_only(), "batch_size"_a, "seed"_a, "purpose"_a, "cumulative_weights"_a);
  nb::class_<Augmentation>(m, "Augmentation")
      .def("__init__",
           [](Augmentation* self, const std::tuple<int, int, int>& image, int shift, int cutout, int crop,
              bool flip, uint32_t shift_purpose, uint32_t cutout_purpose, uint32_t crop_purpose,
              uint32_t flip_purpose, bool mixes) {
    const auto [channels, height, width] = image;
    new (self) Augmentation{{channels, height, width},
                            shift,
                            cutout,
                            crop,
                            flip,
                            shift_purpose,
                            cutout_purpose,
                            crop_purpose,
                            flip_purpose,
                            mixes};
  },
           nb::kw_only(), "image"_a, "shift"_a, "cutout"_a, "crop"_a, "flip"_a, "shift_purpose"_a,
           "cutout_purpose"_a, "crop_purpose"_a, "flip_purpose"_a, "mixes"_a);
  nb::class_<Settings>(m, "Settings")
      .def(nb::init<std::vector<NodeSpec>, LossSettings, OptimizerSettings, OrderSettings, Augmentation, int, bool,
                    bool>(),
           nb::kw_only(), "nodes"_a, "loss"_a, "optimizer"_a, "order"_a, "augmentation"_a, "threads"_a,
           "adaptive"_a, "bf16"_a = false);
}

void bind_results(nb::module_& m) {
  nb::class_<LayerSums>(m, "LayerSums")
      .def_ro("weight_norm", &LayerSums::weight_norm)
      .def_ro("gradient_norm", &LayerSums::gradient_norm)
      .def_ro("change_norm", &LayerSums::change_norm)
      .def_ro("activation_mean", &LayerSums::activation_mean)
      .def_ro("activation_std", &LayerSums::activation_std)
      .def_ro("inactive", &LayerSums::inactive);
  nb::class_<Result>(m, "Result")
      .def_ro("rows", &Result::rows)
      .def_ro("losses", &Result::losses)
      .def_ro("correct", &Result::correct)
      .def_ro("layers", &Result::layers);
}

void bind_trainer(nb::module_& m) {
  nb::class_<PiecewiseColumns>(m, "PiecewiseColumns")
      .def(nb::init<int, Array1<int64_t>, Array1<int64_t>, Array1<int64_t>, Array1<int64_t>, Array1<int64_t>,
                    Array1<int64_t>, Array1<float>, Array1<float>>(),
           nb::kw_only(), "width"_a, "from_"_a.noconvert(), "to"_a.noconvert(), "values"_a.noconvert(),
           "places"_a.noconvert(), "first"_a.noconvert(), "bins"_a.noconvert(), "empty"_a.noconvert(),
           "full"_a.noconvert());
  nb::class_<Rows>(m, "Rows").def(
      nb::init<nb::handle, std::optional<Array1<int64_t>>, std::optional<Array1<int64_t>>,
               std::optional<Array1<uint8_t>>, std::optional<Array1<float>>, size_t, std::optional<Array1<float>>,
               std::optional<Array1<float>>, float, std::optional<PiecewiseColumns>>(),
      "values"_a, nb::kw_only(), "rows"_a.none().noconvert(), "targets"_a.none().noconvert(),
      "labels"_a.none().noconvert(), "weights"_a.none().noconvert(), "samples"_a, "offset"_a.none().noconvert(),
      "factor"_a.none().noconvert(), "shift"_a, "piecewise"_a.none() = nb::none());
  nb::class_<Position>(m, "Position")
      .def(nb::init<int64_t, int64_t, bool>(), nb::kw_only(), "step"_a, "updates"_a, "averaged"_a);
  nb::class_<Trainer>(m, "Trainer")
      .def("__init__",
           [](Trainer* self, const Settings& settings, const Rows& rows, const Position& position,
              const Name& isa) {
    new (self) Trainer(settings, rows.data(), kernels_of(isa), isa.has_value(), position);
  },
           "settings"_a, "rows"_a, "position"_a, "isa"_a.none() = nb::none(), nb::keep_alive<1, 3>())
      .def("set_orders",
           [](Trainer& t, int64_t first_epoch, Array1<uint32_t> orders) {
    t.set_orders(first_epoch, copied(orders));
  }, "first_epoch"_a, "orders"_a)
      .def("write",
           [](Trainer& t, int parameter, Slot slot, Out<const float> values) {
    t.network().write(parameter, slot, values.data());
  }, "parameter"_a, "slot"_a, "values"_a)
      .def("read",
           [](Trainer& t, int parameter, Slot slot, Out<float> values) {
    t.network().read(parameter, slot, values.data());
  }, "parameter"_a, "slot"_a, "values"_a.noconvert())
      .def("advance", &advance, "rates"_a, "shares"_a.none(), "boxes"_a.none(), "statistics"_a,
           "factors"_a.none() = nb::none())
      .def("configure", &Trainer::configure, nb::kw_only(), "loss"_a, "optimizer"_a)
      .def("advance_stacked", &advance_stacked, "seeds"_a.noconvert(), "position"_a, "states"_a.noconvert(),
           "rates"_a.noconvert())
      .def_prop_ro("state_size", [](Trainer& t) { return t.network().state_size(); })
      .def_prop_ro("updates", &Trainer::updates)
      .def_prop_ro("description", &Trainer::description);
}

void bind_inference(nb::module_& m) {
  nb::class_<Inference>(m, "Inference")
      .def("__init__",
           [](Inference* self, const std::vector<NodeSpec>& nodes, int features, int threads, int64_t rows,
              const Name& isa) { new (self) Inference(nodes, features, threads, rows, kernels_of(isa)); },
           "nodes"_a, nb::kw_only(), "features"_a, "threads"_a, "rows"_a, "isa"_a.none() = nb::none())
      .def("write",
           [](Inference& inference, int parameter, Out<const float> values) {
    inference.network().write(parameter, Slot::kValue, values.data());
  }, "parameter"_a, "values"_a)
      .def("run",
           [](Inference& inference, const Rows& rows, Out<float> outputs) {
    nb::gil_scoped_release released;
    inference.run(rows.data(), outputs.data());
  }, "rows"_a, "outputs"_a.noconvert())
      .def("run_stacked", &run_stacked, "rows"_a, "states"_a.noconvert(), "outputs"_a.noconvert())
      .def_prop_ro("classes", [](Inference& inference) {
    return inference.network().classes;
  }).def_prop_ro("members", [](Inference& inference) { return inference.network().members; });
}

}  // namespace

NB_MODULE(_native, m) {
  m.def("isa", [](const Name& isa) { return std::string(kernels_of(isa).name); }, "isa"_a.none() = nb::none());
  m.def("function", [](Function which, Array1<float> x, Out<float> y, const Name& isa) {
    kernels_of(isa).function(which, x.data(), y.data(), int(x.size()));
  }, "which"_a, "x"_a, "y"_a.noconvert(), "isa"_a.none() = nb::none());
  m.def("fma_peak", &fma_peak, "threads"_a);
  nb::class_<Pace>(m, "Pace")  // for tests
      .def(nb::init<int, bool>(), "threads"_a, "fixed"_a)
      .def_prop_ro("threads", &Pace::threads)
      .def_prop_ro("steps", &Pace::steps)
      .def("took", &Pace::took, "steps"_a, "seconds"_a);
  m.def("permutation", &permutation, "seed"_a, "purpose"_a, "step"_a, "to"_a.noconvert(),
        "isa"_a.none() = nb::none());
  m.def("random_words", &random_words, "seed"_a, "step"_a, "purpose"_a, "first_block"_a, "to"_a.noconvert(),
        "isa"_a.none() = nb::none());
  bind_enums(m);
  bind_settings(m);
  bind_results(m);
  bind_trainer(m);
  bind_inference(m);
}

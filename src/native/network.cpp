#include "network.h"

#include "image_maker.h"

#include <algorithm>
#include <utility>

namespace steepest {

// Rows of 64 bytes; a distance that is a multiple of 1 KiB would crowd few sets of the caches.
size_t stride_of(int columns, size_t unit) {
  const size_t floats = (static_cast<size_t>(columns) + unit - 1) / unit * unit;
  return floats % 256 == 0 ? floats + unit : floats;
}

namespace {

// Whether the derivative needs Z: of the others it is a function of A alone.
bool needs_pre(Activation kind) {
  return kind == Activation::kGelu || kind == Activation::kGeluTanh || kind == Activation::kSilu ||
         kind == Activation::kMish || kind == Activation::kSelu || kind == Activation::kLeakyRelu;
}

// Of a layer of so many columns for each of them, minibatches of at most so many rows are few.
constexpr int kColumnsWorthARow = 32, kFewRowsOfWide = 32;

uint32_t threshold_of(double probability) { return static_cast<uint32_t>(probability * 4294967296.0); }

float keep_scale(double probability) { return static_cast<float>(1.0 / (1.0 - probability)); }

}  // namespace

// Makes the nodes of a network one after the other, and takes their memory in the same order. Used twice:
// first to measure how much that is, then in earnest.
class Network::Builder : public ImageMaker {
 public:
  Builder(Network& network, int features, int batch, const Kept& kept)
      : ImageMaker(network, network.arena_, network.tables_, batch, kept) {
    network_.inputs.stride = stride_of(features, 64);
    network_.inputs.data = arena_.take(network_.inputs.stride * batch + 64);
    value_ = {features, network_.inputs, {}, false, false};
  }

  void build(const std::vector<NodeSpec>& specs) {
    network_.nodes.clear();
    network_.parameters.clear();
    network_.watched.clear();
    network_.columns_.clear();
    network_.tables_ = Tables();
    network_.planes.clear();
    network_.stacked_.clear();
    network_.parts_.clear();
    network_.copies.clear();
    size_t nodes = 0;
    for (const NodeSpec& spec : specs) nodes += spec.kind == NodeSpec::Kind::kHeads ? size_t(spec.members) : 1;
    network_.nodes.reserve(nodes);  // they point at each other
    for (const NodeSpec& spec : specs) add(spec);
    network_.logits = value_.data;
    network_.logits_gradient = value_.gradient;
    network_.classes = value_.width;
    network_.members = copies_;
  }

 private:
  void add(const NodeSpec& spec) {
    switch (spec.kind) {
      case NodeSpec::Kind::kLinear:
        return add_linear(spec);
      case NodeSpec::Kind::kActivate:
        return add_activation(spec);
      case NodeSpec::Kind::kParametric:
      case NodeSpec::Kind::kPrelu:
        return add_parametric(spec);
      case NodeSpec::Kind::kScaling:
        return add_scaling();
      case NodeSpec::Kind::kPeriodic:
        return add_periodic(spec);
      case NodeSpec::Kind::kCategories:
        return add_categories(spec);
      case NodeSpec::Kind::kView:
        return add_view(spec);
      case NodeSpec::Kind::kMemberScaling:
        return add_member_scaling(spec);
      case NodeSpec::Kind::kHeads:
        return add_heads(spec);
      case NodeSpec::Kind::kDropout:
        return add_dropout(spec);
      case NodeSpec::Kind::kBatchNorm:
        return add_batch_norm(spec);
      case NodeSpec::Kind::kLayerNorm:
        return add_layer_norm(spec);
      case NodeSpec::Kind::kBranch:
        return add_branch();
      case NodeSpec::Kind::kShortcut:
        return begin_shortcut();
      case NodeSpec::Kind::kJoin:
        return add_join(spec);
      case NodeSpec::Kind::kToImages:
      case NodeSpec::Kind::kToRows:
        return add_interleave(spec);
      case NodeSpec::Kind::kConvolution:
        return add_convolution(spec);
      case NodeSpec::Kind::kMaxPool:
      case NodeSpec::Kind::kMeanPool:
        return add_pool(spec);
      case NodeSpec::Kind::kPad:
        return add_pad(spec);
      case NodeSpec::Kind::kImageNorm:
        return add_image_norm(spec);
      case NodeSpec::Kind::kGroupNorm:
        return add_group_norm(spec);
      case NodeSpec::Kind::kChannelDropout:
        return add_channel_dropout(spec);
    }
  }

  void add_linear(const NodeSpec& spec) {
    Linear& node = make<Linear>();
    node.in = spec.inputs;
    node.out = spec.outputs;
    node.first_parameter = next_parameter();
    node.index = static_cast<int>(network_.watched.size());
    learn(node.weight, spec.inputs, spec.outputs, true);
    if (spec.learned) learn(node.bias, 1, spec.outputs, false);
    if (value_.has_gradient) transpose(node);
    const Value out = produce(spec.outputs, kept_.back);
    node.x = value_.data;
    node.dx = value_.gradient;
    node.z = out.data;
    node.dz = out.gradient;
    round(node);
    network_.watched.push_back({&node, &node.weight, out.data, out.width, Activation::kIdentity, copies_, {}});
    value_ = out;
  }

  void add_activation(const NodeSpec& spec) {
    Activate& node = make<Activate>();
    node.kind = spec.activation;
    node.slope = spec.slope;
    node.width = value_.width;
    const bool reread = kept_.back && (!value_.has_gradient || needs_pre(spec.activation));
    const bool in_place = value_.exclusive && !reread;
    Value out = in_place ? value_ : like(value_, value_.has_gradient);
    out.exclusive = false;  // its derivative reads it again
    node.z = value_.data;
    node.dz = value_.gradient;
    node.a = out.data;
    node.da = out.gradient;
    value_ = out;
    watch(spec.activation);
  }

  void add_parametric(const NodeSpec& spec) {
    Parametric& node = make<Parametric>();
    node.kind = spec.activation;
    node.slope = spec.slope;
    node.prelu = spec.kind == NodeSpec::Kind::kPrelu;
    node.width = value_.width;
    node.first_parameter = next_parameter();
    learn(node.alpha, 1, node.prelu && !spec.learned ? 1 : value_.width, false);
    node.change = matrix(value_.width);
    connect(node, produce(value_.width, kept_.back));
    watch(Activation::kIdentity);
  }

  void add_scaling() {
    Scaling& node = make<Scaling>();
    node.width = value_.width;
    node.first_parameter = next_parameter();
    learn(node.scale, 1, value_.width, false);
    connect(node, produce(value_.width, kept_.back));
  }

  void add_periodic(const NodeSpec& spec) {
    Periodic& node = make<Periodic>();
    node.width = value_.width;
    node.numbers = static_cast<int>(spec.columns.size());
    node.frequencies = spec.inputs;
    node.outputs = spec.outputs;
    node.columns = keep(spec.columns);
    node.span = static_cast<int>(stride_of(node.numbers));
    node.first_parameter = next_parameter();
    learn_rows(node.frequency, node.frequencies, node.numbers);
    learn_rows(node.phase, node.frequencies, node.numbers);
    learn_rows(node.mixing, node.outputs * node.frequencies, node.numbers);
    learn_rows(node.bias, node.outputs, node.numbers);
    node.taken = matrix(node.numbers);
    node.cosines = matrix(node.frequencies * node.span);
    node.sines = matrix(node.frequencies * node.span);
    node.de = matrix(node.outputs * node.span);
    connect(node, produce(value_.width + node.outputs * node.numbers, kept_.back));
  }

  void add_categories(const NodeSpec& spec) {
    Categories& node = make<Categories>();
    std::vector<int> others;
    int levels = 0, column = 0;
    for (size_t i = 0; i < spec.columns.size(); i += 2) {
      for (; column < spec.columns[i]; ++column) others.push_back(column);
      levels += spec.columns[i + 1] - column;
      column = spec.columns[i + 1];
    }
    for (; column < value_.width; ++column) others.push_back(column);
    node.kept = static_cast<int>(others.size());
    node.categories = static_cast<int>(spec.columns.size() / 2);
    node.outputs = spec.outputs;
    node.others = keep(others);
    node.spans = keep(spec.columns);
    node.first_parameter = next_parameter();
    learn_rows(node.table, levels, node.outputs);
    connect(node, produce(node.kept + node.categories * node.outputs, kept_.back));
  }

  void add_view(const NodeSpec& spec) {
    View& node = make<View>();
    node.members = spec.members;
    node.width = value_.width;
    copies_ = spec.members;
    connect(node, produce(value_.width, value_.has_gradient));
  }

  void add_member_scaling(const NodeSpec& spec) {
    MemberScaling& node = make<MemberScaling>();
    node.members = copies_;
    node.width = value_.width;
    node.first_parameter = next_parameter();
    learn_rows(node.scale, copies_, value_.width);
    if (spec.learned) learn_rows(node.bias, copies_, value_.width);
    connect(node, produce(value_.width, kept_.back));
    if (spec.learned) watch(Activation::kIdentity);
  }

  // A linear layer for each member, each of its rows of the same matrices.
  void add_heads(const NodeSpec& spec) {
    const int members = copies_, first_parameter = next_parameter();
    const Value in = value_, out = produce(spec.outputs, kept_.back);
    const auto own = [&](Matrix m, int k) {
      return m.data ? Matrix{m.data + k * m.stride, m.stride * members} : m;
    };
    std::vector<Parameter*>&weights = network_.parts_.emplace_back(), &biases = network_.parts_.emplace_back();
    for (int k = 0; k < members; ++k) {
      copies_ = 1;  // of the rows that are its own
      Linear& node = make<Linear>();
      node.in = spec.inputs;
      node.out = spec.outputs;
      node.first_parameter = first_parameter;
      node.index = -1;
      node.member = k;
      learn(node.weight, spec.inputs, spec.outputs, true);
      learn(node.bias, 1, spec.outputs, false);
      weights.push_back(&node.weight);
      biases.push_back(&node.bias);
      if (in.has_gradient) transpose(node);
      node.x = own(in.data, k);
      node.dx = own(in.gradient, k);
      node.z = own(out.data, k);
      node.dz = own(out.gradient, k);
      round(node);
    }
    network_.parameters.resize(first_parameter);
    stack(weights);
    stack(biases);
    copies_ = members;
    value_ = out;
  }

  void stack(const std::vector<Parameter*>& parts) {
    Parameter whole;
    whole.rows = parts[0]->rows * static_cast<int>(parts.size());
    whole.columns = parts[0]->columns;
    whole.pieces = static_cast<int>(parts.size());
    whole.parts = parts.data();
    network_.parameters.push_back(&network_.stacked_.emplace_back(whole));
  }

  // Memory for what products of bfloat16 read. Rows end in whole vectors of pairs.
  void round(Linear& node) {
    if (!kept_.bf16 || !kept_.back) return;
    const int rows = batch_ * copies_;
    const auto halves = [&](int height, int columns, size_t unit) {
      const size_t stride = stride_of(columns, unit);
      return Matrix{arena_.take(stride * height), stride};
    };
    node.bf16.x = halves(rows, (node.in + 1) / 2, 16);
    node.bf16.dz = halves(rows, (node.out + 1) / 2, 16);
    node.bf16.x_pairs = halves((rows + 1) / 2, node.in, 32);
    node.bf16.dz_pairs = halves((rows + 1) / 2, node.out, 32);
    node.bf16.weight = halves((node.in + 1) / 2, node.out, 32);
    if (node.dx.data) node.bf16.transpose = halves((node.out + 1) / 2, node.in, 16);
  }

  // Few rows have the gradient of X from W as it lies (rowwise.h).
  void transpose(Linear& node) {
    if (kept_.bf16 || batch_ * copies_ <= std::min(kFewRowsOfWide, node.out / kColumnsWorthARow)) return;
    node.transpose.stride = stride_of(node.in);
    node.transpose.data = arena_.take(node.transpose.stride * (node.out + 1));
  }

  const int* keep(const std::vector<int>& columns) { return network_.columns_.emplace_back(columns).data(); }

  void add_dropout(const NodeSpec& spec) {
    Dropout& node = make<Dropout>();
    node.width = value_.width;
    set_probability(node, spec.probability);
    node.purpose = spec.purpose;
    Value out = produce(value_.width, value_.has_gradient);
    out.exclusive = false;
    node.mask = matrix(value_.width);
    connect(node, out);
  }

  void add_batch_norm(const NodeSpec& spec) {
    BatchNorm& node = make<BatchNorm>();
    normalise(node, spec);
    node.momentum = spec.momentum;
    learn(node.mean, 1, value_.width, false);
    learn(node.variance, 1, value_.width, false);
    node.inverse = arena_.take(stride_of(value_.width));
    node.normalised = matrix(value_.width);
    connect(node, produce(value_.width, value_.has_gradient || (spec.learned && kept_.back)));
  }

  void add_layer_norm(const NodeSpec& spec) {
    LayerNorm& node = make<LayerNorm>();
    normalise(node, spec);
    node.inverse = arena_.take(size_t(batch_) * copies_);
    node.normalised = matrix(value_.width);
    connect(node, produce(value_.width, value_.has_gradient || (spec.learned && kept_.back)));
  }

  void add_branch() {
    Branch& node = make<Branch>();
    node.width = value_.width;
    node.dx = value_.gradient;
    value_.exclusive = false;
    open_.push_back({&node, value_, {}, false});
  }

  // From here on the nodes are those of the shortcut. Its gradient has memory of its own, until Branch adds it.
  void begin_shortcut() {
    Open& open = open_.back();
    open.block = std::exchange(value_, open.start);
    open.has_shortcut = true;
    if (value_.has_gradient) open.branch->dy = value_.gradient = gradient_like(value_);
  }

  void add_join(const NodeSpec& spec) {
    Join& node = make<Join>();
    const Open open = open_.back();
    open_.pop_back();
    const Value& other = open.has_shortcut ? open.block : open.start;
    node.width = value_.width;
    node.threshold = threshold_of(spec.probability);
    node.keep_scale = keep_scale(spec.probability);
    node.purpose = spec.purpose;
    node.scale = arena_.take(size_t(blocks_) * network_.lanes * copies_);
    const bool has_gradient = value_.has_gradient || other.has_gradient;
    Value out = like(value_, has_gradient && !open.has_shortcut);
    if (open.has_shortcut && has_gradient) {
      // What flows back into the block is the gradient of the sum, in the same memory.
      out.gradient = other.has_gradient ? other.gradient : gradient_like(value_);
      out.has_gradient = true;
    }
    out.exclusive = false;
    node.f = value_.data;
    node.df = value_.gradient;
    value_ = other;
    connect(node, out);
    if (!open.has_shortcut) open.branch->dy = out.gradient;
  }

  // What batch and layer normalisation have in common.
  template <class T>
  void normalise(T& node, const NodeSpec& spec) {
    node.width = value_.width;
    node.eps = spec.eps;
    node.first_parameter = next_parameter();
    if (!spec.learned) return;
    learn(node.gamma, 1, value_.width, false);
    learn(node.beta, 1, value_.width, false);
  }

  struct Open {
    Branch* branch;
    Value start, block;  // block: what it gave, once the shortcut has begun
    bool has_shortcut;
  };

  std::vector<Open> open_;  // residual blocks that have not ended
};

namespace {

template <class T>
void set(T& node, double probability) {
  node.probability = probability;
  node.threshold = threshold_of(probability);
  node.scale = keep_scale(probability);
}

}  // namespace

void set_probability(Dropout& node, double probability) { set(node, probability); }
void set_probability(ChannelDropout& node, double probability) { set(node, probability); }

size_t Network::images_until(size_t node) const {
  while (node < nodes.size() && of_images(node)) ++node;
  return node;
}

Network::Network(const std::vector<NodeSpec>& specs, int features, int batch, int width, const Kept& kept)
    : lanes(width), bf16_(kept.bf16) {
  size_t filters = 0;
  for (const NodeSpec& spec : specs) {
    const Geometry& g = spec.geometry;
    if (spec.kind != NodeSpec::Kind::kConvolution) continue;
    filters += size_t(g.out_channels) * (g.channels / g.groups) * g.window_rows * g.window_columns;
  }
  chunks = filters ? chunks_of(batch, lanes, filters) : Chunks{lanes, (batch + lanes - 1) / lanes};
  Builder(*this, features, batch, kept).build(specs);
  arena_.allocate();
  Builder(*this, features, batch, kept).build(specs);
}

}  // namespace steepest

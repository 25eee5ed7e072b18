"""The rules that look before training, cheap facts first, experiments last."""

from collections.abc import Callable, Iterator

from steepest.health.check.probes import CheckContext
from steepest.health.check.rules import (
    descent,
    facts,
    graph,
    inputs,
    labels,
    model,
    pairing,
    weights,
)
from steepest.health.findings.finding import Finding

Rule = Callable[[CheckContext], Iterator[Finding]]

# Need no data.
OF_THE_MODEL: tuple[Rule, ...] = (
    graph.params_not_in_optimiser,
    graph.nothing_trainable,
    graph.shared_module,
    weights.nonfinite_weights,
)
# Need no pass forward and backward.
BEFORE_FORWARD: tuple[Rule, ...] = (
    *OF_THE_MODEL,
    facts.nonfinite_input,
    facts.constant_input,
    facts.train_val_leak,
    facts.preprocessing_mismatch,
    facts.image_layout,
)
# Read one forward and backward pass.
FACTS: tuple[Rule, ...] = (
    facts.class_set_mismatch,
    facts.ignored_labels,
    facts.unshuffled_sorted,
    facts.batchnorm_tiny_batch,
    graph.params_not_in_optimiser,
    graph.unregistered_layers,
    graph.detached_graph,
    graph.ascent,
    pairing.softmax_wrong_dim,
    pairing.nll_without_logsoftmax,
    pairing.single_output_ce,
    pairing.mse_for_classes,
    pairing.output_activation,
    pairing.class_weights_inverted,
    model.symmetric_init,
)
# A few forward passes each.
PROBES: tuple[Rule, ...] = (
    graph.stochastic_eval,
    model.batch_mixing,
    model.no_nonlinearity,
    model.input_ignored,
)
# Compare rows with their neighbours, columns with the labels.
OF_THE_DATA: tuple[Rule, ...] = (
    labels.labels_shuffled,
    labels.val_labels_mismatch,
    labels.target_leak_feature,
    labels.imbalance,
    labels.label_noise,
)
# Steps on copies.
EXPERIMENTS: tuple[Rule, ...] = (
    pairing.loss_expects_logits,
    pairing.sum_reduction,
    pairing.unstable_log,
    inputs.input_scale,
    model.init_too_large,
    model.dead_relu,
    descent.lr_too_high,
    descent.weight_decay_too_large,
    model.signal_dies,
    model.saturated,
    model.dropout_too_high,
    descent.lr_too_low,
)
# Say nothing where a schedule or clipping changes the steps that are replayed.
OF_THE_OPTIMIZER: tuple[Rule, ...] = (
    descent.lr_too_high,
    descent.lr_too_low,
    descent.weight_decay_too_large,
)

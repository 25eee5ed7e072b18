"""Every code that check and watch report: its title, its page, its rank, and what it explains."""

from dataclasses import dataclass

# The order of causes: what comes first is put right first.
RANKS = (
    "program",
    "data",
    "loss",
    "input scale",
    "model",
    "labels",
    "optimizer",
    "dynamics",
    "generalisation",
    "note",
)


@dataclass(frozen=True)
class Entry:
    """One fault of the catalogue. explains: codes that follow from it if it is there."""

    code: str
    title: str
    rank: str
    explains: frozenset[str] = frozenset()

    @property
    def command(self) -> str:
        """The command that prints its page."""
        return f"steepest explain rule {self.code}"


_DESCENT = {"LR_TOO_HIGH", "LR_TOO_LOW", "MOMENTUM_TOO_HIGH", "PREMATURE_NAN"}
_FLOW = {"DEAD_RELU", "SATURATED", "VANISHING_GRADIENT", "INIT_TOO_SMALL", "INPUT_IGNORED"}
_START = {"INIT_TOO_LARGE", "WEIGHT_DECAY_TOO_LARGE", "NO_NONLINEARITY"}
_ALL = _DESCENT | _FLOW | _START

# Rank -> code -> title, in the order in which causes of one rank are shown.
_TITLES = {
    "program": {
        "FORWARD_FAILS": "the model cannot take the first batch",
        "LOSS_FAILS": "the loss cannot take outputs and targets",
        "PARAMS_NOT_IN_OPTIMISER": "parameters that no optimizer holds",
        "UNREGISTERED_LAYERS": "layers that the model does not know of",
        "DETACHED_GRAPH": "parameters that no gradient reaches",
        "NO_ZERO_GRAD": "gradients of earlier steps are kept",
        "NO_STEP": "no step is taken",
        "ZERO_AFTER_BACKWARD": "gradients are cleared before the step",
        "SAME_BATCH": "the same batch every step",
        "STATE_RESET": "weights change outside a step",
        "TRAIN_IN_EVAL_MODE": "trained in eval mode",
        "EVAL_IN_TRAIN_MODE": "validated in train mode",
        "STOCHASTIC_EVAL": "random in eval mode",
        "ASCENT": "the loss is made larger",
    },
    "data": {
        "NONFINITE_INPUT": "NaN or infinity in the inputs",
        "CONSTANT_INPUT": "every row is the same",
        "CLASS_SET_MISMATCH": "labels and outputs do not belong together",
        "IGNORED_LABELS": "labels that the loss leaves out",
        "UNSHUFFLED_SORTED": "rows in the order of their labels",
        "TRAIN_VAL_LEAK": "training rows in the validation part",
        "EVAL_ON_TRAIN": "validated on the training rows",
        "TARGET_LEAK_FEATURE": "a column that gives the label away",
        "TRAIN_VAL_PREPROC_MISMATCH": "the two parts are prepared differently",
        "IMAGE_LAYOUT_SCRAMBLED": "pixels in the wrong order",
        "CONSTANT_FEATURES": "columns with one value",
    },
    "loss": {
        "LOSS_EXPECTS_LOGITS": "probabilities into a loss that takes logits",
        "SOFTMAX_WRONG_DIM": "softmax over the rows",
        "NLL_WITHOUT_LOGSOFTMAX": "NLLLoss without log_softmax",
        "SINGLE_OUTPUT_CE": "cross entropy of one output",
        "MSE_FOR_CLASSES": "squared error between classes",
        "UNSTABLE_LOG": "log of a probability that can be 0",
        "SUM_REDUCTION": "the loss is summed over the batch",
        "CLASS_WEIGHTS_INVERTED": "frequent classes weigh more",
        "OUTPUT_ACTIVATION": "an activation on the logits",
    },
    "input scale": {
        "INPUT_NOT_NORMALISED": "inputs far from unit scale",
        "FEATURE_SCALES_MIXED": "columns of very different scales",
        "INPUT_TOO_SMALL": "inputs near 0",
    },
    "model": {
        "NONFINITE_WEIGHTS": "NaN or infinity in the weights",
        "BATCH_MIXING": "rows of a batch influence each other",
        "SYMMETRIC_INIT": "units that start equal",
        "INIT_TOO_LARGE": "weights that start too large",
        "DEAD_RELU": "units that are 0 for every row",
        "SATURATED": "units at the bounds of tanh or sigmoid",
        "INIT_TOO_SMALL": "the signal dies on its way through the net",
        "VANISHING_GRADIENT": "the first layers get no gradient",
        "INPUT_IGNORED": "the outputs do not depend on the input",
        "NO_NONLINEARITY": "layers without activation between them",
        "BATCHNORM_TINY_BATCH": "batch normalisation of too few values",
        "DROPOUT_TOO_HIGH": "too much dropout",
        "SHARED_MODULE": "one layer in several places",
    },
    "labels": {
        "LABELS_SHUFFLED": "labels do not belong to their rows",
        "VAL_LABELS_MISMATCH": "validation labels are numbered differently",
        "LABEL_NOISE": "wrong labels",
        "CLASS_IMBALANCE_COLLAPSE": "rare classes are never said",
    },
    "optimizer": {
        "LR_TOO_HIGH": "the learning rate is too high",
        "LR_TOO_LOW": "the learning rate is too low",
        "MOMENTUM_TOO_HIGH": "the momentum is too high",
        "WEIGHT_DECAY_TOO_LARGE": "the weights shrink faster than they learn",
        "CLIP_TOO_TIGHT": "gradients are clipped to almost nothing",
        "SCHEDULE_COLLAPSE": "the schedule falls too soon",
    },
    "dynamics": {
        "PREMATURE_NAN": "the loss is not finite",
    },
    "generalisation": {
        "OVERFIT": "the training rows are learned by heart",
        "METRIC_WRONG": "the reported accuracy is not the net's",
        "STOPPED_TOO_EARLY": "it would still have learned",
    },
    "note": {
        "NOT_CHECKED": "what could not be looked at",
    },
}
# What follows from a cause; a code that is not named explains nothing else.
_EXPLAINS: dict[str, set[str]] = {
    "FORWARD_FAILS": _ALL,
    "LOSS_FAILS": _ALL,
    "PARAMS_NOT_IN_OPTIMISER": _ALL | {"NO_STEP"},
    "UNREGISTERED_LAYERS": _DESCENT,
    "DETACHED_GRAPH": _ALL,
    "NO_ZERO_GRAD": _ALL,
    "NO_STEP": _ALL,
    "ZERO_AFTER_BACKWARD": _ALL,
    "SAME_BATCH": {"OVERFIT"},
    "STATE_RESET": _DESCENT,
    "TRAIN_IN_EVAL_MODE": {"OVERFIT"},
    "EVAL_IN_TRAIN_MODE": {"METRIC_WRONG", "OVERFIT"},
    "STOCHASTIC_EVAL": {"EVAL_IN_TRAIN_MODE"},
    "ASCENT": _ALL,
    "NONFINITE_INPUT": _ALL | {"UNSTABLE_LOG"},
    "CONSTANT_INPUT": _ALL | {"LABELS_SHUFFLED"},
    "CLASS_SET_MISMATCH": _ALL | {"LOSS_FAILS"},
    "IGNORED_LABELS": {"PREMATURE_NAN"},
    "UNSHUFFLED_SORTED": _ALL | {"BATCHNORM_TINY_BATCH"},
    "EVAL_ON_TRAIN": {"TRAIN_VAL_LEAK"},
    "TRAIN_VAL_PREPROC_MISMATCH": {"OVERFIT"},
    "IMAGE_LAYOUT_SCRAMBLED": _ALL,
    "LOSS_EXPECTS_LOGITS": _ALL | {"OUTPUT_ACTIVATION"},
    "SOFTMAX_WRONG_DIM": _ALL
    | {"BATCH_MIXING", "LOSS_EXPECTS_LOGITS", "NLL_WITHOUT_LOGSOFTMAX", "UNSTABLE_LOG"},
    "NLL_WITHOUT_LOGSOFTMAX": _ALL | {"UNSTABLE_LOG"},
    "SINGLE_OUTPUT_CE": _ALL | {"DETACHED_GRAPH", "SYMMETRIC_INIT"},
    "MSE_FOR_CLASSES": _ALL,
    "UNSTABLE_LOG": {"PREMATURE_NAN"},
    "SUM_REDUCTION": _ALL,
    "CLASS_WEIGHTS_INVERTED": {"CLASS_IMBALANCE_COLLAPSE"},
    "OUTPUT_ACTIVATION": _ALL,
    "INPUT_NOT_NORMALISED": _ALL,
    "FEATURE_SCALES_MIXED": _ALL,
    "INPUT_TOO_SMALL": _ALL,
    "NONFINITE_WEIGHTS": _ALL | {"FORWARD_FAILS", "LOSS_FAILS"},
    "BATCH_MIXING": {"OVERFIT"},
    "SYMMETRIC_INIT": _ALL | {"DETACHED_GRAPH"},
    "INIT_TOO_LARGE": _DESCENT
    | {
        "DEAD_RELU",
        "INIT_TOO_SMALL",
        "INPUT_IGNORED",
        "SATURATED",
        "VANISHING_GRADIENT",
        "WEIGHT_DECAY_TOO_LARGE",
    },
    "DEAD_RELU": _DESCENT
    | {
        "INIT_TOO_SMALL",
        "INPUT_IGNORED",
        "NO_NONLINEARITY",
        "SATURATED",
        "VANISHING_GRADIENT",
        "WEIGHT_DECAY_TOO_LARGE",
    },
    "SATURATED": _DESCENT
    | {
        "DEAD_RELU",
        "INIT_TOO_SMALL",
        "INPUT_IGNORED",
        "NO_NONLINEARITY",
        "VANISHING_GRADIENT",
        "WEIGHT_DECAY_TOO_LARGE",
    },
    "INIT_TOO_SMALL": _ALL,
    "VANISHING_GRADIENT": _DESCENT
    | {
        "DEAD_RELU",
        "INIT_TOO_LARGE",
        "INPUT_IGNORED",
        "NO_NONLINEARITY",
        "SATURATED",
        "WEIGHT_DECAY_TOO_LARGE",
    },
    "INPUT_IGNORED": _ALL,
    "BATCHNORM_TINY_BATCH": _DESCENT,
    "DROPOUT_TOO_HIGH": {"LR_TOO_LOW"},
    "LABELS_SHUFFLED": {"LABEL_NOISE", "OVERFIT"},
    "VAL_LABELS_MISMATCH": {"OVERFIT"},
    "LR_TOO_HIGH": _ALL,
    "LR_TOO_LOW": {"STOPPED_TOO_EARLY"},
    "MOMENTUM_TOO_HIGH": _ALL,
    "WEIGHT_DECAY_TOO_LARGE": _ALL,
    "CLIP_TOO_TIGHT": {"LR_TOO_LOW"},
    "SCHEDULE_COLLAPSE": {"LR_TOO_LOW"},
}

CATALOGUE = {
    code: Entry(code, title, rank, frozenset(_EXPLAINS.get(code, ())) - {code})
    for rank, titles in _TITLES.items()
    for code, title in titles.items()
}


def rank_of(code: str) -> int:
    """The place of a code's group in RANKS; unknown codes come last."""
    entry = CATALOGUE.get(code)
    return RANKS.index(entry.rank) if entry else len(RANKS)


def place_of(code: str) -> int:
    """The place of a code in the whole catalogue."""
    return list(CATALOGUE).index(code) if code in CATALOGUE else len(CATALOGUE)

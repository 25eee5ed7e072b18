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
    "optimiser",
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
    def page(self) -> str:
        """Its page in the documentation."""
        return f"docs/health/{self.code.lower()}.md"


_DESCENT = {"LR_TOO_HIGH", "LR_TOO_LOW", "MOMENTUM_TOO_HIGH", "PREMATURE_NAN", "EXPLODING_GRADIENT"}
_FLOW = {"DEAD_RELU", "SATURATED", "VANISHING_GRADIENT", "INIT_TOO_SMALL", "INPUT_IGNORED"}
_START = {"INIT_TOO_LARGE", "WEIGHT_DECAY_TOO_LARGE", "CAPACITY_TOO_LOW", "NO_NONLINEARITY"}
_ALL = _DESCENT | _FLOW | _START


def _entries() -> dict[str, Entry]:
    table: list[tuple[str, str, str, set[str]]] = [
        ("FORWARD_FAILS", "the model cannot take the first batch", "program", _ALL),
        ("LOSS_FAILS", "the loss cannot take outputs and targets", "program", _ALL),
        ("PARAMS_NOT_IN_OPTIMISER", "parameters that no optimiser holds", "program", _ALL | {"NO_STEP"}),
        ("UNREGISTERED_LAYERS", "layers that the model does not know of", "program", _DESCENT),
        ("DETACHED_GRAPH", "parameters that no gradient reaches", "program", _ALL),
        ("NO_ZERO_GRAD", "gradients of earlier steps are kept", "program", _ALL),
        ("NO_STEP", "no step is taken", "program", _ALL),
        ("ZERO_AFTER_BACKWARD", "gradients are cleared before the step", "program", _ALL),
        ("SAME_BATCH", "the same batch every step", "program", {"OVERFIT"}),
        ("STATE_RESET", "weights change outside a step", "program", _DESCENT),
        ("TRAIN_IN_EVAL_MODE", "trained in eval mode", "program", {"OVERFIT"}),
        ("EVAL_IN_TRAIN_MODE", "validated in train mode", "program", {"OVERFIT", "METRIC_WRONG"}),
        ("STOCHASTIC_EVAL", "random in eval mode", "program", {"EVAL_IN_TRAIN_MODE"}),
        ("ASCENT", "the loss is made larger", "program", _ALL),
        ("NONFINITE_INPUT", "NaN or infinity in the inputs", "data", _ALL | {"UNSTABLE_LOG"}),
        ("CONSTANT_INPUT", "every row is the same", "data", _ALL | {"LABELS_SHUFFLED"}),
        ("CLASS_SET_MISMATCH", "labels and outputs do not belong together", "data", _ALL | {"LOSS_FAILS"}),
        ("IGNORED_LABELS", "labels that the loss leaves out", "data", {"PREMATURE_NAN"}),
        ("UNSHUFFLED_SORTED", "rows in the order of their labels", "data", _ALL | {"BATCHNORM_TINY_BATCH"}),
        ("TRAIN_VAL_LEAK", "training rows in the validation part", "data", set()),
        ("EVAL_ON_TRAIN", "validated on the training rows", "data", {"TRAIN_VAL_LEAK"}),
        ("TARGET_LEAK_FEATURE", "a column that gives the label away", "data", set()),
        ("TRAIN_VAL_PREPROC_MISMATCH", "the two parts are prepared differently", "data", {"OVERFIT"}),
        ("IMAGE_LAYOUT_SCRAMBLED", "pixels in the wrong order", "data", _ALL),
        ("CONSTANT_FEATURES", "columns with one value", "data", set()),
        ("LOSS_EXPECTS_LOGITS", "probabilities into a loss that takes logits", "loss", _ALL | {"OUTPUT_ACTIVATION"}),
        ("SOFTMAX_WRONG_DIM", "softmax over the rows", "loss",
         _ALL | {"BATCH_MIXING", "NLL_WITHOUT_LOGSOFTMAX", "UNSTABLE_LOG", "LOSS_EXPECTS_LOGITS"}),
        ("NLL_WITHOUT_LOGSOFTMAX", "NLLLoss without log_softmax", "loss", _ALL | {"UNSTABLE_LOG"}),
        ("SINGLE_OUTPUT_CE", "cross entropy of one output", "loss", _ALL | {"SYMMETRIC_INIT", "DETACHED_GRAPH"}),
        ("MSE_FOR_CLASSES", "squared error between classes", "loss", _ALL),
        ("UNSTABLE_LOG", "log of a probability that can be 0", "loss", {"PREMATURE_NAN"}),
        ("SUM_REDUCTION", "the loss is summed over the batch", "loss", _ALL),
        ("CLASS_WEIGHTS_INVERTED", "frequent classes weigh more", "loss", {"CLASS_IMBALANCE_COLLAPSE"}),
        ("OUTPUT_ACTIVATION", "an activation on the logits", "loss", _ALL),
        ("INPUT_NOT_NORMALISED", "inputs far from unit scale", "input scale", _ALL),
        ("FEATURE_SCALES_MIXED", "columns of very different scales", "input scale", _ALL),
        ("INPUT_TOO_SMALL", "inputs near 0", "input scale", _ALL),
        ("BATCH_MIXING", "rows of a batch influence each other", "model", {"OVERFIT"}),
        ("SYMMETRIC_INIT", "units that start equal", "model", _ALL | {"DETACHED_GRAPH"}),
        ("INIT_TOO_LARGE", "weights that start too large", "model", _ALL - {"NO_NONLINEARITY"}),
        ("DEAD_RELU", "units that are 0 for every row", "model", _ALL - {"INIT_TOO_LARGE"}),
        ("SATURATED", "units at the bounds of tanh or sigmoid", "model", _ALL - {"INIT_TOO_LARGE"}),
        ("INIT_TOO_SMALL", "the signal dies on its way through the net", "model", _ALL),
        ("VANISHING_GRADIENT", "the first layers get no gradient", "model", _ALL - {"INIT_TOO_SMALL"}),
        ("EXPLODING_GRADIENT", "gradients grow through the net", "model", _DESCENT),
        ("INPUT_IGNORED", "the outputs do not depend on the input", "model", _ALL),
        ("NO_NONLINEARITY", "layers without activation between them", "model", {"CAPACITY_TOO_LOW"}),
        ("BATCHNORM_TINY_BATCH", "batch normalisation of too few values", "model", _DESCENT),
        ("DROPOUT_TOO_HIGH", "too much dropout", "model", {"CAPACITY_TOO_LOW", "LR_TOO_LOW"}),
        ("CAPACITY_TOO_LOW", "too few units", "model", set()),
        ("SHARED_MODULE", "one layer in several places", "model", set()),
        ("LABELS_SHUFFLED", "labels do not belong to their rows", "labels", {"OVERFIT", "LABEL_NOISE"}),
        ("VAL_LABELS_MISMATCH", "validation labels are numbered differently", "labels", {"OVERFIT"}),
        ("LABEL_NOISE", "wrong labels", "labels", set()),
        ("CLASS_IMBALANCE_COLLAPSE", "rare classes are never said", "labels", set()),
        ("LR_TOO_HIGH", "the learning rate is too high", "optimiser", _ALL),
        ("LR_TOO_LOW", "the learning rate is too low", "optimiser", {"STOPPED_TOO_EARLY"}),
        ("MOMENTUM_TOO_HIGH", "the momentum is too high", "optimiser", _ALL),
        ("WEIGHT_DECAY_TOO_LARGE", "the weights shrink faster than they learn", "optimiser", _ALL),
        ("CLIP_TOO_TIGHT", "gradients are clipped to almost nothing", "optimiser", {"LR_TOO_LOW"}),
        ("SCHEDULE_COLLAPSE", "the schedule falls too soon", "optimiser", {"LR_TOO_LOW"}),
        ("PREMATURE_NAN", "the loss is not finite", "dynamics", set()),
        ("OVERFIT", "the training rows are learned by heart", "generalisation", set()),
        ("METRIC_WRONG", "the reported accuracy is not the net's", "generalisation", set()),
        ("STOPPED_TOO_EARLY", "it would still have learned", "generalisation", set()),
        ("NOT_CHECKED", "what could not be looked at", "note", set()),
    ]  # fmt: skip
    return {code: Entry(code, title, rank, frozenset(x) - {code}) for code, title, rank, x in table}


CATALOGUE = _entries()


def rank_of(code: str) -> int:
    """The place of a code's group in RANKS; unknown codes come last."""
    entry = CATALOGUE.get(code)
    return RANKS.index(entry.rank) if entry else len(RANKS)


def place_of(code: str) -> int:
    """The place of a code in the whole catalogue."""
    return list(CATALOGUE).index(code) if code in CATALOGUE else len(CATALOGUE)

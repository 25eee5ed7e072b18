"""The names that a setting may be, where these are few and known."""

# Each with its class in torch.nn.
ACTIVATIONS = {
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "relu": "ReLU",
    "leaky_relu": "LeakyReLU",
    "gelu": "GELU",
    "silu": "SiLU",
    "mish": "Mish",
    "selu": "SELU",
    "identity": "Identity",
}
EMBEDDINGS = ("periodic",)
INITS = ("auto", "xavier", "he", "lecun", "normal", "uniform", "zeros", "ones")
SCALINGS = (
    *("auto", "standardise", "minmax", "pixels", "none"),
    *("robust", "quantile", "piecewise"),
)
# By name: scikit-learn's small ones, and two that lie on the machine.
DATA_SETS = ("digits", "iris", "wine", "breast_cancer", "fashion_mnist", "mnist")
PRESETS = ("tabular", "image", "lecture")
ENGINES = ("auto", "native", "torch")
PRECISIONS = ("float32", "bf16")
ADAMS = ("adam", "adamw")
FIRST_ORDER = ("sgd", *ADAMS, "rmsprop", "muon")
OPTIMIZERS = (*FIRST_ORDER, "lbfgs")
FACTOR_SCHEDULES = ("constant", "cosine", "flat_cos", "coslog4")
SCHEDULES = (*FACTOR_SCHEDULES, "step", "multistep", "exponential", "one_cycle", "plateau")
TASKS = ("auto", "multiclass", "binary", "multilabel")
LOSSES = ("cross_entropy", "focal")
BEST_BY = ("loss", "accuracy", "balanced_accuracy", "calibrated_loss")
SAMPLINGS = ("shuffle", "blocks", "weighted")

# The learning rate where none is given: each optimizer's usual one.
USUAL_LR = {
    "sgd": 0.1,
    "adam": 1e-3,
    "adamw": 1e-3,
    "rmsprop": 1e-3,
    "muon": 0.02,
    "lbfgs": 1.0,
}

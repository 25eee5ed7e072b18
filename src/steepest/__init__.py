"""Train neural-network classifiers by gradient descent, and see why when they do not learn."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from steepest import explain as explain
    from steepest import loggers as loggers
    from steepest import sweeps as sweeps
    from steepest.attached import Run as Run
    from steepest.attached import Sweep as Sweep
    from steepest.attached import compare as compare
    from steepest.attached import load_run as load_run
    from steepest.attached import load_sweep as load_sweep
    from steepest.attached import resume as resume
    from steepest.attached import sweep as sweep
    from steepest.attached import train as train
    from steepest.classifier import Classifier as Classifier
    from steepest.classifier import Evaluation as Evaluation
    from steepest.data import Dataset as Dataset
    from steepest.data import Samples as Samples
    from steepest.data import load_data as load_data
    from steepest.data import split as split
    from steepest.errors import SteepestError as SteepestError
    from steepest.estimator.classifier import SteepestClassifier as SteepestClassifier
    from steepest.estimator.cross_validation import CrossValidation as CrossValidation
    from steepest.estimator.cross_validation import cross_validate as cross_validate
    from steepest.health import check as check
    from steepest.health import watch as watch
    from steepest.nn import CategoryEmbedding as CategoryEmbedding
    from steepest.nn import Ensemble as Ensemble
    from steepest.nn import EnsembleMean as EnsembleMean
    from steepest.nn import EnsembleView as EnsembleView
    from steepest.nn import LinearBatchEnsemble as LinearBatchEnsemble
    from steepest.nn import LinearEnsemble as LinearEnsemble
    from steepest.nn import LinearLayer as LinearLayer
    from steepest.nn import ParametricActivation as ParametricActivation
    from steepest.nn import PeriodicEmbedding as PeriodicEmbedding
    from steepest.nn import Residual as Residual
    from steepest.nn import ScalingLayer as ScalingLayer
    from steepest.nn import mlp as mlp
    from steepest.objective import binary_cross_entropy as binary_cross_entropy
    from steepest.objective import cross_entropy as cross_entropy
    from steepest.recipe import Recipe as Recipe
    from steepest.training import find_lr as find_lr

# Public name -> where it lives. Looked up at first use, so that importing steepest is quick.
_PUBLIC = {
    "CategoryEmbedding": "steepest.nn",
    "Classifier": "steepest.classifier",
    "CrossValidation": "steepest.estimator.cross_validation",
    "Dataset": "steepest.data",
    "Ensemble": "steepest.nn",
    "EnsembleMean": "steepest.nn",
    "EnsembleView": "steepest.nn",
    "Evaluation": "steepest.classifier",
    "LinearBatchEnsemble": "steepest.nn",
    "LinearEnsemble": "steepest.nn",
    "LinearLayer": "steepest.nn",
    "ParametricActivation": "steepest.nn",
    "PeriodicEmbedding": "steepest.nn",
    "Recipe": "steepest.recipe",
    "Residual": "steepest.nn",
    "Run": "steepest.attached",
    "Samples": "steepest.data",
    "ScalingLayer": "steepest.nn",
    "SteepestClassifier": "steepest.estimator.classifier",
    "SteepestError": "steepest.errors",
    "Sweep": "steepest.attached",
    "binary_cross_entropy": "steepest.objective",
    "check": "steepest.health",
    "compare": "steepest.attached",
    "cross_entropy": "steepest.objective",
    "cross_validate": "steepest.estimator.cross_validation",
    "explain": "steepest.explain:",
    "find_lr": "steepest.training",
    "load_data": "steepest.data",
    "load_run": "steepest.attached",
    "loggers": "steepest.loggers:",
    "load_sweep": "steepest.attached",
    "mlp": "steepest.nn",
    "resume": "steepest.attached",
    "split": "steepest.data",
    "sweep": "steepest.attached",
    "sweeps": "steepest.sweeps:",
    "train": "steepest.attached",
    "watch": "steepest.health",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name == "__version__":  # that of the package's metadata, as `steepest --version` prints it
        from importlib.metadata import version

        return version("steepest")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'steepest' has no attribute {name!r}")
    module, colon, attribute = _PUBLIC[name].partition(":")
    value: Any = import_module(module)
    if attribute or not colon:  # "room:" is the room itself
        value = getattr(value, attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

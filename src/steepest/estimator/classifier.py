"""SteepestClassifier: scikit-learn's manners, and the training of the rest of steepest."""

import copy
import inspect
from collections.abc import Callable
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import nn

from steepest.data import Dataset, Preprocessing, Samples
from steepest.ensemble import go_on, train
from steepest.errors import needs
from steepest.estimator.callbacks import EpochsTold
from steepest.estimator.increments import Increments
from steepest.estimator.inputs import ChecksInputs, require_classes
from steepest.estimator.rows import as_samples, canonical, fingerprint
from steepest.estimator.saved import from_plain, to_plain
from steepest.nn import Ensemble
from steepest.recipe import Recipe
from steepest.run import Run

if TYPE_CHECKING:
    from steepest.classifier import Classifier

with needs("estimator", "steepest.SteepestClassifier"):
    from sklearn.base import ClassifierMixin
    from sklearn.callback import CallbackSupportMixin, with_callbacks
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_is_fitted

# Rows are predicted in blocks of so many, the last one filled up: the same row gives the same
# digits alone and among others, which products of matrices of other heights do not.
_BLOCK = 256
_ENOUGH_TO_HOLD_OUT = 100  # rows: of fewer, a hold-out costs more than it tells
# A recipe's settings that have a parameter of their own here, and what they are called there.
_SETTINGS = {
    "preset": "preset",
    "members": "members",
    "hidden_layer_sizes": "hidden",
    "activation": "activation",
    "optimizer": "optimizer",
    "lr": "lr",
    "batch_size": "batch_size",
    "epochs": "epochs",
    "dropout": "dropout",
    "weight_decay": "weight_decay",
    "time_limit": "time_limit",
}


class SteepestClassifier(CallbackSupportMixin, ClassifierMixin, ChecksInputs):  # type: ignore[misc]
    """A classifier of tables for scikit-learn: nets trained by gradient descent.

    Without a module, and where no setting of the net or the optimizer is given, the preset
    "tabular" trains several nets at once and predicts their mean; numbers may be missing, and
    columns may hold words, booleans and categories.

    fit begins from rows in one order, each once: rows that weigh 0 are left out, and equal rows
    become one that weighs their sum. So the order of the rows changes nothing, and a whole weight
    does what so many equal rows do.

    Args:
        module: A torch.nn.Module that gives logits, which is copied and trained; or a class or
            function that makes one, called with the width of a prepared row and the number of
            outputs (1 for two classes). None: nets are built from the settings.
        preset: "tabular", "image" or "lecture"; None lets the data decide.
        members: How many nets are trained at once.
        hidden_layer_sizes: Widths of the hidden layers.
        activation: As the setting of the same name; so are the following.
        optimizer: sgd, adam, adamw, rmsprop, ...
        lr: Learning rate.
        batch_size: Rows in a minibatch.
        epochs: Passes over the rows.
        dropout: Share of activations that are dropped in training.
        weight_decay: Decoupled with adamw.
        time_limit: Seconds that fit may take.
        class_weight: "balanced", or a dict of weights by class.
        settings: Any further setting of `steepest.Recipe`, by name.
        warm_start: Whether fit goes on from the weights of the last fit, with columns encoded and
            scaled as then: of one net with any rows of the same columns and classes, of several
            with the same rows, each of them in its place.
        random_state: An int, a RandomState or None, as scikit-learn means it.
        n_jobs: Threads; None is what torch uses, -1 all.
        verbose: 1 shows a bar, or lines where there is no terminal.

    Attributes:
        classes_: (C,) the labels, sorted.
        n_features_in_: Columns of X.
        feature_names_in_: Their names, where X is a frame whose column names are strings.
        n_iter_: Epochs that were trained, the most of any net.
        history_: A polars frame of the run's epochs.
        findings_: What health found.
        module_: The trained torch.nn.Module, on prepared rows.
        run_: The `steepest.Run`; not there after unpickling.

    Source:
        Weights as repeated rows, and every other manner: scikit-learn's `check_estimator`.
    """

    _increments: Increments | None = None  # of partial_fit
    _sizes: tuple[int, int] = (0, 0)  # that a module was made for: inputs, outputs
    _trained_on: tuple[str, int] = ("", 0)  # of the last fit: a hash of its rows, the seed

    def __init__(
        self,
        module: nn.Module | Callable[..., nn.Module] | None = None,
        *,
        preset: str | None = None,
        members: int | None = None,
        hidden_layer_sizes: tuple[int, ...] | None = None,
        activation: str | None = None,
        optimizer: str | None = None,
        lr: float | str | None = None,
        batch_size: int | str | None = None,
        epochs: int | None = None,
        dropout: float | None = None,
        weight_decay: float | None = None,
        time_limit: float | None = None,
        class_weight: str | dict[Any, float] | None = None,
        settings: dict[str, Any] | None = None,
        warm_start: bool = False,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.module = module
        self.preset = preset
        self.members = members
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.optimizer = optimizer
        self.lr = lr
        self.batch_size = batch_size
        self.epochs = epochs
        self.dropout = dropout
        self.weight_decay = weight_decay
        self.time_limit = time_limit
        self.class_weight = class_weight
        self.settings = settings
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @with_callbacks  # type: ignore[untyped-decorator]
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train on labelled rows.

        Args:
            X: (N, n) numbers, NaN for missing ones; a pandas or polars frame; with a module also
                (N, ...).
            y: (N,) labels of at least two classes.
            sample_weight: (N,) at least 0, how much each row counts.
            X_val: Rows that are only measured, by which early stopping decides.
            y_val: Their labels.
            sample_weight_val: Their weights.

        Raises:
            ValueError: The rows, labels or weights are not such.
            SteepestError: A setting does not fit; before any work.
        """
        earlier = getattr(self, "classifier_", None) if self.warm_start else None
        rows, labels, weights = self._checked(X, y, sample_weight, reset=earlier is None)
        classes, targets = np.unique(labels, return_inverse=True)
        if earlier is None:
            self.classes_ = classes
            require_classes(classes)
        else:
            self._require_same_classes(classes)
        data = Dataset(
            as_samples(*canonical(rows, targets.astype(np.int64), weights)),
            self._validation(X_val, y_val, sample_weight_val),
        )
        recipe = self._recipe(len(data.train), data.validation is not None)
        trained_on = fingerprint(data.train), recipe.seed
        if earlier is not None and isinstance(earlier.model, Ensemble):
            self._require_same_folds(*trained_on)
        model = self._module(data.train, recipe)
        context = self._init_callback_context(max_subtasks=recipe.epochs)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        observer = EpochsTold(self, context, X, y)
        begin = train if earlier is None else partial(go_on, earlier)
        self.run_: Run = begin(
            model,
            data,
            recipe,
            observers=(observer,) if hasattr(self, "_skl_callbacks") else (),
            progress="auto" if self.verbose else "none",
        )
        self._keep(self.run_)
        self._trained_on = trained_on
        context.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes=self._learned
        )
        return self

    def _learned(self) -> dict[str, Any]:
        """What a fitted estimator has that can predict."""
        return {name: value for name, value in vars(self).items() if name.endswith("_")}

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train one net for one epoch of these rows, and go on from there at the next call.

        After a fit of one net it goes on with that net, after one of several it begins with a net.

        Args:
            X: As for `fit`; the first call decides how columns are encoded and scaled.
            y: (N,) labels.
            classes: All labels that will come; needed where neither this nor `fit` was called.
            sample_weight: As for `fit`.
        """
        fresh = not hasattr(self, "classifier_")
        if fresh and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        rows, labels, weights = self._checked(X, y, sample_weight, reset=fresh)
        if fresh:
            self.classes_ = np.unique(np.asarray(classes))
            require_classes(self.classes_)
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"classes={classes!r} is not the same as on the last call")
        train_rows = as_samples(*canonical(rows, self._encoded(labels), weights))
        if self._increments is None:
            recipe = self._recipe(len(train_rows), False).replace(members=1, validation=0.0)
            if fresh or isinstance(self.module_, Ensemble):
                self._increments = Increments.begin(
                    train_rows, recipe, len(self.classes_), self._module(train_rows, recipe)
                )
            else:
                self._increments = Increments(self.classifier_, recipe, {}, 0)
        self._increments.add(train_rows)
        self.classifier_: Classifier = self._increments.classifier
        self.n_iter_ = self._increments.epochs
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The likeliest class of each row, (N,)."""
        outputs = self._outputs(X)
        decided = outputs > 0 if outputs.ndim == 1 else outputs.argmax(axis=1)
        found: NDArray[Any] = self.classes_[decided.astype(np.int64)]
        return found

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """The probability of each class, (N, C), columns in the order of `classes_`."""
        outputs = self._outputs(X)
        if outputs.ndim == 1:
            ones = 1 / (1 + np.exp(-np.abs(outputs)))
            second = np.where(outputs > 0, ones, 1 - ones)
            return np.column_stack([1 - second, second])
        powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """The logarithms of `predict_proba`, (N, C)."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Logits: (N,) of the second of two classes, else (N, C)."""
        return self._outputs(X)

    @property
    def module_(self) -> nn.Module:
        """The trained net, or the ensemble of nets, that takes prepared rows."""
        check_is_fitted(self)
        return self.classifier_.model

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "classifier_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.module is None
        tags.input_tags.categorical = self.module is None
        tags.input_tags.string = self.module is None
        tags.input_tags.three_d_array = self.module is not None
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """Plain values, arrays and bytes: a file of it holds no code of nets or runs."""
        state = dict(super().__getstate__())
        state.pop("run_", None)
        state.pop("_callback_fit_ctx", None)
        if "classifier_" in state:
            state["classifier_"] = to_plain(state["classifier_"])
        if "history_" in state:
            state["history_"] = {c.name: c.to_list() for c in state["history_"]}
        if "findings_" in state:
            state["findings_"] = state["findings_"].to_json()
        if state.get("_increments") is not None:
            state["_increments"] = state["_increments"].to_plain()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "classifier_" in state:
            self.classifier_ = from_plain(state["classifier_"], self._fresh_module())
        if "history_" in state:
            self.history_ = pl.DataFrame(state["history_"])
        if state.get("_increments") is not None:
            self._increments = Increments.from_plain(state["_increments"], self.classifier_)

    def _recipe(self, rows: int, has_validation: bool) -> Recipe:
        given = {
            name: getattr(self, parameter)
            for parameter, name in _SETTINGS.items()
            if getattr(self, parameter) is not None
        }
        if isinstance(given.get("hidden"), (list, np.ndarray)):
            given["hidden"] = tuple(int(width) for width in given["hidden"])
        if self.class_weight is not None:
            given["class_weight"] = self._class_weight()
        settings = {"check": False, "seed": self._seed(), **self._threads(), **given}
        settings |= self.settings or {}
        if has_validation:
            settings["validation"] = 0.0
        elif rows < _ENOUGH_TO_HOLD_OUT and (self.module is not None or self.preset is None):
            settings.setdefault("validation", 0.0)
        return Recipe.of(None, settings)

    def _class_weight(self) -> Any:
        if not isinstance(self.class_weight, dict):
            return self.class_weight
        unknown = [c for c in self.class_weight if c not in set(self.classes_.tolist())]
        if unknown:
            raise ValueError(f"The classes, {unknown}, are not in class_weight's labels of y")
        by_class = {c: float(w) for c, w in self.class_weight.items()}
        return tuple(by_class.get(c, 1.0) for c in self.classes_.tolist())

    def _seed(self) -> int:
        goes_on = self.warm_start and hasattr(self, "classifier_") and self._trained_on[0]
        if goes_on and not isinstance(self.random_state, Integral):
            return self._trained_on[1]  # the same rows are held out again
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _threads(self) -> dict[str, int]:
        if self.n_jobs is None:
            return {"threads": torch.get_num_threads()}
        return {"threads": self.n_jobs} if self.n_jobs > 0 else {}

    def _module(self, samples: Samples, recipe: Recipe) -> nn.Module | None:
        if self.module is None or isinstance(self.module, nn.Module):
            return self._fresh_module()
        fitted = Preprocessing.fit(samples, recipe.scaling, recipe.scaling_range)
        outputs = 1 if len(self.classes_) == 2 else len(self.classes_)
        self._sizes = (int(np.prod(fitted.shape)), outputs)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            return self._fresh_module()

    def _fresh_module(self) -> nn.Module | None:
        """A copy of the user's module, or one that their class makes for these sizes."""
        if self.module is None or isinstance(self.module, nn.Module):
            return copy.deepcopy(self.module)
        made: nn.Module = self.module(*_taken(self.module, self._sizes))
        return made

    def _require_same_folds(self, rows: str, seed: int) -> None:
        """Each of several nets is measured on a fold that it did not learn from."""
        if self._trained_on != (rows, seed):
            what = "random_state" if self._trained_on[0] == rows else "rows, labels or weights"
            raise ValueError(
                f"warm_start goes on with several nets only where each has the same held-out rows, "
                f"and {what} differ from those of the last fit: keep them, or pass members=1"
            )

    def _keep(self, run: Run) -> None:
        self.classifier_ = run.classifier
        self.history_ = run.history
        self.findings_ = run.findings
        self.n_iter_ = int(run.history["epoch"].max()) + 1  # type: ignore[arg-type]
        self._increments = None

    def _outputs(self, X: Any) -> NDArray[np.float64]:
        """Logits, (N,) for two classes, else (N, C)."""
        check_is_fitted(self)
        rows, _ = self._rows(X, reset=False)
        filled = np.minimum(np.arange(-(-len(rows) // _BLOCK) * _BLOCK), len(rows) - 1)
        outputs = self.classifier_.logits(as_samples(rows[filled], None, None))
        found: NDArray[np.float64] = outputs[: len(rows)]
        if len(self.classes_) == 2 and found.ndim == 2:
            found = found[:, 1] - found[:, 0] if found.shape[1] == 2 else found[:, 0]
        return found


def _taken(make: Callable[..., nn.Module], sizes: tuple[int, int]) -> tuple[int, ...]:
    """As many of the two sizes as the callable takes."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(make).parameters.values()
    return sizes[: sum(p.kind in kinds for p in parameters)]

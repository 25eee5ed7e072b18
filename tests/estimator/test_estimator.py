"""SteepestClassifier among scikit-learn's own tools, and with what tables hold."""

import io
import pickle
import random

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import sklearn
import torch
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_iris, make_classification
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import steepest as sp
from steepest import SteepestClassifier
from steepest.errors import SteepestWarning

X, Y = make_classification(300, 6, n_informative=4, random_state=0)
NAMES = np.array(["no", "yes"])[Y]
FAST = {"hidden_layer_sizes": (16,), "optimizer": "adam", "lr": 0.02, "epochs": 15}


def fast(**settings):
    return SteepestClassifier(**{**FAST, "random_state": 0, **settings})


class Net(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, 12), nn.ReLU(), nn.Linear(12, outputs))

    def forward(self, x):
        return self.layers(x)


@pytest.fixture(scope="module")
def fitted():
    return fast().fit(X, NAMES)


def test_labels_and_probabilities_go_together(fitted):
    proba = fitted.predict_proba(X)
    assert proba.shape == (300, 2)
    assert proba.dtype == np.float64
    assert np.array_equal(fitted.predict(X), fitted.classes_[proba.argmax(axis=1)])
    assert fitted.score(X, NAMES) > 0.9
    assert np.array_equal(fitted.decision_function(X) > 0, proba[:, 1] > 0.5)
    assert np.allclose(np.exp(fitted.predict_log_proba(X)), proba)
    assert (fitted.n_features_in_, fitted.n_iter_) == (6, 15)
    assert fitted.history_.height == 15


@pytest.mark.parametrize("settings", [{}, {"epochs": None, "hidden_layer_sizes": None,
                                           "optimizer": None, "lr": None, "members": 2}])  # fmt: skip
def test_a_row_has_the_same_digits_alone_and_among_others(settings):
    classifier = fast(**settings).fit(X, Y)
    whole = classifier.predict_proba(X)
    for some in ([3], [7, 7, 9], slice(10, 90), slice(None, None, -1)):
        assert np.array_equal(classifier.predict_proba(X[some]), whole[some])


@pytest.mark.parametrize("settings", [{}, {"members": 2, "epochs": 8, "lr": None,
                                           "hidden_layer_sizes": None, "optimizer": None}])  # fmt: skip
def test_whole_weights_are_repeated_rows_in_any_order(settings):
    counts = np.random.default_rng(0).integers(0, 4, 300)
    weighted = fast(**settings).fit(X, Y, sample_weight=counts)
    rows = np.random.default_rng(1).permutation(np.repeat(np.arange(300), counts))
    repeated = fast(**settings).fit(X[rows], Y[rows])
    assert np.array_equal(weighted.predict_proba(X), repeated.predict_proba(X))
    assert not np.array_equal(
        weighted.predict_proba(X), fast(**settings).fit(X, Y).predict_proba(X)
    )


@pytest.mark.parametrize("settings", [{}, {"members": 4, "epochs": 20, "lr": None,
                                           "hidden_layer_sizes": None, "optimizer": None}])  # fmt: skip
def test_rows_of_little_weight_teach_little(settings):
    """Two thirds of the rows have the other label, and a thousandth of the weight."""
    wrong = np.arange(300) % 3 > 0
    labels, weights = np.where(wrong, 1 - Y, Y), np.where(wrong, 1e-3, 1.0)
    weighted = fast(**settings).fit(X, labels, sample_weight=weights)
    assert weighted.score(X, Y) > 0.8
    assert fast(**settings).fit(X, labels).score(X, Y) < 0.4


def test_it_works_among_the_tools_of_scikit_learn():
    piped = make_pipeline(StandardScaler(), fast())
    assert cross_val_score(piped, X, Y, cv=3, n_jobs=2).min() > 0.7
    search = GridSearchCV(fast(epochs=5), {"lr": [1e-5, 0.02]}, cv=2).fit(X, Y)
    assert search.best_params_ == {"lr": 0.02}
    calibrated = CalibratedClassifierCV(fast(), cv=2).fit(X, NAMES)
    assert set(calibrated.predict(X)) <= {"no", "yes"}
    classifier = fast().fit(X, Y)
    importance = permutation_importance(classifier, X, Y, n_repeats=2, random_state=0)
    assert importance.importances_mean.max() > 0.05
    assert partial_dependence(classifier, X, [0], grid_resolution=4)["average"].shape == (1, 4)


def test_a_clone_is_unfitted_and_learns_the_same(fitted):
    twin = clone(fitted)
    assert not hasattr(twin, "classifier_")
    assert np.array_equal(twin.fit(X, NAMES).predict_proba(X), fitted.predict_proba(X))


@pytest.mark.parametrize("settings", [{}, {"module": Net, "hidden_layer_sizes": None},
                                      {"module": Net(6, 2), "hidden_layer_sizes": None}])  # fmt: skip
def test_it_comes_back_from_pickle_and_joblib(settings, tmp_path):
    classifier = fast(**settings).fit(X, NAMES)
    joblib.dump(classifier, tmp_path / "c")
    for again in (pickle.loads(pickle.dumps(classifier)), joblib.load(tmp_path / "c")):
        assert np.array_equal(again.predict_proba(X), classifier.predict_proba(X))
        assert again.history_.equals(classifier.history_)


def test_what_is_pickled_are_plain_values(fitted):
    """A file of it names no class of steepest but its own, and none of torch."""
    found = set()

    class Reader(pickle.Unpickler):
        def find_class(self, module, name):
            found.add(f"{module}.{name}")
            return super().find_class(module, name)

    Reader(io.BytesIO(pickle.dumps(fitted))).load()
    foreign = {name for name in found if name.startswith(("steepest", "torch", "polars"))}
    assert foreign == {"steepest.estimator.classifier.SteepestClassifier"}


def table(rows):
    rng = np.random.default_rng(rows)
    town = rng.choice(["Bern", "Oslo", "Rome"], rows)
    size = rng.normal(size=rows)
    y = np.where((town == "Oslo") | (size > 1), "in", "out")
    size[::7] = np.nan
    return {"town": town.tolist(), "size": size, "open": rng.random(rows) < 0.5}, y


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame,
        pd.DataFrame,
        lambda t: pd.DataFrame(t).astype({"town": "category"}),
        lambda t: pl.DataFrame(t).with_columns(pl.col("town").cast(pl.Categorical)),
        lambda t: np.array([[*row] for row in zip(*t.values(), strict=True)], dtype=object),
    ],
)
def test_words_booleans_and_gaps_need_no_pipeline(frame):
    columns, y = table(240)
    others, _ = table(30)
    others["town"][0] = "Paris"  # never seen
    classifier = fast(epochs=30).fit(frame(columns), y)
    assert classifier.score(frame(columns), y) > 0.85
    with pytest.warns(SteepestWarning, match="words that training never saw, such as 'Paris'"):
        assert np.isfinite(classifier.predict_proba(frame(others))).all()
    if frame in (pl.DataFrame, pd.DataFrame):
        assert classifier.feature_names_in_.tolist() == ["town", "size", "open"]


def test_the_columns_must_be_those_of_fit():
    columns, y = table(60)
    classifier = fast(epochs=1).fit(pd.DataFrame(columns), y)
    with pytest.raises(ValueError, match="feature names should match those that were passed"):
        classifier.predict(pd.DataFrame(columns).rename(columns={"size": "length"}))


@pytest.mark.filterwarnings("ignore:X (has|does not have) .*feature names")
def test_columns_go_by_their_place_where_one_side_has_no_names():
    frame = pd.DataFrame(X, columns=list("abcdef"))
    by_name, by_place = fast().fit(frame, Y), fast().fit(X, Y)
    assert np.array_equal(by_name.predict_proba(X), by_name.predict_proba(frame))
    assert np.array_equal(by_place.predict_proba(frame), by_place.predict_proba(X))
    assert np.array_equal(by_place.predict_proba(pd.DataFrame(X)), by_place.predict_proba(X))
    with pytest.raises(ValueError, match=r"has 5 features, but .* is expecting 6"):
        by_name.predict(X[:, :5])


def test_what_is_masked_is_missing():
    masked = np.ma.masked_greater(X, 1.5)
    gaps = np.where(X > 1.5, np.nan, X)
    expected = fast().fit(gaps, Y).predict_proba(gaps)
    assert np.array_equal(fast().fit(masked, Y).predict_proba(masked), expected)


def test_sparse_rows_are_refused_with_the_fix():
    with pytest.raises(TypeError, match="toarray"):
        fast().fit(scipy.sparse.csr_matrix(X), Y)


def test_missing_numbers_in_a_matrix():
    gaps = X.copy()
    gaps[::5, 2] = np.nan
    assert fast().fit(gaps, Y).score(gaps, Y) > 0.85
    assert np.isfinite(fast().fit(X, Y).predict_proba(gaps)).all()
    with pytest.raises(ValueError, match="NaN"):
        fast(module=Net, hidden_layer_sizes=None).fit(gaps, Y)


def test_own_validation_rows_decide_when_to_stop():
    settings = {"settings": {"early_stopping": True, "patience": 2}, "epochs": 200}
    classifier = fast(**settings).fit(X[:200], Y[:200], X_val=X[200:], y_val=Y[200:])
    assert classifier.n_iter_ < 200
    assert classifier.history_["val_loss"].is_not_null().all()
    zeros = np.r_[np.ones(50), np.zeros(50)]
    half = fast().fit(X[:200], Y[:200], X_val=X[200:], y_val=Y[200:], sample_weight_val=zeros)
    alone = fast().fit(X[:200], Y[:200], X_val=X[200:250], y_val=Y[200:250])
    expected = pytest.approx(alone.history_["val_loss"].to_list(), rel=1e-6)
    assert half.history_["val_loss"].to_list() == expected
    with pytest.raises(ValueError, match="X_val was given without y_val"):
        fast().fit(X, Y, X_val=X)
    with pytest.raises(ValueError, match="labels that are no classes"):
        fast().fit(X, Y, X_val=X, y_val=Y + 5)


def test_parts_come_one_after_the_other():
    classifier = fast()
    for _ in range(20):
        for part in np.array_split(np.arange(300), 3):
            classifier.partial_fit(X[part], NAMES[part], classes=["yes", "no"])
    assert classifier.n_iter_ == 60
    assert classifier.score(X, NAMES) > 0.85
    again = pickle.loads(pickle.dumps(classifier))
    for one in (classifier, again):
        one.partial_fit(X[:100], NAMES[:100])
    assert np.array_equal(again.predict_proba(X), classifier.predict_proba(X))
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        fast().partial_fit(X, Y)
    with pytest.raises(ValueError, match="labels that are no classes here"):
        classifier.partial_fit(X, Y)


WARM = {
    "module": {"module": Net, "hidden_layer_sizes": None},
    "net": {},
    "several": {"members": 4, "hidden_layer_sizes": (8,)},
    "preset": {"members": 2, "hidden_layer_sizes": None, "optimizer": None, "lr": None},
}


@pytest.mark.parametrize("kind", WARM)
@pytest.mark.parametrize("random_state", [0, None])
def test_a_warm_start_goes_on_from_the_weights(kind, random_state):
    settings = {"epochs": 3, "warm_start": True, "random_state": random_state, **WARM[kind]}
    classifier = fast(**settings)
    losses = []
    for _ in range(3):
        losses += classifier.fit(X, NAMES).history_["train_loss"].to_list()
    assert losses[0] > losses[3] > losses[6]
    assert losses[3] < 1.1 * losses[2]
    anew = fast(**{**settings, "warm_start": False}).fit(X, NAMES)
    assert anew.history_["train_loss"][0] > losses[3]


def test_a_warm_start_begins_with_the_very_weights_and_the_columns_as_they_were():
    words = np.array(["b", "a", "a", "c"])[np.arange(300) % 4]
    frame = pd.DataFrame({"x": X[:, 0], "word": words})
    classifier = fast(warm_start=True, epochs=2, lr=1e-12).fit(frame, NAMES)
    before = classifier.predict_proba(frame)
    # Other words are the most frequent ones, and numbers lie elsewhere: the net must not notice.
    other = frame[(words != "a") | (np.arange(300) < 60)]
    classifier.fit(other, NAMES[other.index])
    assert np.allclose(classifier.predict_proba(frame), before, atol=1e-6)


def test_several_nets_go_on_after_pickling_each_in_its_place():
    classifier = fast(members=4, warm_start=True, lr=1e-12, epochs=1).fit(X, NAMES)
    before = [p.detach().clone() for p in classifier.module_.members.parameters()]
    again = pickle.loads(pickle.dumps(classifier)).fit(X[::-1], NAMES[::-1])
    after = list(again.module_.members.parameters())
    assert all(torch.allclose(p, q, atol=1e-8) for p, q in zip(before, after, strict=True))
    assert [p.shape for p in before] == [p.shape for p in after]


def test_what_cannot_go_on_is_refused_and_changes_nothing():
    several = fast(members=4, warm_start=True, epochs=1).fit(X, NAMES)
    before = several.predict_proba(X)
    with pytest.raises(
        ValueError, match="rows, labels or weights differ from those of the last fit"
    ):
        several.fit(X[:200], NAMES[:200])
    with pytest.raises(ValueError, match="random_state differ"):
        several.set_params(random_state=1).fit(X, NAMES)
    with pytest.raises(ValueError, match="4 nets to go on from, and 2 nets to train"):
        several.set_params(random_state=0, members=2).fit(X, NAMES)
    one = fast(warm_start=True, epochs=1).fit(X, NAMES)
    with pytest.raises(ValueError, match="same classes as in the previous call to fit"):
        one.fit(X, np.where(NAMES == "yes", "maybe", NAMES))
    with pytest.raises(ValueError, match="X has 5 features, but SteepestClassifier is expecting 6"):
        one.fit(X[:, :5], NAMES)
    with pytest.raises(ValueError, match=r"1.weight was \(16, 6\) and is now \(9, 6\)"):
        one.set_params(hidden_layer_sizes=(9,)).fit(X, NAMES)
    several.set_params(members=4)
    assert np.array_equal(several.predict_proba(X), before)
    assert one.set_params(hidden_layer_sizes=(16,)).fit(X[:200], NAMES[:200]).score(X, NAMES) > 0.5


def test_class_weights_are_by_label():
    rare = np.r_[np.flatnonzero(Y == 0), np.flatnonzero(Y == 1)[:15]]
    found = {}
    for weight in (None, "balanced", {"no": 1.0, "yes": 30.0}):
        classifier = fast(epochs=3, class_weight=weight).fit(X[rare], NAMES[rare])
        found[str(weight)] = (classifier.predict(X) == "yes").mean()
    plain, balanced, more = found.values()
    assert plain < balanced <= more
    with pytest.raises(ValueError, match="class_weight"):
        fast(class_weight={"maybe": 2.0}).fit(X, NAMES)


def test_nothing_global_moves():
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    threads, mode = torch.get_num_threads(), torch.is_grad_enabled()
    fast(module=Net, hidden_layer_sizes=None).fit(X, Y).predict(X)
    SteepestClassifier(members=2, epochs=2, random_state=0).fit(X, Y).predict(X)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])
    assert before[2] == random.getstate()
    assert (threads, mode) == (torch.get_num_threads(), torch.is_grad_enabled())


def test_random_states_are_scikit_learns():
    one, same, other = (fast(random_state=seed).fit(X, Y).predict_proba(X) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    generator = np.random.RandomState(1)
    first, second = (fast(random_state=generator).fit(X, Y).predict_proba(X) for _ in range(2))
    assert np.array_equal(first, one)
    assert not np.array_equal(first, second)
    np.random.seed(1)
    assert np.array_equal(fast(random_state=None).fit(X, Y).predict_proba(X), one)


class Listener:
    """After so many epochs it has heard enough."""

    max_estimator_depth = None

    def __init__(self, enough):
        self.enough, self.epochs = enough, 0

    def setup(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context):
        self.epochs += context.task_name == "epoch"
        return self.epochs >= self.enough

    def teardown(self, estimator, context): ...


@pytest.mark.parametrize(("enough", "epochs"), [(3, 3), (99, 15)])
def test_callbacks_hear_of_each_epoch_and_may_end_the_training(enough, epochs):
    listener = Listener(enough)
    classifier = fast().set_callbacks(listener).fit(X, Y)
    assert listener.epochs == epochs
    assert epochs <= classifier.n_iter_ <= epochs + 1  # steps that were under way are finished
    assert classifier.score(X, Y) > 0.5


def test_a_monitor_scores_the_fitted_estimator():
    monitor = ScoringMonitor(scoring="accuracy")
    classifier = fast().set_callbacks(monitor).fit(X, Y)
    assert monitor.get_logs().data[-1]["accuracy"] == classifier.score(X, Y)


def test_weights_are_routed():
    with sklearn.config_context(enable_metadata_routing=True):
        piped = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False),
            fast().set_fit_request(sample_weight=True),
        )
        wrong = np.arange(300) % 3 > 0
        piped.fit(X, np.where(wrong, 1 - Y, Y), sample_weight=np.where(wrong, 1e-3, 1.0))
    assert piped.score(X, Y) > 0.8


def test_the_default_is_the_preset(tmp_path):
    classifier = SteepestClassifier(members=2, epochs=10, random_state=0).fit(
        *load_iris(return_X_y=True)
    )
    assert isinstance(classifier.module_, sp.Ensemble)
    assert classifier.score(*load_iris(return_X_y=True)) > 0.9
    assert "SteepestClassifier" in classifier._repr_html_()
    again = pickle.loads(pickle.dumps(classifier))
    assert np.array_equal(
        again.predict_proba(np.ones((2, 4))), classifier.predict_proba(np.ones((2, 4)))
    )


def test_a_setting_that_is_none_is_refused_by_name():
    with pytest.raises(sp.SteepestError, match="learning_rte"):
        fast(settings={"learning_rte": 1}).fit(X, Y)

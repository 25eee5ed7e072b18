"""Splitting, scaling and classes: the arithmetic of the data room."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from steepest.data import Classes, Dataset, Samples, Scaler, load_data, split
from steepest.errors import DataError, ModelError, TargetError


def samples(labels):
    labels = np.asarray(labels)
    return Samples(np.arange(len(labels), dtype=np.float32)[:, None], labels, "test")


class TestSplit:
    """Seeded, stratified, and nothing lost."""

    @given(
        labels=st.lists(st.integers(0, 4), min_size=2, max_size=200),
        validation=st.floats(0, 0.5),
        test=st.floats(0, 0.45),
        seed=st.integers(0, 2**63 - 1),
    )
    def test_each_row_is_in_one_part_and_each_class_keeps_a_row(
        self, labels, validation, test, seed
    ):
        data = split(Dataset(samples(labels)), validation=validation, test=test, seed=seed)
        rows = [
            part.rows if part.rows is not None else np.arange(len(part)) for _, part in data.parts()
        ]
        assert sorted(np.concatenate(rows).tolist()) == list(range(len(labels)))
        assert set(data.train.labels.tolist()) == set(labels)
        for name, part in data.parts():
            rows_of = np.arange(len(part)) if part.rows is None else part.rows
            assert part.labels.tolist() == [labels[row] for row in rows_of], name
            assert np.all(np.diff(rows_of) > 0), name

    def test_shares_are_those_asked_for_in_each_class(self):
        labels = np.repeat([0, 1, 2], [700, 200, 100])
        data = split(Dataset(samples(labels)), validation=0.2, test=0.1, seed=3)
        assert np.bincount(data.validation.labels).tolist() == [140, 40, 20]
        assert np.bincount(data.test.labels).tolist() == [70, 20, 10]

    def test_rounding_keeps_the_whole_share(self):
        labels = np.repeat(np.arange(10), 7)
        data = split(Dataset(samples(labels)), validation=0.1)
        assert len(data.validation) == 7

    def test_the_seed_decides_and_the_kind_of_label_does_not(self):
        labels = np.repeat([0, 1], 50)
        first, same, other = (split(Dataset(samples(labels)), seed=s) for s in (1, 1, 2))
        words = split(Dataset(samples(np.where(labels == 0, "a", "b"))), seed=1)
        assert np.array_equal(first.validation.rows, same.validation.rows)
        assert np.array_equal(first.validation.rows, words.validation.rows)
        assert not np.array_equal(first.validation.rows, other.validation.rows)

    def test_rare_classes_are_named(self):
        data = split(Dataset(samples(["a"] * 20 + ["b"] + ["c"] * 2)), validation=0.5)
        assert data.notes == (
            "classes with 1 row, kept for training: b",
            "classes with 2 rows, of which at least one is trained on: c",
        )
        assert "b" not in data.validation.labels

    def test_parts_that_are_there_stay(self):
        given_part = samples([0, 1])
        data = split(Dataset(samples([0, 1] * 20), test=given_part), validation=0.1, test=0.5)
        assert data.test is given_part
        assert len(data.train) == 36

    def test_too_few_rows_for_a_part_is_said(self):
        data = split(Dataset(samples([0, 1, 0])), validation=0.1)
        assert data.validation is None
        assert data.notes[-1] == "too few rows for a validation part"

    def test_impossible_shares_are_refused(self):
        with pytest.raises(DataError, match="add up to less than 1"):
            split(Dataset(samples([0, 1])), validation=0.6, test=0.5)


COLUMNS = npst.arrays(
    np.float64, st.tuples(st.integers(2, 30), st.integers(1, 4)), elements=st.floats(-1e6, 1e6)
)


class TestScaler:
    """The lecture's two formulas, against scikit-learn, safe for constant columns."""

    @given(COLUMNS)
    def test_standardise_has_mean_0_and_n_minus_1_deviation_1(self, x):
        scaled = Scaler.fit("standardise", x).apply(x)
        ours = StandardScaler().fit_transform(x) * np.sqrt((len(x) - 1) / len(x))
        constant = x.min(axis=0) == x.max(axis=0)
        # Columns that differ by rounding alone are beyond scikit-learn's own threshold.
        clear = constant | (x.std(axis=0) > 1e-12 + 1e-6 * np.abs(x).max(axis=0))
        assert np.allclose(scaled[:, clear], np.where(constant, 0, ours)[:, clear], atol=1e-5)

    @given(COLUMNS, st.floats(-3, 3), st.floats(0.1, 5))
    def test_minmax_fills_its_interval(self, x, low, width):
        scaled = Scaler.fit("minmax", x, low=low, high=low + width).apply(x)
        ours = MinMaxScaler((low, low + width)).fit_transform(x)
        spread = np.ptp(x, axis=0)
        # scikit-learn takes less than 1e-15 for none.
        clear = (spread == 0) | (spread > 1e-12 + 1e-6 * np.abs(x).max(axis=0))
        expected = np.where(spread == 0, low, ours)
        assert np.allclose(scaled[:, clear], expected[:, clear], atol=1e-4)

    def test_bytes_are_divided_by_255(self):
        x = np.arange(256, dtype=np.uint8).reshape(4, 64)
        assert np.allclose(Scaler.fit("pixels", x).apply(x), x / 255)

    def test_constant_columns_are_safe_even_when_rounding_blurs_them(self):
        x = np.full((1000, 1), 0.1)
        scaler = Scaler.fit("standardise", x)
        assert scaler.constant.tolist() == [0]
        assert scaler.apply(np.array([[5.0]])).tolist() == [[0.0]]

    def test_one_row_is_safe(self):
        assert Scaler.fit("standardise", np.array([[3.0]])).apply([[3.0]]).tolist() == [[0.0]]

    def test_it_is_fitted_on_the_rows_named_alone(self):
        x = np.array([[0.0], [2.0], [1e9]])
        scaler = Scaler.fit("standardise", x, np.array([0, 1]))
        assert scaler.offset.tolist() == [1.0]
        assert scaler.factor.tolist() == pytest.approx([1 / np.sqrt(2)])

    def test_blocks_give_what_one_pass_gives(self, monkeypatch):
        x = np.random.default_rng(0).normal(1e4, 1, (1000, 3))
        whole = Scaler.fit("standardise", x)
        monkeypatch.setattr("steepest.data.blocks._BYTES", 24 * 7)
        blocked = Scaler.fit("standardise", x)
        assert np.allclose(whole.offset, blocked.offset, rtol=1e-13)
        assert np.allclose(whole.factor, blocked.factor, rtol=1e-9)

    @given(COLUMNS)
    def test_json_keeps_every_bit(self, x):
        scaler = Scaler.fit("standardise", x)
        again = Scaler.from_json(json.loads(json.dumps(scaler.to_json())))
        assert np.array_equal(again.offset, scaler.offset)
        assert np.array_equal(again.factor, scaler.factor)


class TestClasses:
    """Which label is which class index."""

    @pytest.mark.parametrize(
        ("labels", "outputs", "values"),
        [
            (["b", "a", "b"], None, ("a", "b")),
            ([3, 1, 2], None, (1, 2, 3)),
            ([3, 1, 2], 3, (1, 2, 3)),
            ([0, 2, 5], 10, tuple(range(10))),
            ([True, False], 1, (False, True)),
            ([True, False], 2, (False, True)),
        ],
    )
    def test_they_are_sorted_or_indices_of_a_wider_model(self, labels, outputs, values):
        classes = Classes.of(samples(labels), outputs=outputs)
        assert classes.values == values
        encoded = classes.encode(np.array(labels), "test")
        assert [values[i] for i in encoded] == labels
        assert classes.decode(encoded).tolist() == labels

    def test_classes_without_rows_are_named(self):
        classes = Classes.of(samples([0, 2]), outputs=4)
        assert classes.notes == ("no training rows of the classes 1, 3",)

    @pytest.mark.parametrize(
        ("labels", "outputs", "kind", "message"),
        [
            (
                [0, 1, 2],
                2,
                TargetError,
                "the labels have 3 classes but the model gives 2 outputs: make its last layer 3 wide",
            ),
            (
                ["a", "b"],
                3,
                ModelError,
                "the labels have 2 classes but the model gives 3 outputs: make its last layer 2 wide",
            ),
            (
                [0, 7],
                5,
                TargetError,
                "the label 7 is no class index of a model with 5 outputs, whose classes are 0 .. 4: "
                "number the classes from 0, or make the model wider",
            ),
            (
                ["a", "a"],
                None,
                TargetError,
                "all 2 training rows of test are of one class, 'a'; a classifier needs at least two",
            ),
        ],
    )
    def test_what_does_not_fit_is_refused(self, labels, outputs, kind, message):
        with pytest.raises(kind) as error:
            Classes.of(samples(labels), outputs=outputs)
        assert str(error.value) == message

    def test_a_label_never_seen_is_named_with_its_row_and_the_nearest(self):
        classes = Classes.of(samples(["cat", "dog"]))
        with pytest.raises(TargetError) as error:
            classes.encode(np.array(["cat", "cats"]), "test.csv")
        assert str(error.value) == (
            "test.csv: row 1 has the label 'cats', which no training row has; did you mean 'cat'? "
            "the classes are cat, dog"
        )

    def test_a_number_written_as_text_is_the_number(self):
        classes = Classes.of(samples([1, 2]))
        assert classes.encode(np.array(["2", "1"]), "test").tolist() == [1, 0]

    def test_names_of_the_source_are_kept(self):
        train = load_data("iris").train
        assert Classes.of(train).names == ("setosa", "versicolor", "virginica")
        some = train.take(np.flatnonzero(train.labels > 0))
        assert Classes.of(some).names == ("versicolor", "virginica")

    @pytest.mark.parametrize("labels", [["a", "b"], [1, 5], [True, False]])
    def test_json_keeps_kind_and_names(self, labels):
        classes = Classes.of(samples(labels))
        again = Classes.from_json(json.loads(json.dumps(classes.to_json())))
        assert again == classes
        assert [type(value) for value in again.values] == [type(value) for value in classes.values]

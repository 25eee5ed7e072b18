"""The encoder of tables against what it promises: types that change, rare words, exact numbers."""

import json

import numpy as np
import polars as pl
import pytest

from steepest.data import Preprocessing, load_data, split
from steepest.data.samples import Samples
from steepest.errors import DataError


def samples(columns):
    return Samples(pl.DataFrame(columns), None, "new.csv")


def fit(columns, scaling="auto"):
    return Preprocessing.fit(samples(columns), scaling)


def test_numbers_are_standardised_in_float64_with_the_n_minus_1_deviation():
    x = 1e9 + np.arange(5.0)
    prepared = fit({"x": x}).prepare(samples({"x": x}))
    expected = (np.arange(5.0) - 2) / np.std(np.arange(5.0), ddof=1)
    np.testing.assert_allclose(prepared.array[:, 0], expected, rtol=1e-6)


def test_minmax_and_a_constant_column():
    preprocessing = fit({"x": [2.0, 4.0, 3.0], "same": [7, 7, 7]}, "minmax")
    prepared = preprocessing.prepare(samples({"x": [2.0, 5.0], "same": [7, 8]}))
    assert prepared.array.tolist() == [[0.0, 0.0], [1.5, 0.0]]
    assert "  same: number, minmax; constant" in preprocessing.summary()


def test_a_whole_number_is_one_word_as_integer_float_and_string():
    preprocessing = fit({"code": ["1", "2", "x", "1"]})
    for codes in ([1, 2], [1.0, 2.0], ["1", "2"]):
        assert preprocessing.prepare(samples({"code": codes})).array.tolist() == [
            [1, 0, 0],
            [0, 1, 0],
        ]
    with_gap = preprocessing.prepare(samples({"code": [1.0, None]}))
    assert with_gap.array.tolist() == [[1, 0, 0], [0, 0, 0]]


def test_words_never_seen_are_zero_everywhere_and_told():
    prepared = fit({"city": ["b", "a", "b"]}).prepare(samples({"city": ["c", "b", "d"]}))
    assert prepared.array.tolist() == [[0, 0], [1, 0], [0, 0]]
    assert prepared.notes == (
        "column 'city': 2 rows hold words that training never saw, such as 'c'; all its features "
        "are 0 there",
    )


def test_rare_words_share_a_feature_with_words_never_seen():
    words = [f"w{i:02}" for i in range(70) for _ in range(3)] + ["w69"]
    preprocessing = fit({"w": words})
    assert preprocessing.shape == (65,)
    prepared = preprocessing.prepare(samples({"w": ["w69", "w68", "new"]}))
    assert prepared.array.argmax(axis=1).tolist() == [0, 64, 64]
    assert prepared.notes == ()


def test_true_and_false_are_the_same_in_every_spelling():
    preprocessing = fit({"b": [True, False, None]})
    for values in ([True, False, None], ["true", "FALSE", None], [1, 0, None], [1.0, 0.0, np.nan]):
        assert preprocessing.prepare(samples({"b": values})).array.tolist() == [
            [1, 0],
            [0, 0],
            [0, 1],
        ]
    for values in ([True, False, 2], ["true", "perhaps"]):
        with pytest.raises(DataError, match="column 'b' was true or false in training, but row"):
            preprocessing.prepare(samples({"b": pl.Series(values, strict=False)}))


def test_a_message_names_the_row_of_the_file_and_not_of_the_part():
    frame = pl.DataFrame({"x": [0.0] * 99 + [np.inf], "y": [0, 1] * 50})
    data = split(load_data(frame, target="y"), validation=0.5, seed=1)
    part = next(part for _, part in data.parts() if 99 in part.rows)
    with pytest.raises(DataError, match="column 'x' is inf in row 99, one of 1 infinite values"):
        Preprocessing.fit(part)


def test_a_column_that_cannot_be_a_feature_is_named():
    with pytest.raises(DataError, match=r"column 'l' holds List\(Int64\).*name it in ignore"):
        fit({"l": [[1], [2]]})


def test_the_encoder_survives_json_exactly():
    rng = np.random.default_rng(0)
    table = {"x": rng.normal(size=50), "w": rng.choice(["a", "b"], 50), "b": rng.random(50) < 0.5}
    table["x"][3] = np.nan
    preprocessing = fit(table)
    again = Preprocessing.from_json(json.loads(json.dumps(preprocessing.to_json())))
    before, after = (p.prepare(samples(table)).array for p in (preprocessing, again))
    assert before.tobytes() == after.tobytes()


def test_a_table_of_many_columns_has_a_short_summary():
    assert len(fit({f"x{i}": [1, 2, i] for i in range(1000)}).summary()) < 40


@pytest.mark.parametrize("name", ["id", "Id", "row_id", "PassengerId", "customerID", "index"])
def test_numbers_of_the_rows_are_left_out_and_told(name):
    rows = {name: np.arange(100, 140)[::-1], "x": np.arange(40.0)}
    preprocessing = fit(rows)
    assert preprocessing.shape == (1,)
    told = [line for line in preprocessing.summary() if "is left out" in line]
    assert told == [
        f"column {name!r} is left out: 40 rows and as many different whole numbers, an identifier "
        "by its name; rename it to learn from it"
    ]
    assert preprocessing.prepare(samples({"x": [1.0]})).array.shape == (1, 1)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("humid", np.arange(40)),
        ("price index", np.arange(40)),
        ("id", np.arange(40) // 2),  # several rows of each
        ("id", np.arange(40) + 0.5),
        ("id", np.arange(19)),  # too few to tell
    ],
)
def test_other_numbers_stay(name, values):
    assert fit({name: values, "x": values * 1.0}).shape == (2,)

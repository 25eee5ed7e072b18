"""Later files are read with the types of the training file: a value means the same in any file."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest

import steepest as sp
from steepest.data import Classes, Preprocessing, load_data, load_rows
from steepest.errors import DataError, TargetError


@pytest.fixture
def write(tmp_path):
    def write(text, name):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def table(column, labels=("0", "1")):
    """A CSV file with these values again and again, and a column of numbers beside them."""
    rows = [f"{value},{i},{labels[i % len(labels)]}" for i, value in enumerate(column)]
    return "\n".join(["c,n,y", *rows]) + "\n"


def encoded(preprocessing, samples):
    return preprocessing.prepare(samples).array


WORDS = [
    ("1.0", "2.0"),
    ("02134", "00501"),
    ("True", "False"),
    ("true", "True"),
    ("1E5", "100000"),
    ("+1", "1"),
    ("1", "1.0"),
    ("2020-01-01 12:00:00", "2020-01-02 12:00:00"),
    ("2020-01-01T12:00:00.5", "2020-01-01T12:00:00.50"),
    ("9007199254740993", "9007199254740992"),
    ("inf", "-inf"),
]


@pytest.mark.parametrize("words", WORDS)
def test_a_word_is_the_same_word_in_every_file(write, words):
    train = load_data(write(table([*words, "odd"] * 20), "train.csv"), target="y").train
    preprocessing = Preprocessing.fit(train)
    assert preprocessing.encoder.columns[0].kind == "words"
    expected = encoded(preprocessing, train)[:2]
    assert (expected[0] != expected[1]).any()
    again = Preprocessing.from_json(json.loads(json.dumps(preprocessing.to_json())))
    both = write(table(words), "both.csv")
    for rows in (
        load_rows(both),
        load_data(both, target="y").train,
        load_data(train, test=both, target="y").test,
    ):
        assert np.array_equal(encoded(again, rows), expected)
    for i in range(2):  # alone in its file
        alone = load_rows(write(f"c,n\n{words[i]},{i}\n", "alone.csv"))
        assert np.array_equal(encoded(again, alone), expected[i : i + 1])


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        (["1", "2"], "true", "numbers"),
        (["1", "2"], "2020-01-01", "numbers"),
        (["1", "2"], "x", "numbers"),
        (["2020-01-01", "2020-01-02"], "3", "dates"),
        (["true", "false"], "2", "true or false"),
        (["true", "false"], "2020-01-01", "true or false"),
    ],
)
def test_what_is_not_what_training_had_is_refused_in_every_file(write, column, value, what):
    training = write(table(column * 5), "t.csv")
    preprocessing = Preprocessing.fit(load_data(training, target="y").train)
    for others in ([], column * 20):
        path = write(table([*others, value]), "later.csv")
        for rows in (load_rows(path), load_data(training, test=path, target="y").test):
            with pytest.raises(DataError) as error:
                preprocessing.prepare(rows)
            assert str(error.value) == (
                f"{path}: column 'c' was {what} in training, but row {len(others)} holds {value!r}"
            )


def test_numbers_dates_and_truth_are_read_in_every_spelling(write):
    column = {
        "number": ["1", "2.5"],
        "date": ["2020-01-01", "2020-01-02"],
        "truth": ["true", "FALSE"],
    }
    spelled = {
        "number": ["+1.0", " 01 ", "1e0"],
        "date": ["2020-01-01 00:00:00", "2020-01-01T00:00:00.000", " 2020-01-01"],
        "truth": ["TRUE", "1", "1.0 "],
    }
    for kind, values in column.items():
        train = load_data(write(table(values * 5), "t.csv"), target="y").train
        preprocessing = Preprocessing.fit(train)
        expected = encoded(preprocessing, train)[0, 0]
        for text in spelled[kind]:
            alone = load_rows(write(f"c,n\n{text},0\n", "alone.csv"))
            assert encoded(preprocessing, alone)[0, 0] == expected


def test_an_empty_column_counts_as_missing_whatever_it_was(write):
    for values in (
        ["1", "2", ""],
        ["a", "b", ""],
        ["true", "false", ""],
        ["2020-01-01", "", "2020-01-02"],
    ):
        train = load_data(write(table(values * 5), "t.csv"), target="y").train
        preprocessing = Preprocessing.fit(train)
        expected = encoded(preprocessing, train)[values.index("")]
        for rows in (
            load_rows(write("c,n\n,1\n", "empty.csv")),
            load_rows(write("c,n\n NA ,1\n", "marked.csv")),
            load_rows(pl.DataFrame({"c": [None], "n": [1]})),
            load_rows(pd.DataFrame({"c": [np.nan], "n": [1]})),
        ):
            assert np.array_equal(encoded(preprocessing, rows)[0, :-1], expected[:-1])


MARKS = ("NA", "None", "n/a", "<NA>", "#N/A", "?")


@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_of_what_is_missing_is_a_word_where_training_had_it_as_one(write, mark, tmp_path):
    frame = pl.DataFrame({"c": [mark, "b"] * 10, "n": range(20), "y": [0, 1] * 10})
    of_frame = Preprocessing.fit(load_data(frame, target="y").train)
    of_file = Preprocessing.fit(
        load_data(write(table([mark, "b"] * 10), "t.csv"), target="y").train
    )
    assert of_frame.encoder.columns[0].levels == tuple(sorted([mark, "b"]))
    assert of_file.encoder.columns[0].levels == ("b",)
    frame.write_parquet(tmp_path / "t.parquet")
    alone = write(f"c,n\n {mark} ,0\n", "alone.csv")
    for preprocessing in (of_frame, of_file):
        expected = encoded(preprocessing, load_data(frame, target="y").train)
        assert expected[0, :2].tolist() != expected[1, :2].tolist()
        for rows in (tmp_path / "t.csv", tmp_path / "t.parquet", frame):
            assert np.array_equal(encoded(preprocessing, load_rows(rows)), expected)
        assert np.array_equal(encoded(preprocessing, load_rows(alone))[0], expected[0])
        assert not preprocessing.prepare(load_rows(alone)).notes


@pytest.mark.parametrize("values", [["1", "2.5"], ["true", "false"], ["2020-01-01", "2020-01-02"]])
def test_a_mark_in_a_frame_of_text_is_missing_as_in_a_file(write, values):
    train = load_data(write(table([*values, ""] * 10), "t.csv"), target="y").train
    preprocessing = Preprocessing.fit(train)
    expected = encoded(preprocessing, train)[2]
    for mark in ("", " ", *MARKS):
        rows = load_rows(pl.DataFrame({"c": [mark], "n": [2]}))
        assert np.array_equal(encoded(preprocessing, rows)[0], expected)


def test_blanks_around_words_do_not_matter_in_files_nor_frames(write):
    frame = pl.DataFrame({"c": [" a", " b"] * 5, "n": range(10), "y": [0, 1] * 5})
    of_frame = Preprocessing.fit(load_data(frame, target="y").train)
    of_file = Preprocessing.fit(
        load_data(write(table([" a", "\tb "] * 5), "t.csv"), target="y").train
    )
    for preprocessing in (of_frame, of_file):
        expected = encoded(preprocessing, load_data(frame, target="y").train)[0]
        assert expected[:2].tolist() == [1, 0]
        for text in ("a", " a", "a\t"):
            alone = load_rows(write(f"c,n\n{text},0\n", "alone.csv"))
            assert np.array_equal(encoded(preprocessing, alone)[0], expected)


@pytest.mark.parametrize("values", [["2020-01-01", "2020-01-03"], ["1", "2.5"], ["x", "1.0"]])
def test_a_run_of_an_earlier_version_reads_what_it_read(write, values):
    train = load_data(write(table(values * 5), "t.csv"), target="y").train
    preprocessing = Preprocessing.fit(train)
    state = preprocessing.to_json()
    for column in state["encoder"]["columns"]:
        del column["quantity"], column["decimal"]
    earlier = Preprocessing.from_json(state)
    expected = encoded(preprocessing, train)[:2]
    assert np.array_equal(encoded(earlier, load_rows(write(table(values), "l.csv"))), expected)
    text = pl.DataFrame({"c": values, "n": ["0", "1"]})
    assert np.array_equal(encoded(earlier, load_rows(text)), expected)


@pytest.mark.parametrize(
    "change", [{"decimal": ";"}, {"quantity": "weight"}, {"levels": [1, 2]}, {"name": 7}]
)
def test_a_damaged_column_is_no_column(write, change):
    state = Preprocessing.fit(
        load_data(write(table(["a", "b"] * 3), "t.csv"), target="y").train
    ).to_json()
    state["encoder"]["columns"][0].update(change)
    with pytest.raises(ValueError, match="column"):
        Preprocessing.from_json(state)


class TestFrames:
    """A frame's types need not be those of the training."""

    @pytest.fixture
    def preprocessing(self, write):
        column = ["1.0", "02", "True", "2020-01-01", "odd"] * 5
        return Preprocessing.fit(load_data(write(table(column), "t.csv"), target="y").train)

    @pytest.mark.parametrize(
        ("values", "level"),
        [
            (pl.Series([1]), "1.0"),
            (pl.Series([1.0]), "1.0"),
            (pl.Series([2], dtype=pl.UInt8), "02"),
            (pl.Series([True]), "True"),
            (pl.Series(["2020-01-01"]).str.to_date(), "2020-01-01"),
            (pl.Series(["2020-01-01"]).str.to_datetime("%Y-%m-%d"), "2020-01-01"),
            (pl.Series(["02"], dtype=pl.Categorical), "02"),
            (pl.Series(["02"], dtype=pl.Enum(["02"])), "02"),
            (pd.Series([1], dtype="Int64"), "1.0"),
            (pd.Series([1.0], dtype="category"), "1.0"),
            (pd.Series(["02"], dtype="category"), "02"),
            (pd.to_datetime(pd.Series(["2020-01-01"])), "2020-01-01"),
        ],
    )
    def test_a_value_is_the_word_that_reads_as_it(self, preprocessing, values, level):
        library = pl if isinstance(values, pl.Series) else pd
        rows = load_rows(library.DataFrame({"c": values, "n": [0]}))
        found = encoded(preprocessing, rows)[0]
        assert [
            name
            for name, x in zip(preprocessing.encoder.feature_names, found, strict=True)
            if x == 1
        ] == [f"c={level}"]

    def test_a_value_that_several_words_read_as_is_refused(self, write):
        train = load_data(write(table(["1.0", "1", "odd"] * 5), "t.csv"), target="y").train
        preprocessing = Preprocessing.fit(train)
        rows = load_rows(pl.DataFrame({"c": [7, 1], "n": [0, 0]}))
        with pytest.raises(DataError) as error:
            preprocessing.prepare(rows)
        assert str(error.value) == (
            "the frame: column 'c' was words in training, but row 1 holds 1 as Int64, which may "
            "have been '1' or '1.0'; pass the column as strings"
        )

    @pytest.mark.parametrize("values", [[[1]], [b"1"]])
    def test_what_no_word_can_have_become_is_refused(self, preprocessing, values):
        with pytest.raises(DataError, match="column 'c' was words in training, but holds"):
            preprocessing.prepare(load_rows(pl.DataFrame({"c": values, "n": [0]})))

    def test_dates_are_no_numbers_nor_numbers_dates(self):
        day = pl.Series(["2020-01-01", "2020-01-02"]).str.to_date()
        for training, later in ((day, pl.Series([1, 2])), (pl.Series([1, 2]), day)):
            preprocessing = Preprocessing.fit(load_rows(pl.DataFrame({"c": training})))
            with pytest.raises(DataError, match=r"column 'c' was (dates|numbers) in training, but"):
                preprocessing.prepare(load_rows(pl.DataFrame({"c": later})))


class TestLabels:
    """A label of a file is what is written there."""

    def test_codes_are_classes_of_their_own(self, write):
        train = load_data(write(table("ab" * 6, ["01", "1", "2"]), "t.csv"), target="y").train
        classes = Classes.of(train)
        assert classes.values == ("01", "1", "2")
        path = write(table("ab", ["01", "1"]), "later.csv")
        for rows in (
            load_rows(path, target="y", labelled=True),
            load_data(path, target="y").train,
            load_data(train, test=path, target="y").test,
        ):
            assert classes.encode(rows.labels, "t").tolist() == [0, 1]

    @pytest.mark.parametrize(
        ("labels", "values"),
        [
            (["01", "02"], ("01", "02")),
            (["1", "1.0"], ("1", "1.0")),
            (["1.5", "1.50"], ("1.5", "1.50")),
            (["-1", "+1"], (-1, 1)),
            (["0.0", "1.0"], (0, 1)),
            (["true", "FALSE", "True"], (False, True)),
            (["2020-01-01 10:00:00", "2020-01-02 10:00:00"],) * 2,
            (["99999999999999999998", "99999999999999999999"],) * 2,
        ],
    )
    def test_a_class_is_a_number_where_nothing_is_lost(self, write, labels, values):
        train = load_data(write(table("abc" * 4, labels), "t.csv"), target="y").train
        classes = Classes.of(train)
        assert classes.values == tuple(values)
        expected = classes.encode(train.labels, "t").tolist()
        rows = load_rows(write(table("abc" * 4, labels), "later.csv"), target="y", labelled=True)
        assert classes.encode(rows.labels, "t").tolist() == expected

    def test_a_number_is_a_class_in_every_spelling_but_a_code_is_not(self, write):
        classes = Classes.of(load_data(write(table("abcd", ["0", "1"]), "t.csv"), target="y").train)
        assert classes.encode(np.array(["1.0", "+1", " 1", "1e0", "true"]), "t").tolist() == [1] * 5
        with pytest.raises(TargetError, match="row 0 has the label '01', which no training row"):
            classes.encode(np.array(["01"]), "t")

    def test_a_number_that_may_be_several_classes_is_refused(self):
        classes = Classes(("01", "1", "2"), ("01", "1", "2"))
        assert classes.encode(np.array([2, 2]), "t").tolist() == [2, 2]
        with pytest.raises(TargetError) as error:
            classes.encode(np.array([2, 1]), "t.npz")
        assert str(error.value) == (
            "t.npz: row 1 has the label 1, which may be the class '01' or '1'; pass the labels as "
            "strings, as training had them"
        )

    def test_a_part_has_labels_of_the_type_of_the_training(self, write):
        train = write(table("ab" * 4, ["0", "1"]), "t.csv")
        data = load_data(train, target="y", test=write(table("ab", ["1.0", "0"]), "later.csv"))
        assert data.test.labels.dtype == data.train.labels.dtype

    def test_a_quantity_is_refused_however_it_is_spelled(self, write):
        text = table("ab" * 30, [f"{i / 7:.3f}0" for i in range(60)] + ["0.0"])
        with pytest.raises(TargetError, match="is a quantity"):
            load_data(write(text, "t.csv"), target="y")


def test_a_row_has_one_probability_wherever_it_comes_from(write, tmp_path):
    text = table(["1.0", "02", "odd"] * 8, ["01", "1"])
    part = write(table(["1.0", "02"] * 2, ["01", "1"]), "part.csv")
    run = sp.train(
        None,
        write(text, "t.csv"),
        target="y",
        validation=str(part),
        epochs=2,
        progress="none",
        check=False,
        out=tmp_path / "run",
    )
    alone = write("c,n\n1.0,0\n", "alone.csv")
    expected = run.classifier.predict_proba(alone)[0]
    opened = sp.load_run(tmp_path / "run")
    for classifier in (run.classifier, opened.classifier):
        for rows in (part, load_data(part, target="y"), run.dataset.validation):
            assert np.allclose(classifier.predict_proba(rows)[0], expected, rtol=1e-6)
    assert opened.evaluate(part).accuracy == run.scores["validation"].accuracy


def test_a_table_of_many_columns_asks_for_its_schema_once(monkeypatch):
    frame = pl.DataFrame({f"c{i}": [0.0, 1.0] for i in range(50)} | {"y": [0, 1]})
    train = load_data(frame, target="y").train
    preprocessing = Preprocessing.fit(train)
    asked = []
    schema = pl.DataFrame.schema.fget
    monkeypatch.setattr(
        pl.DataFrame, "schema", property(lambda self: asked.append(1) or schema(self))
    )
    preprocessing.prepare(train)  # it is made anew each time: quadratic if asked for each column
    assert 0 < len(asked) < 5

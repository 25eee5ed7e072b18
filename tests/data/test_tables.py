"""CSV, Parquet and frames: header, types, missing values, quoted fields, and what is refused."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steepest.data import JoinedPreprocessing, Preprocessing, TableEncoder, load_data, split
from steepest.errors import DataError, TargetError


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def features(dataset, scaling="auto"):
    """The encoded training rows by feature name, and their preprocessing."""
    preprocessing = Preprocessing.fit(dataset.train, scaling)
    matrix = preprocessing.prepare(dataset.train).array
    return dict(zip(preprocessing.encoder.feature_names, matrix.T, strict=True)), preprocessing


def test_a_table_is_read_with_its_types_gaps_and_quotes(table):
    data = load_data(table, target="churned")
    frame = data.train.inputs
    assert frame.columns == ["age", "income", "member", "city"]
    assert frame.dtypes == [pl.Int64, pl.Float64, pl.Boolean, pl.String]
    assert frame["income"].null_count() == 28
    assert set(frame["city"]) == {"Prague", "Brno", "Ústí, nad Labem"}
    assert set(data.train.labels) == {"yes", "no"}
    columns, preprocessing = features(data)
    assert set(columns) == {
        *("age", "income", "income is missing", "member"),
        *("city=Prague", "city=Brno", "city=Ústí, nad Labem"),
    }
    assert columns["age"].mean() == pytest.approx(0, abs=1e-6)
    assert columns["age"].std(ddof=1) == pytest.approx(1, rel=1e-6)
    assert columns["income is missing"].sum() == 28
    assert np.allclose(columns["income"][columns["income is missing"] == 1], 0, atol=1e-6)
    assert set(columns["member"]) == {0.0, 1.0}
    assert "  income: number, standardise; 28 missing, in a column of their own" in (
        preprocessing.summary()
    )


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found(tmp_path, separator):
    rows = [["a", "b c", "target"], ["1", "x", "0"], ["2", "y", "1"]]
    path = write(tmp_path / "t.csv", "\n".join(separator.join(row) for row in rows))
    data = load_data(path)
    assert data.train.inputs.columns == ["a", "b c"]
    assert data.train.labels.tolist() == [0, 1]
    assert data.notes == ("the column 'target' is taken as the target",)


def test_a_byte_order_mark_and_a_line_break_in_quotes_are_understood(tmp_path):
    text = '\ufeffa,note,y\n1,"two\nlines",0\n2,"a ""quoted"" word",1\n'
    data = load_data(write(tmp_path / "t.csv", text))
    assert data.train.inputs["note"].to_list() == ["two\nlines", 'a "quoted" word']


def test_a_file_of_words_alone_that_all_rows_have_is_split_and_prepared(tmp_path):
    lines = [f"{'ab'[i % 2]},{'xyz'[i % 3]},{'no' if i % 2 else 'yes'}" for i in range(60)]
    data = split(load_data(write(tmp_path / "t.csv", "\n".join(["u,v,target", *lines]))))
    found, _ = features(data)
    assert np.array_equal(found["u=a"], data.train.labels == "yes")


def test_a_file_without_a_header_is_read_and_said(tmp_path):
    data = load_data(write(tmp_path / "t.csv", "1,2,0\n3,4,1\n"), target="column_3")
    assert data.train.inputs.rows() == [(1, 2), (3, 4)]
    assert data.notes == ("t.csv has no header, so its columns are called column_1 .. column_3",)


def test_types_are_right_where_they_show_only_late(tmp_path):
    # Past the rows from which types are guessed: a fraction, the first value, a word.
    lines = ["whole,late,y"] + [f"{i},,{i % 2}" for i in range(20_000)] + ["0.5,7,1"]
    frame = load_data(write(tmp_path / "t.csv", "\n".join(lines))).train.inputs
    assert frame.dtypes == [pl.Float64, pl.Int64]
    assert frame["late"].drop_nulls().to_list() == [7]


MANY = "".join(f"{i},{i % 2}\n" for i in range(50))


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("", None, "{path} is empty"),
        ("a,y\n", "y", "{path} has a header but no rows"),
        (
            "a,y\n1,0\n2,1,9\n3,0\n",
            "y",
            "{path}, line 3 has 3 fields, but the first line has 2; mend the row, or quote a field "
            "that holds the separator",
        ),
        (
            'a,y\n"1\n2",0\n3\n',
            "y",
            "{path}, line 4 has 1 fields, but the first line has 2; mend the row, or quote a field "
            "that holds the separator",
        ),
        (
            "age,y\n" + MANY + "abc,1\n",
            "y",
            "{path}, line 52: column 'age' holds 'abc' where 50 other rows hold numbers; mend the "
            "value, leave it empty to count as missing, or name the column in ignore",
        ),
        ("a,a,y\n1,2,0\n", "y", "{path} has two columns of the name 'a'; rename one"),
        (
            "age,churned\n1,no\n",
            "churn",
            "{path} has no column 'churn' (target); did you mean 'churned'?",
        ),
        (
            "age,size\n1,2\n",
            "xyz",
            "{path} has no column 'xyz' (target); its columns are age, size",
        ),
        (
            "age,size\n1,2\n",
            None,
            "{path}: which column holds the class? Name it as target; the columns are age, size",
        ),
        (
            "a,y\n1,0\n2,\n3,1\n",
            "y",
            "{path}: 1 of 3 rows have no label in column 'y', the first is row 1; leave these rows "
            "out",
        ),
    ],
)
def test_a_bad_file_is_refused_with_one_message(tmp_path, text, target, message):
    path = write(tmp_path / "bad.csv", text)
    with pytest.raises(DataError) as error:
        load_data(path, target=target)
    assert str(error.value) == message.format(path=path)


def test_text_that_is_not_utf8_is_refused_with_its_line(tmp_path):
    path = tmp_path / "latin.csv"
    path.write_bytes("a,y\nPraha,0\nÚstí,1\n".encode("iso-8859-2"))
    with pytest.raises(DataError) as error:
        load_data(path)
    assert str(error.value) == f"{path}, line 3 is not UTF-8; save the file in that encoding"


def test_a_quantity_as_target_is_refused():
    frame = pl.DataFrame({"a": range(100), "price": [i * 1.37 for i in range(100)]})
    with pytest.raises(TargetError, match=r"100 distinct values .* which is a quantity"):
        load_data(frame, target="price")


def test_one_class_only_is_refused(tmp_path):
    data = load_data(write(tmp_path / "t.csv", "a,y\n1,no\n2,no\n"))
    from steepest.data import Classes

    with pytest.raises(TargetError) as error:
        Classes.of(data.train)
    assert str(error.value) == (
        f"all 2 training rows of {tmp_path / 't.csv'} are of one class, 'no'; a classifier needs at "
        "least two"
    )


def test_rows_that_are_all_missing_are_refused(tmp_path):
    path = write(tmp_path / "t.csv", "a,b,y\n,,0\n,NA,1\n")
    with pytest.raises(DataError) as error:
        Preprocessing.fit(load_data(path).train)
    assert str(error.value) == f"{path}: all 2 training rows are empty in every column"


def test_infinity_in_a_column_is_refused_with_its_row():
    frame = pl.DataFrame({"a": [1.0, 2.0, float("inf")], "y": [0, 1, 0]})
    with pytest.raises(DataError) as error:
        Preprocessing.fit(load_data(frame).train)
    assert str(error.value) == (
        "the frame: column 'a' is inf in row 2, one of 1 infinite values; mend them, or leave them "
        "empty to count as missing"
    )


def test_not_a_number_in_a_frame_counts_as_missing():
    frame = pl.DataFrame({"a": [1.0, float("nan"), 3.0], "y": [0, 1, 0]})
    columns, _ = features(load_data(frame))
    assert columns["a is missing"].tolist() == [0, 1, 0]
    assert columns["a"][1] == pytest.approx(0)


def test_parquet_keeps_dates_categories_and_booleans(tmp_path):
    days = [datetime.date(2024, 1, day) for day in (1, 3, 5, 7)]
    frame = pl.DataFrame(
        {"day": days, "kind": ["a", "b", "a", None], "on": [True, False, None, True]}
    ).with_columns(pl.col("kind").cast(pl.Categorical), y=pl.Series([0, 1, 0, 1]))
    frame.write_parquet(tmp_path / "t.parquet")
    columns, _ = features(load_data(tmp_path / "t.parquet"))
    assert np.allclose(columns["day"], np.array([-3, -1, 1, 3]) / np.std([1, 3, 5, 7], ddof=1))
    assert columns["kind=a"].tolist() == [1, 0, 1, 0]
    assert columns["kind is missing"].tolist() == [0, 0, 0, 1]
    assert columns["on"].tolist() == [1, 0, 0, 1]
    assert columns["on is missing"].tolist() == [0, 0, 1, 0]


def test_a_damaged_parquet_file_is_refused(tmp_path):
    path = write(tmp_path / "t.parquet", "not parquet")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        load_data(path)


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_frames_and_series_of_both_libraries_are_the_same_table(kind):
    content = {
        "a": [1.5, None, 3.0, 4.0],
        "b": ["x", "y", None, "x"],
        "y": [True, False, True, True],
    }
    frame = kind(content)
    by_name, _ = features(load_data(frame, target="y"))
    pair = (frame[["a", "b"]], frame["y"])
    by_pair, _ = features(load_data(pair))
    expected, _ = features(load_data(pl.DataFrame(content), target="y"))
    for columns in (by_name, by_pair):
        assert columns.keys() == expected.keys()
        assert all(np.allclose(columns[name], expected[name]) for name in expected)
    assert load_data(pair).train.labels.tolist() == [True, False, True, True]


def test_the_encoder_learns_from_the_training_rows_alone():
    frame = pl.DataFrame({"a": [0.0, 2.0, 1e9], "w": ["x", "y", "z"], "y": [0, 1, 1]})
    data = load_data(frame)
    train, test = data.train.take(np.array([0, 1])), data.train.take(np.array([2]))
    preprocessing = Preprocessing.fit(train)
    assert preprocessing.encoder.feature_names == ("a", "w=x", "w=y")
    row = preprocessing.prepare(test).array[0]
    assert row[0] == pytest.approx((1e9 - 1) / np.sqrt(2), rel=1e-6)
    assert row[1:].tolist() == [0, 0]  # a word that training never saw


def test_rare_words_share_a_column_and_identifiers_are_left_out():
    words = [f"w{i}" for i in range(100) for _ in range(10 if i < 64 else 2)]
    n = len(words)
    frame = pl.DataFrame({"w": words, "id": [f"#{i}" for i in range(n)], "y": [0, 1] * (n // 2)})
    columns, preprocessing = features(load_data(frame))
    assert len(columns) == 65
    assert columns["w=other"].sum() == 36 * 2
    assert np.allclose(sum(columns.values()), 1)
    assert any("'id' is left out" in line for line in preprocessing.summary())


def test_columns_are_found_by_name_in_any_order_and_missing_ones_named():
    frame = pl.DataFrame({"a": [1.0, 2.0], "b": [3.0, 5.0], "y": [0, 1]})
    preprocessing = Preprocessing.fit(load_data(frame).train)
    expected = preprocessing.prepare(load_data(frame).train).array
    shuffled = load_data(frame.with_columns(extra=pl.lit(0)).select("extra", "y", "b", "a"))
    assert np.array_equal(preprocessing.prepare(shuffled.train).array, expected)
    with pytest.raises(DataError) as error:
        preprocessing.prepare(load_data(frame.rename({"a": "aa"})).train)
    assert str(error.value) == "the frame has no column 'a'; did you mean 'aa'?"


def test_a_word_in_a_column_that_was_numbers_is_refused_with_its_row():
    preprocessing = Preprocessing.fit(load_data(pl.DataFrame({"a": [1, 2], "y": [0, 1]})).train)
    with pytest.raises(DataError) as error:
        preprocessing.prepare(load_data(pl.DataFrame({"a": ["3", "four"], "y": [0, 1]})).train)
    assert str(error.value) == (
        "the frame: column 'a' was numbers in training, but row 1 holds 'four'"
    )


def test_columns_that_cannot_be_features_are_refused_or_ignored():
    frame = pl.DataFrame({"a": [1, 2], "l": [[1], [2]], "y": [0, 1]})
    with pytest.raises(DataError, match="column 'l' holds List"):
        Preprocessing.fit(load_data(frame).train)
    assert Preprocessing.fit(load_data(frame, ignore=["l"]).train).shape == (1,)
    with pytest.raises(DataError, match=r"has no column 'll' \(ignore\); did you mean 'l'\?"):
        load_data(frame, ignore=["ll"])


def test_large_values_close_together_keep_their_digits():
    # Seconds since 1970 differ beyond float32's seven digits: centred in float64, they survive.
    seconds = 1.7e9 + np.arange(10.0)
    columns, _ = features(load_data(pl.DataFrame({"t": seconds, "y": [0, 1] * 5})))
    expected = (seconds - seconds.mean()) / seconds.std(ddof=1)
    assert np.allclose(columns["t"], expected, atol=1e-6)


@given(
    st.lists(
        st.tuples(
            st.none() | st.floats(-1e6, 1e6),
            st.none() | st.sampled_from(["x", "y", "with, comma", 'with "quote"']),
            st.none() | st.booleans(),
        ),
        min_size=3,
        max_size=30,
    ),
    st.sampled_from(["standardise", "minmax", "none"]),
)
def test_a_saved_preprocessing_gives_the_same_numbers(rows, scaling):
    import json

    frame = pl.DataFrame(
        rows, schema={"n": pl.Float64, "w": pl.String, "b": pl.Boolean}, orient="row"
    )
    data = load_data(frame.with_columns(keep=pl.int_range(pl.len()), y=pl.int_range(pl.len()) % 2))
    fitted = Preprocessing.fit(data.train, scaling)
    again = Preprocessing.from_json(json.loads(json.dumps(fitted.to_json())))
    encoded = fitted.prepare(data.train).array
    assert np.array_equal(again.prepare(data.train).array, encoded)
    assert np.isfinite(encoded).all()
    assert encoded.dtype == np.float32


def test_minmax_fills_the_interval_asked_for():
    frame = pl.DataFrame({"a": [1.0, 2.0, 5.0], "b": [7, 7, 7], "y": [0, 1, 0]})
    fitted = Preprocessing.fit(load_data(frame).train, "minmax", (-1, 3))
    assert fitted.prepare(load_data(frame).train).array.T.tolist() == [[-1, 0, 3], [-1, -1, -1]]


def test_words_never_seen_are_told_when_predicting():
    import steepest as sp

    frame = pl.DataFrame({"w": ["x", "y"] * 20, "y": [0, 1] * 20})
    run = sp.train(None, frame, epochs=1, validation=0.0, progress="none")
    with pytest.warns(UserWarning, match="w"):
        run.classifier.predict(pl.DataFrame({"w": ["x", "zebra"]}))


def test_splitting_a_table_leaves_no_row_out(table):
    data = split(load_data(table, target="churned"), validation=0.2, test=0.1, seed=1)
    sizes = {name: len(part) for name, part in data.parts()}
    assert sizes == {"train": 210, "validation": 60, "test": 30}
    rows = np.concatenate([part.rows for _, part in data.parts()])
    assert np.array_equal(np.sort(rows), np.arange(300))


def test_rows_that_several_nets_see_in_two_ways_are_encoded_once(monkeypatch):
    frame = pl.DataFrame({"a": [1.0, 2.0, None, 4.0] * 9, "w": ["x", "y", "x", "z"] * 9})
    samples = load_data((frame, [0, 1] * 18)).train
    ways = [Preprocessing.fit(samples, scaling) for scaling in ("quantile", "piecewise")]
    apart = [way.prepare(samples) for way in ways]
    joined = JoinedPreprocessing.from_json(JoinedPreprocessing.of(ways).to_json())
    calls = []
    transform = TableEncoder.transform
    monkeypatch.setattr(
        TableEncoder,
        "transform",
        lambda *args, **options: (calls.append(1), transform(*args, **options))[1],
    )
    together = joined.prepare(samples)
    assert calls == [1]
    expected = np.concatenate([one.block(0, 36) for one in apart], axis=1)
    assert np.array_equal(together.block(0, 36), expected)

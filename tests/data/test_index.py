"""pandas' index is no column: not in Parquet, where it is written as one, nor anywhere else."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import steepest as sp
from steepest.data import Preprocessing, load_data, load_rows
from steepest.errors import DataError


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    # Sorted by class: the index would tell it.
    return pd.DataFrame(
        {"a": rng.normal(size=12), "b": rng.normal(size=12), "y": [0] * 6 + [1] * 6}
    )


INDICES = {
    "shuffled": lambda f: f.set_index(pd.Index(np.arange(12) ** 2)),
    "named": lambda f: f.set_index(pd.Index(np.arange(12) ** 3, name="id")),
    "words": lambda f: f.set_index(pd.Index([f"#{i}" for i in range(12)])),
    "dates": lambda f: f.set_index(pd.date_range("2020-01-01", periods=12, name="day")),
    "levels": lambda f: f.set_index(
        pd.MultiIndex.from_arrays([np.arange(12) ** 2, np.arange(12) ** 3], names=["group", None])
    ),
    "range": lambda f: f,
}


def columns(dataset):
    inputs = dataset.train.inputs
    return inputs.columns if isinstance(inputs, pl.DataFrame) else list(dataset.train.columns)


@pytest.mark.parametrize("index", INDICES)
def test_a_file_a_folder_and_frames_have_the_same_columns(frame, tmp_path, index):
    indexed = INDICES[index](frame)
    (tmp_path / "folder").mkdir()
    (tmp_path / "worded").mkdir()
    indexed.to_parquet(tmp_path / "t.parquet")
    indexed.to_parquet(tmp_path / "folder" / "0.parquet")
    frame.to_parquet(tmp_path / "folder" / "1.parquet", index=False)
    indexed.assign(b="x").to_parquet(tmp_path / "worded" / "0.parquet")
    rewritten = pl.from_arrow(pq.read_table(tmp_path / "t.parquet"))
    sources = [
        tmp_path / "t.parquet",
        tmp_path / "folder",
        tmp_path / "worded",
        indexed,
        pq.read_table(tmp_path / "t.parquet"),
        (pq.read_table(tmp_path / "t.parquet").drop(["y"]), frame["y"]),
    ]
    if index in ("shuffled", "words"):  # a name that tells it where the metadata are gone
        sources += [rewritten, rewritten.lazy()]
    for source in sources:
        data = load_data(source, target=None if isinstance(source, tuple) else "y")
        assert columns(data) == ["a", "b"]
        told = [
            note for note in data.notes if note.startswith("left out, as the index of a pandas")
        ]
        assert len(told) == (index != "range" and source is not indexed)


def test_neither_file_nor_frame_needs_it_to_predict(frame, tmp_path):
    path = tmp_path / "t.parquet"
    INDICES["named"](frame).to_parquet(path)
    preprocessing = Preprocessing.fit(load_data(path, target="y").train)
    expected = preprocessing.prepare(load_rows(frame)).array
    frame.to_csv(tmp_path / "t.csv")
    for rows in (path, tmp_path / "t.csv", INDICES["words"](frame), pl.from_pandas(frame)):
        assert np.allclose(preprocessing.prepare(load_rows(rows)).array, expected, rtol=1e-6)
    # An array has no names, so that one column more would be one too many.
    of_array = Preprocessing.fit(load_data((frame[["a", "b"]].to_numpy(), frame["y"])).train)
    rows = load_rows(pq.read_table(path).drop(["y"]))
    assert np.allclose(of_array.prepare(rows).array, expected, rtol=1e-6)


def test_in_a_csv_file_it_is_the_first_column_without_a_heading(frame, tmp_path):
    path = tmp_path / "t.csv"
    frame.to_csv(path)
    data = load_data(path, target="y")
    assert columns(data) == ["a", "b"]
    assert data.notes == ("left out, as the index of a pandas frame: 'column_1'",)
    assert columns(load_data(path, target="y", ignore=["column_1"])) == ["a", "b"]
    assert columns(load_data(path, target="column_1", ignore=["y"])) == ["a", "b"]
    trained = frame.rename(columns={"a": "column_1"})
    preprocessing = Preprocessing.fit(load_data(trained, target="y").train)
    frame[["b"]].head(2).to_csv(path)  # what was learned from is found, whatever it holds here
    assert preprocessing.prepare(load_rows(path)).array.shape == (2, 2)


ROW_NAMES = {
    "shuffled": ["Unnamed: 0"],
    "doubled": ["Unnamed: 0"],
    "words": ["Unnamed: 0"],
    "fractions": ["Unnamed: 0"],
    "dates": ["Unnamed: 0"],
    "levels": ["Unnamed: 0", "Unnamed: 1"],
}


@pytest.mark.parametrize("index", ROW_NAMES)
def test_columns_without_a_heading_before_all_others_are_names_of_the_rows(frame, tmp_path, index):
    more = {
        "doubled": np.arange(12) // 2,
        "fractions": np.arange(12) / 2,
        "dates": pd.date_range("2020-01-01", periods=12),
        "levels": pd.MultiIndex.from_arrays([np.arange(12), np.arange(12) // 2]),
    }
    indexed = frame.set_index(more[index]) if index in more else INDICES[index](frame)
    path, twice = tmp_path / "t.csv", tmp_path / "twice.csv"
    indexed.to_csv(path)
    reread = pd.read_csv(path)
    reread.to_csv(twice)
    reread.to_parquet(tmp_path / "t.parquet")
    (tmp_path / "folder").mkdir()
    reread.to_parquet(tmp_path / "folder" / "0.parquet")
    (tmp_path / "worded").mkdir()
    reread.assign(b="x").to_parquet(tmp_path / "worded" / "0.parquet")
    sources = [path, twice, reread, pd.read_csv(twice), tmp_path / "t.parquet"]
    sources += [tmp_path / "folder", tmp_path / "worded", (reread.drop(columns="y"), frame["y"])]
    sources += [pl.read_csv(path)] if index != "levels" else []
    for source in sources:
        data = load_data(source, target=None if isinstance(source, tuple) else "y")
        assert columns(data) == ["a", "b"]
        assert data.notes[0].startswith("left out, as the index of a pandas frame: ")
    assert data.notes != ()
    assert reread.columns[: len(ROW_NAMES[index])].tolist() == ROW_NAMES[index]


def test_names_of_rows_stay_where_nothing_else_is_a_feature_and_where_they_are_wanted(frame):
    frame = frame.rename(columns={"a": "Unnamed: 0"})
    assert columns(load_data(frame[["Unnamed: 0", "y"]], target="y")) == ["Unnamed: 0"]
    assert columns(load_data(frame, target="y", ignore="Unnamed: 0")) == ["b"]
    assert columns(load_data(frame[["b", "Unnamed: 0", "y"]], target="y")) == ["b", "Unnamed: 0"]
    classes = frame.assign(**{"Unnamed: 0": [3, 4] * 6})
    assert columns(load_data(classes, target="Unnamed: 0", ignore="y")) == ["b"]
    # A run of an earlier version was trained on them, and finds them.
    state = Preprocessing.fit(load_data(frame[["Unnamed: 0", "y"]], target="y").train)
    assert state.prepare(load_rows(frame)).array.shape == (12, 1)


def test_a_folder_is_read_as_training_had_its_rows(frame, tmp_path):
    folder, wider = tmp_path / "folder", tmp_path / "wider"
    for place, rows in ((folder, frame), (wider, frame[["y", "b", "a"]].assign(more=1))):
        place.mkdir()
        rows.to_parquet(place / "0.parquet")
    frame.to_parquet(tmp_path / "t.parquet")
    for source in (tmp_path / "t.parquet", folder, frame):
        run = sp.train(data=source, target="y", hidden=[3], epochs=1, progress="none")
        expected = run.evaluate(frame)
        for rows in (tmp_path / "t.parquet", folder, wider):
            assert run.evaluate(rows).loss == pytest.approx(expected.loss, rel=1e-6)
            part = load_data(source, target="y", test=rows).test
            assert len(run.classifier.prepare(part)[0]) == 12


def test_as_a_target_it_is_refused_and_to_ignore_it_is_no_mistake(frame, tmp_path):
    path, folder = tmp_path / "t.parquet", tmp_path / "folder"
    folder.mkdir()
    frame.set_index("y").to_parquet(path)
    frame.set_index("y").to_parquet(folder / "0.parquet")
    for source in (path, folder):
        with pytest.raises(DataError) as error:
            load_data(source, target="y")
        assert str(error.value) == (
            f"{source}: 'y' (target) is no column, but the index of the pandas frame that was "
            "written there; write frame.reset_index() instead"
        )
        for index in ("named", "shuffled"):
            for place in (path, folder / "0.parquet"):
                INDICES[index](frame).to_parquet(place)
            name = "id" if index == "named" else "__index_level_0__"
            assert columns(load_data(source, target="y", ignore=[name])) == ["a", "b"]
        with pytest.raises(DataError, match=r"no column 'ab' \(ignore\)"):
            load_data(source, target="y", ignore=["ab"])
        for place in (path, folder / "0.parquet"):
            frame.set_index("y").to_parquet(place)


@pytest.mark.parametrize(
    "about",
    [
        b"",
        b"{",
        b"7",
        b"[]",
        b'{"index_columns": 3}',
        b'{"index_columns": [["a"], 7, null]}',
    ],
)
def test_metadata_of_others_name_no_index(frame, tmp_path, about):
    table = pa.Table.from_pandas(frame).replace_schema_metadata({b"pandas": about})
    pq.write_table(table, tmp_path / "t.parquet")
    assert columns(load_data(tmp_path / "t.parquet", target="y")) == ["a", "b"]


def test_a_run_that_learned_from_it_says_what_to_do(frame, tmp_path):
    preprocessing = Preprocessing.fit(load_data(frame, target="y").train)
    state = preprocessing.to_json()
    state = json.loads(json.dumps(state).replace('"a"', '"__index_level_0__"'))
    INDICES["shuffled"](frame).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError) as error:
        Preprocessing.from_json(state).prepare(load_rows(tmp_path / "t.parquet"))
    assert str(error.value) == (
        f"{tmp_path / 't.parquet'} has no column '__index_level_0__', the index of a pandas frame, "
        "which is not read any more: train again without it"
    )

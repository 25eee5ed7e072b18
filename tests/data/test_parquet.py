"""Folders of Parquet files: an array on disk where all is numbers, else a table."""

import numpy as np
import polars as pl
import pytest

import steepest as sp
from steepest.errors import DataError


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    columns = {f"x{i}": rng.normal(size=300) for i in range(3)}
    return pl.DataFrame(columns).with_columns(y=pl.Series([f"class {i % 3}" for i in range(300)]))


def parts(frame, folder):
    folder.mkdir()
    for i in range(3):
        frame[100 * i : 100 * (i + 1)].write_parquet(folder / f"{i}.parquet")
    return folder


def test_numbers_lie_on_disk_in_the_order_of_the_files(frame, tmp_path):
    data = sp.load_data(parts(frame, tmp_path / "parts"), target="y")
    assert isinstance(data.train.inputs, np.memmap)
    assert np.array_equal(data.train.inputs, frame.select("x0", "x1", "x2").to_numpy().astype("f"))
    assert data.train.labels.tolist() == frame["y"].to_list()
    assert "3 features of 300 rows lie in a temporary file of float32" in data.notes[0]


def test_a_column_can_be_ignored(frame, tmp_path):
    data = sp.load_data(parts(frame, tmp_path / "parts"), target="y", ignore=["x1"])
    assert data.train.inputs.shape == (300, 2)


def test_words_and_missing_values_make_it_a_table(frame, tmp_path):
    worded = frame.with_columns(word=pl.lit("a"))
    assert sp.load_data(parts(worded, tmp_path / "a"), target="y").train.inputs.equals(
        worded.drop("y")
    )
    lacking = frame.with_columns(x0=pl.when(pl.col("x0") > 0).then(pl.col("x0")))
    assert sp.load_data(parts(lacking, tmp_path / "b"), target="y").train.inputs.equals(
        lacking.drop("y")
    )


def test_it_trains_and_predicts(frame, tmp_path):
    folder = parts(frame, tmp_path / "parts")
    run = sp.train(None, folder, target="y", epochs=1, sampling="blocks", progress="none")
    assert run.classifier.predict_proba(folder).shape == (300, 3)
    assert run.evaluate(folder).rows == 300


def test_files_of_other_columns_are_refused(frame, tmp_path):
    folder = parts(frame, tmp_path / "parts")
    frame.rename({"x0": "z"}).write_parquet(folder / "9.parquet")
    with pytest.raises(DataError) as error:
        sp.load_data(folder, target="y")
    assert (
        str(error.value) == f"{folder / '9.parquet'} has other columns than {folder / '0.parquet'}"
    )


def test_a_damaged_file_is_named(frame, tmp_path):
    folder = parts(frame, tmp_path / "parts")
    path = folder / "1.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"1.parquet cannot be read as Parquet: "):
        sp.load_data(folder, target="y")


def test_what_does_not_fit_in_memory_is_refused_before_it_is_read(frame, tmp_path, monkeypatch):
    monkeypatch.setattr("steepest.data.memory.available_memory", lambda: 1000)
    path = tmp_path / "one.parquet"
    frame.write_parquet(path)
    with pytest.raises(DataError) as error:
        sp.load_data(path, target="y")
    assert str(error.value) == (
        f"{path} would take 0.0 GiB of memory, and 0.0 GiB are there; put its parts into a folder "
        "of Parquet files"
    )
    assert isinstance(
        sp.load_data(parts(frame, tmp_path / "p"), target="y").train.inputs, np.memmap
    )


def test_a_hidden_file_is_no_part_of_a_folder(tmp_path):
    pl.DataFrame({"a": [1.0, 2.0], "y": [0, 1]}).write_parquet(tmp_path / "1.parquet")
    (tmp_path / "._1.parquet").write_bytes(b"of macOS")
    assert len(sp.load_data(tmp_path, target="y").train) == 2

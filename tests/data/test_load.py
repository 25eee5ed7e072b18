"""load_data(): further parts, options that do not fit the source, and datasets of torch."""

import numpy as np
import polars as pl
import pytest
import torch
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import Subset

from steepest.data import Preprocessing, load_data, load_rows
from steepest.errors import DataError, TargetError

FRAME = pl.DataFrame({"id": [1, 2, 3, 4], "a": [1.0, 2.0, 3.0, 4.0], "y": ["n", "p", "n", "p"]})


def test_a_further_part_must_have_the_columns_of_training():
    with pytest.raises(DataError) as caught:
        load_data(FRAME, target="y", test=FRAME.drop("a"))
    assert str(caught.value) == "the frame (test) lacks columns of the frame: a"


def test_columns_that_training_lacks_are_left_out_with_a_note():
    data = load_data(FRAME.drop("id"), target="y", validation=FRAME)
    assert data.notes == ("validation: columns that training lacks are left out: id",)
    prepared = Preprocessing.fit(data.train).prepare(data.validation)
    assert prepared.array.shape == (4, 1)


def test_what_is_ignored_may_be_missing_in_a_further_part():
    data = load_data(FRAME, target="y", ignore="id", test=FRAME.drop("id"), validation=FRAME)
    assert data.train.inputs.columns == ["a"]
    assert data.notes == ()


def test_a_source_of_several_parts_is_no_single_part():
    whole = load_data((np.eye(4), [0, 1, 0, 1]), test=(np.eye(4), [0, 1, 0, 1]))
    with pytest.raises(DataError, match=r"has several parts; pass one: validation=load"):
        load_data((np.eye(4), [0, 1, 0, 1]), validation=whole)


def test_ignore_needs_named_columns_that_exist():
    with pytest.raises(DataError, match="has no named columns, so ignore cannot be used"):
        load_data((np.eye(3), [0, 1, 0]), ignore=["a"])
    with pytest.raises(DataError, match=r"no column 'idd' \(ignore\); did you mean 'id'\?"):
        load_data(FRAME, target="y", ignore=["idd"])
    with pytest.raises(DataError, match=r"X has no column 'idd' \(ignore\)"):
        load_data((FRAME, FRAME["y"]), ignore=["idd"])


@pytest.mark.parametrize("source", [7, {"x": 1}, None, object()])
def test_what_is_no_source_is_refused(source):
    with pytest.raises(DataError):
        load_data(source)


def test_inputs_need_rows_and_features():
    for inputs, message in (
        (np.zeros((0, 3)), r"has no rows: the inputs have the shape \(0, 3\)"),
        (np.zeros((2, 0)), r"has no features: the inputs have the shape \(2, 0\)"),
        (np.zeros(2), r"one feature is x.reshape\(-1, 1\)"),
    ):
        with pytest.raises(DataError, match=message):
            load_data((inputs, np.zeros(len(inputs))))
    with pytest.raises(DataError, match="has no features"):
        load_data(FRAME.select("y"), target="y")


@pytest.mark.parametrize(
    "labels",
    [
        ["a", None, "b", "a"],
        ["a", float("nan"), "b", "a"],
        [0.0, np.nan, 1.0, 0.0],
        pl.Series(["a", None, "b", "a"]),
        pl.Series([0, None, 1, 0]),
        torch.tensor([0.0, torch.nan, 1.0, 0.0]),
    ],
)
def test_missing_labels_are_refused_however_they_are_written(labels):
    with pytest.raises(TargetError, match="1 of 4 rows have no label, the first is row 1"):
        load_data((np.eye(4), labels))


def test_missing_labels_of_pandas_are_refused():
    pd = pytest.importorskip("pandas")
    for labels in (
        pd.Series([0, None, 1, 0], dtype="Int64"),
        pd.Series(["a", None, "b", "a"]),
        pd.Series(["a", None, "b", "a"], dtype="category"),
        pd.DataFrame({"y": ["a", None, "b", "a"]}),
    ):
        with pytest.raises(TargetError, match="1 of 4 rows have no label, the first is row 1"):
            load_data((np.eye(4), labels))


def test_few_fractional_labels_stay_the_numbers_that_they_are():
    assert load_data((np.eye(4), [0.5, 1.0, 0.5, 2.5])).train.labels.tolist() == [
        0.5,
        1.0,
        0.5,
        2.5,
    ]


def test_a_text_column_is_no_target():
    with pytest.raises(TargetError, match="a label has 2000 characters"):
        load_data(pl.DataFrame({"a": [1, 2], "y": ["x" * 2000, "y"]}), target="y")


class Squares(TorchDataset):
    """Items that are made when they are asked for, and count how often."""

    def __init__(self):
        self.asked = []

    def __len__(self):
        return 100

    def __getitem__(self, i):
        self.asked.append(i)
        return torch.tensor([i, i * i], dtype=torch.float32), i % 2


def test_a_subset_of_made_items_asks_for_its_own_items_alone():
    squares = Squares()
    data = load_data(Subset(squares, [5, 7, 8]))
    assert squares.asked == [5, 7, 8]
    assert data.train.inputs.tolist() == [[5, 25], [7, 49], [8, 64]]
    assert data.train.labels.tolist() == [1, 1, 0]
    assert "transforms" in data.notes[0]


def test_an_item_that_cannot_be_made_is_named():
    class Broken(Squares):
        def __getitem__(self, i):
            raise OSError("no such image")

    with pytest.raises(DataError, match=r"Broken: item 0 cannot be read: OSError\('no such image'"):
        load_data(Broken())


def test_rows_to_predict_are_not_searched_for_strays(tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("a,note\n" + "1,5\n" * 100 + "2,late\n")
    assert load_rows(path).inputs.shape == (101, 2)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0.0, np.inf, 1.0, 0.0], "the label of row 1 is inf, which is no class"),
        (np.full(4, 2**64 - 1, dtype=np.uint64), r"a label is above 2\*\*63"),
        (np.arange(40) / 7, "40 distinct values such as 0.142857, which is a quantity"),
        (np.arange(12) / 7, "12 distinct values such as 0.142857, which is a quantity"),
    ],
)
def test_numbers_that_are_no_classes_are_refused(labels, message):
    with pytest.raises(TargetError, match=message):
        load_data((np.eye(len(labels)), labels))


def test_a_frame_of_pandas_may_have_numbers_for_names_but_each_once():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame([[1.0, 2.0, 0], [3.0, 4.0, 1]])
    data = load_data(frame, target=2, ignore=[0])
    assert data.train.inputs.columns == ["1"]
    frame.columns = ["a", "a", "y"]
    with pytest.raises(DataError, match="the frame cannot be read: Expected unique column names"):
        load_data(frame, target="y")


def test_a_part_of_an_npz_file_without_its_labels_is_named(tmp_path):
    path = tmp_path / "parts.npz"
    np.savez(path, x_train=np.eye(4), y_train=[0, 1, 0, 1], x_test=np.eye(4))
    with pytest.raises(DataError, match=r"parts.npz has the array x_test, but no y_test"):
        load_data(path)


def save_images(folder, size=(4, 6)):
    from PIL import Image

    folder.mkdir(parents=True)
    for i in range(2):
        Image.new("RGB", size, (i, 2, 3)).save(folder / f"{i}.png")


def test_images_are_resized_to_height_and_width(tmp_path):
    save_images(tmp_path / "cat")
    save_images(tmp_path / "dog", size=(9, 9))
    assert load_data(tmp_path, image_size=(8, 5)).train.inputs.shape == (4, 3, 8, 5)
    with pytest.raises(DataError, match=r"image_size must be a number of pixels or \(height, wid"):
        load_data(tmp_path, image_size=(0, 5))


def test_pictures_of_trains_are_a_class_and_no_part(tmp_path):
    save_images(tmp_path / "train")
    save_images(tmp_path / "car")
    assert load_data(tmp_path).train.labels.tolist() == ["car", "car", "train", "train"]


def test_an_image_of_enormous_size_is_refused(tmp_path, monkeypatch):
    from PIL import Image

    save_images(tmp_path / "cat")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # Pillow only warns below twice of this
    with pytest.raises(DataError, match=r"0\.png cannot be read as an image: .*decompression bomb"):
        load_data(tmp_path)

"""IDX files in torchvision's layout, folders of images, and data sets by name."""

import gzip
import struct

import numpy as np
import pytest
from PIL import Image

from steepest.data import Preprocessing, load_data
from steepest.data.sources import named
from steepest.errors import DataError

IMAGES = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
LABELS = np.array([0, 1, 2, 1, 0], dtype=np.uint8)


def idx_bytes(array):
    header = struct.pack(">I", 0x0800 + array.ndim)
    return header + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(folder, *, zipped=False, parts=("train", "t10k")):
    folder.mkdir(parents=True, exist_ok=True)
    for part in parts:
        for name, array in (("images-idx3", IMAGES), ("labels-idx1", LABELS)):
            content = idx_bytes(array)
            path = folder / f"{part}-{name}-ubyte{'.gz' if zipped else ''}"
            path.write_bytes(gzip.compress(content) if zipped else content)
    return folder


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("inside", [".", "MNIST", "MNIST/raw"])
def test_torchvisions_layout_is_read_from_the_root_or_the_folder_itself(tmp_path, zipped, inside):
    write_idx(tmp_path / "MNIST" / "raw", zipped=zipped)
    data = load_data(tmp_path / inside)
    assert np.array_equal(data.train.inputs[:, 0], IMAGES)
    assert data.train.inputs.dtype == np.uint8
    assert data.test.labels.tolist() == LABELS.tolist()
    assert isinstance(data.train.inputs, np.memmap) != zipped
    assert np.allclose(
        Preprocessing.fit(data.train).prepare(data.train).block(0, 5)[:, 0], IMAGES / 255
    )


def test_one_file_of_images_finds_its_labels(tmp_path):
    folder = write_idx(tmp_path)
    assert len(load_data(folder / "train-images-idx3-ubyte").train) == 5
    (folder / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="needs its labels beside it, in train-labels-idx1-ubyte"):
        load_data(folder / "train-images-idx3-ubyte")


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda b: b[:-7],
            "is truncated: its header promises 60 bytes for the shape (5, 4, 3), but",
        ),
        (lambda b: b[:9], "is truncated: an IDX header has 16 bytes, but there are 9"),
        (lambda b: b + b"xx", "is too long: its header promises 60 bytes"),
        (
            lambda b: b"\x00\x00\x08\x01" + b[4:],
            "has the wrong magic number 0x00000801; a file of IDX images begins with 0x00000803",
        ),
        (lambda b: b[:4] + b"\xff" * 12 + b[16:], "is truncated: its header promises 7922816"),
    ],
)
def test_a_damaged_idx_file_is_refused(tmp_path, zipped, change, message):
    folder = write_idx(tmp_path)
    content = change(idx_bytes(IMAGES))
    path = folder / "train-images-idx3-ubyte"
    if zipped:
        path.unlink()
        path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(DataError) as error:
        load_data(folder)
    assert str(error.value).startswith(f"{path} {message}")


def test_a_damaged_gzip_file_is_refused(tmp_path):
    folder = write_idx(tmp_path, zipped=True)
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError, match="is a damaged gzip file"):
        load_data(folder)


def test_as_many_labels_as_images_are_needed(tmp_path):
    folder = write_idx(tmp_path)
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS[:4]))
    with pytest.raises(DataError, match=r"has 5 images, but .* has 4 labels"):
        load_data(folder)


def write_images(folder, *, size=(6, 4), mode="RGB", ending="png", classes=("cat", "dog"), count=3):
    rng = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i in range(count):
            shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
            pixels = rng.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(pixels, mode).save(folder / name / f"{i}.{ending}")
    return folder


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1)])
@pytest.mark.parametrize("ending", ["png", "jpg"])
@pytest.mark.filterwarnings("ignore:'mode' parameter")
def test_a_folder_for_each_class_is_read(tmp_path, mode, channels, ending):
    train = load_data(write_images(tmp_path / "pets", mode=mode, ending=ending)).train
    assert train.inputs.shape == (6, channels, 4, 6)
    assert train.inputs.dtype == np.uint8
    assert train.labels.tolist() == ["cat"] * 3 + ["dog"] * 3
    with (
        Image.open(tmp_path / "pets" / "dog" / "1.png")
        if ending == "png"
        else Image.open(tmp_path / "pets" / "dog" / "1.jpg") as image
    ):
        expected = np.asarray(image).reshape(4, 6, channels)
    assert np.array_equal(train.inputs[4].transpose(1, 2, 0), expected)


@pytest.mark.filterwarnings("ignore:'mode' parameter")
def test_train_and_test_folders_are_parts(tmp_path):
    for part in ("train", "val", "test"):
        write_images(tmp_path / part)
    data = load_data(tmp_path)
    assert {name: len(part) for name, part in data.parts()} == {
        "train": 6,
        "validation": 6,
        "test": 6,
    }


@pytest.mark.filterwarnings("ignore:'mode' parameter")
def test_images_of_two_sizes_are_made_squares_and_a_note_says_so(tmp_path):
    write_images(tmp_path, classes=("a",))
    write_images(tmp_path, classes=("b",), size=(9, 9))
    data = load_data(tmp_path)
    assert data.train.inputs.shape == (6, 3, 7, 7)  # the median of three 4.9 and three 9
    assert data.notes == (
        "the images have 2 sizes, 6 x 4 to 9 x 9 pixels, and are resized to 7 x 7: image_size sets "
        "another",
    )
    assert load_data(tmp_path, image_size=8).train.inputs.shape == (6, 3, 8, 8)


def test_parts_are_resized_as_the_training_part(tmp_path):
    write_images(tmp_path / "train", classes=("a", "b"))
    write_images(tmp_path / "train", classes=("c",), size=(100, 200))
    write_images(tmp_path / "test", classes=("a", "b"), size=(9, 9))
    write_images(tmp_path / "more", classes=("a", "b"), size=(30, 30))
    data = load_data(tmp_path, validation=tmp_path / "more")
    side = data.train.inputs.shape[-1]
    assert {part.inputs.shape[2:] for _, part in data.parts()} == {(side, side)}


@pytest.mark.filterwarnings("ignore:'mode' parameter")
def test_a_file_that_is_no_image_is_named(tmp_path):
    folder = write_images(tmp_path)
    (folder / "cat" / "9.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"cat/9.png cannot be read as an image"):
        load_data(folder)


def test_an_empty_class_folder_and_an_empty_folder_are_named(tmp_path):
    with pytest.raises(DataError, match="holds no data: a folder for each class"):
        load_data(tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match="cat holds no images"):
        load_data(tmp_path)


@pytest.mark.parametrize(
    ("name", "rows", "shape", "classes"),
    [
        ("digits", 1797, (64,), 10),
        ("iris", 150, (4,), 3),
        ("wine", 178, (13,), 3),
        ("breast_cancer", 569, (30,), 2),
        ("breast-cancer", 569, (30,), 2),
    ],
)
def test_scikit_learns_sets_come_by_name(name, rows, shape, classes):
    train = load_data(name).train
    assert train.inputs.shape == (rows, *shape)
    assert len(train.class_names) == classes


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "Fashion-MNIST"])
def test_mnist_is_found_where_torchvision_puts_it(tmp_path, monkeypatch, name):
    folder = "MNIST" if name == "mnist" else "FashionMNIST"
    write_idx(tmp_path / folder / "raw")
    assert len(load_data(name, root=tmp_path).train) == 5
    monkeypatch.setenv("STEEPEST_DATA", str(tmp_path))
    assert load_data(name).train.class_names[0] == ("0" if name == "mnist" else "T-shirt/top")


def test_where_it_is_absent_the_message_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(named, "_DEBIAN", tmp_path / "nowhere")
    with pytest.raises(DataError) as error:
        load_data("fashion-mnist")
    message = str(error.value)
    assert message.startswith("fashion-mnist is not on this machine (looked in datasets/Fashion")
    assert "install Debian's package dataset-fashion-mnist" in message
    assert "torchvision.datasets.FashionMNIST('datasets', download=True)" in message


def test_an_unknown_name_is_met_with_the_nearest():
    with pytest.raises(DataError) as error:
        load_data("digit")
    assert str(error.value) == "there is no file or data set 'digit'; did you mean 'digits'?"


@pytest.mark.skipif(not named._DEBIAN.exists(), reason="Debian's dataset-fashion-mnist is not here")
def test_debians_fashion_mnist_is_found():
    data = load_data("fashion-mnist")
    assert data.train.inputs.shape == (60_000, 1, 28, 28)
    assert np.bincount(data.test.labels).tolist() == [1000] * 10


@pytest.mark.filterwarnings("ignore:'mode' parameter")
@pytest.mark.parametrize("inside", [".", "train"])
def test_what_is_hidden_is_no_class_and_no_image(tmp_path, inside):
    folder = write_images(tmp_path / inside, count=2)
    expected = load_data(tmp_path).train
    write_images(folder / "cat", classes=(".thumbnails", "__MACOSX", "@eaDir"), size=(2, 2))
    write_images(folder, classes=(".cache", "__MACOSX", "@eaDir", "$RECYCLE.BIN"), size=(2, 2))
    write_images(tmp_path / ".train", classes=("dog",), size=(2, 2))
    for name in ("._0.png", ".0.png"):
        (folder / "dog" / name).write_bytes(b"no picture")
    found = load_data(tmp_path).train
    assert found.labels.tolist() == expected.labels.tolist()
    assert np.array_equal(found.inputs, expected.inputs)


def test_hidden_folders_of_idx_files_are_not_taken(tmp_path):
    write_idx(tmp_path / ".old" / "raw")
    with pytest.raises(DataError, match="holds no data"):
        load_data(tmp_path)

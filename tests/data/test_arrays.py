"""Arrays, tensors, NPZ and NPY files: what is accepted, shared, mapped and refused."""

import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from steepest.data import Preprocessing, Samples, load_data, load_rows
from steepest.errors import DataError, TargetError

X = np.arange(12, dtype=np.float32).reshape(6, 2)
Y = np.array([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize(
    "labels",
    [
        Y,
        Y.tolist(),
        Y.astype(float),
        Y.astype(">i4"),
        Y[:, None],
        Y.astype(object),
        torch.tensor(Y),
        np.eye(3)[Y],
        torch.eye(3)[torch.tensor(Y)],
    ],
    ids=lambda labels: type(labels).__name__,
)
def test_class_indices_and_one_hot_rows_are_the_same_labels(labels):
    found = load_data((X, labels)).train.labels
    assert found.dtype == np.int64
    assert found.tolist() == Y.tolist()


def test_strings_and_booleans_are_kept_as_labels():
    assert load_data((X, list("abcabc"))).train.labels.tolist() == list("abcabc")
    assert load_data((X, np.array(list("abcabc"), dtype=object))).train.labels.tolist() == list(
        "abcabc"
    )
    assert load_data((X, Y > 0)).train.labels.tolist() == (Y > 0).tolist()


@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [
        (X, Y[:5], "(X, y): 6 rows of inputs, but 5 labels"),
        (X, [0, 1, None, 0, 1, 2], "(X, y): 1 of 6 rows have no label, the first is row 2; leave"),
        (
            X,
            [0.0, 1, np.nan, 0, 1, np.nan],
            "(X, y): 2 of 6 rows have no label, the first is row 2",
        ),
        (X, np.full((6, 3), 0.5), "must be rows of 0 and 1, but row 0 is [0.5, 0.5, 0.5]"),
        (X, np.zeros((6, 2, 2)), "the labels must be (N,) or one-hot (N, C), not (6, 2, 2)"),
        (X, ["a", 1, 2, 3, 4, 5], "labels must be of one kind, but are of the kinds int, str"),
        ([[1, 2], [3]], [0, 1], "rows of one length are needed"),
        ([["a", "b"]], [0], "an array of numbers is needed"),
        (np.empty((0, 2)), [], "(X, y) has no rows"),
    ],
)
def test_what_does_not_fit_is_refused(inputs, labels, message):
    with pytest.raises(DataError) as error:
        load_data((inputs, labels))
    assert message in str(error.value)


def test_a_sparse_matrix_is_refused_with_the_way_out():
    from scipy.sparse import csr_matrix

    with pytest.raises(DataError, match=r"is a sparse matrix; pass X.toarray\(\)"):
        load_data((csr_matrix(X), Y))


@pytest.mark.parametrize(
    "inputs",
    [
        X.astype(np.float64),
        X.astype(">f4"),
        X.astype(np.float16),
        X.astype(np.int32),
        np.asfortranarray(X),
        np.repeat(X, 2, axis=0)[::2],
        X.astype(object),
        X.tolist(),
        torch.tensor(X, requires_grad=True),
        torch.tensor(X).bfloat16(),
    ],
    ids=lambda inputs: str(getattr(inputs, "dtype", type(inputs).__name__)),
)
def test_any_numeric_layout_gives_the_same_prepared_rows(inputs):
    expected = (
        Preprocessing.fit(load_data((X, Y)).train).prepare(load_data((X, Y)).train).block(0, 6)
    )
    train = load_data((inputs, Y)).train
    found = Preprocessing.fit(train).prepare(train).block(0, 6)
    assert np.allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32


def test_bytes_and_single_precision_are_not_copied():
    for array in (X, np.arange(12, dtype=np.uint8).reshape(6, 2), torch.tensor(X)):
        train = load_data((array, Y)).train
        inputs = Preprocessing.fit(train).prepare(train)
        base = array.numpy() if isinstance(array, torch.Tensor) else array
        assert np.shares_memory(inputs.array, base)


def test_whole_numbers_stay_whole_where_nothing_is_scaled():
    tokens = np.array([[1, 5], [7, 2], [3, 3]])
    train = load_data((tokens, [0, 1, 0])).train
    inputs = Preprocessing.fit(train, "none", integers=True).prepare(train)
    assert inputs.array.dtype == np.int64


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_with_their_place(bad):
    x = X.copy()
    x[3, 1] = x[5, 0] = bad
    with pytest.raises(DataError) as error:
        Preprocessing.fit(load_data((x, Y)).train)
    assert str(error.value) == (
        f"(X, y): row 3, column 1 is {bad}, one of 2 values that are not finite; fill or drop them, "
        "or pass a data frame, whose missing values are encoded"
    )
    good = Preprocessing.fit(load_data((X, Y)).train)
    with pytest.raises(DataError, match="row 3, column 1"):
        good.prepare(load_data((x, Y)).train)


def test_rows_of_another_shape_are_refused():
    fitted = Preprocessing.fit(load_data((X, Y)).train)
    with pytest.raises(DataError, match=r"has rows of shape \(1,\), but training had \(2,\)"):
        fitted.prepare(load_data((X[:, :1], Y)).train)


def test_npy_files_are_memory_mapped(tmp_path):
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", Y)
    for data in (
        load_data(tmp_path / "X.npy", target=str(tmp_path / "y.npy")),
        load_data((tmp_path / "X.npy", tmp_path / "y.npy")),
    ):
        assert isinstance(data.train.inputs, np.memmap)
        assert isinstance(Preprocessing.fit(data.train).prepare(data.train).array, np.memmap)
        assert np.array_equal(data.train.inputs, X)
        assert data.train.labels.tolist() == Y.tolist()


@pytest.mark.parametrize("order", ["C", "F"])
def test_npz_members_stored_plainly_are_memory_mapped(tmp_path, order):
    array = np.asarray(X, order=order)
    np.savez(tmp_path / "t.npz", X=array, y=Y)
    np.savez_compressed(tmp_path / "z.npz", X=array, y=Y)
    plain, zipped = load_data(tmp_path / "t.npz").train, load_data(tmp_path / "z.npz").train
    assert np.array_equal(plain.inputs, X)
    assert np.array_equal(zipped.inputs, X)
    assert isinstance(plain.inputs, np.memmap)
    assert not isinstance(zipped.inputs, np.memmap)


@pytest.mark.parametrize(
    "names",
    [("x_train", "y_train", "x_test", "y_test"), ("X_train", "y_train", "X_test", "y_test")],
)
def test_npz_parts_are_found_by_name(tmp_path, names):
    arrays = dict(zip(names, (X[:4], Y[:4], X[4:], Y[4:]), strict=True))
    np.savez(tmp_path / "t.npz", **arrays)
    data = load_data(tmp_path / "t.npz")
    assert np.array_equal(data.train.inputs, X[:4])
    assert data.test.labels.tolist() == Y[4:].tolist()


def test_npz_masks_and_class_names_are_used(tmp_path):
    mask = np.array([False, True, False, False, False, True])
    np.savez(tmp_path / "t.npz", images=X, target=Y, classes=["a", "b", "c"], is_test=mask)
    data = load_data(tmp_path / "t.npz")
    assert (len(data.train), len(data.test)) == (4, 2)
    assert data.train.class_names == ("a", "b", "c")
    assert data.test.labels.tolist() == Y[mask].tolist()


def test_npz_with_other_names_lists_them(tmp_path):
    np.savez(tmp_path / "t.npz", foo=X, bar=Y)
    with pytest.raises(DataError, match="has the arrays foo, bar; steepest looks for X and y"):
        load_data(tmp_path / "t.npz")
    np.savez(tmp_path / "t.npz", X=X, bar=Y)
    assert load_data(tmp_path / "t.npz", target="bar").train.labels.tolist() == Y.tolist()
    with pytest.raises(DataError, match=r"has no array 'baz'; did you mean 'bar'\?"):
        load_data(tmp_path / "t.npz", target="baz")


class Explosive:
    """What a hostile pickle would hold."""

    def __reduce__(self):
        return (pytest.fail, ("code from a file was run",))


@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_pickled_objects_are_never_loaded(tmp_path, ending):
    array = np.array([Explosive()] * 2, dtype=object)
    path = tmp_path / f"t.{ending}"
    if ending == "npy":
        np.save(path, array, allow_pickle=True)
    else:
        np.savez(path, X=array, y=np.array([0, 1]))
    with pytest.raises(DataError, match="holds pickled objects, which can run code"):
        load_data(path, target=None if ending == "npz" else str(path))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"\x93NUMPY\x01\x00"])
@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_damaged_files_are_refused(tmp_path, content, ending):
    path = tmp_path / f"t.{ending}"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"t.{ending}"):
        load_data(path, target=str(path) if ending == "npy" else None)


def test_a_truncated_member_is_refused(tmp_path):
    np.savez(tmp_path / "t.npz", X=X, y=Y)
    with zipfile.ZipFile(tmp_path / "t.npz") as archive:
        header = archive.read("X.npy")[:-8]
    with zipfile.ZipFile(tmp_path / "cut.npz", "w") as archive:
        archive.writestr("X.npy", header.replace(b"(6, 2)", b"(9999, 2)"))
        archive.writestr("y.npy", b"")
    with pytest.raises(DataError, match=r"cut.npz cannot be read"):
        load_data(tmp_path / "cut.npz")


@pytest.mark.parametrize("wrap", [lambda x: x, list, lambda x: Samples(x, Y, "mine")])
def test_masked_values_are_refused_with_their_place_and_none_is_as_plain(wrap):
    masked = np.ma.masked_array(X.copy(), np.zeros_like(X, dtype=bool))
    found = load_rows(wrap(masked)).inputs
    assert type(found) is np.ndarray
    assert np.array_equal(found, X)
    masked[3, 1] = masked[4, 0] = np.ma.masked
    with pytest.raises(DataError, match=r"row 3, column 1 is masked, one of 2 masked values; fill"):
        load_rows(wrap(masked))


@pytest.mark.parametrize("wrap", [lambda y: y, list, lambda y: y[:, None]])
def test_masked_labels_are_missing_labels(wrap):
    labels = np.ma.masked_array(Y, [0, 0, 1, 0, 0, 0])
    with pytest.raises(TargetError, match="1 of 6 rows have no label, the first is row 2"):
        load_data((X, wrap(labels)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": np.array([0, -1])}, "mine: rows must be numbers of rows, from 0 to 5"),
        ({"rows": np.array([0, 6])}, "mine: rows must be numbers of rows, from 0 to 5"),
        ({"labels": [0, 1]}, "mine: 6 rows of inputs, but 2 labels"),
        ({"inputs": [[1], [1, 2]]}, "mine: rows of one length are needed"),
    ],
)
def test_samples_of_ones_own_are_checked(change, message):
    with pytest.raises(DataError, match=message):
        load_data(replace(Samples(X, Y, "mine"), **change))


def test_labels_alone_are_missing_labels():
    with pytest.raises(TargetError, match="6 of 6 rows have no label, the first is row 0"):
        load_data((X, [None] * 6))

"""torch's datasets: read as they lie where that is what their items are, else item by item."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
)

from steepest.data import load_data, load_rows
from steepest.errors import DataError

X = np.arange(12, dtype=np.float32).reshape(6, 2)
Y = np.array([0, 1, 2, 0, 1, 2])


class FakeVision(Dataset):
    """As torchvision's datasets look from outside: items are Pillow images."""

    def __init__(self, data, targets, transform=None, classes=None):
        self.data, self.targets, self.transform = data, targets, transform
        self.target_transform = None
        if classes:
            self.classes = classes

    def __len__(self):
        return len(self.data)

    def __getitem__(self, i):
        x, y = Image.fromarray(np.asarray(self.data[i])), int(self.targets[i])
        x = self.transform(x) if self.transform else x
        return x, self.target_transform(y) if self.target_transform else y


class ToTensor:
    """torchvision's, by name and module."""

    def __call__(self, x):
        pixels = torch.from_numpy(np.array(x)).reshape(x.height, x.width, -1)
        return pixels.permute(2, 0, 1).float().div(255)


def of_torchvision(kind, module, name):
    kind.__module__, kind.__name__ = f"torchvision.{module}", name
    return kind


ToTensor = of_torchvision(ToTensor, "transforms.transforms", "ToTensor")
MNIST = of_torchvision(type("MNIST", (FakeVision,), {}), "datasets.mnist", "MNIST")
CIFAR10 = of_torchvision(type("CIFAR10", (FakeVision,), {}), "datasets.cifar", "CIFAR10")
GREY = torch.arange(6 * 4 * 5, dtype=torch.uint8).reshape(6, 4, 5)
COLOUR = np.arange(6 * 4 * 5 * 3, dtype=np.uint8).reshape(6, 4, 5, 3)


def items(dataset):
    """What a loop over the items sees, as arrays."""
    xs, ys = zip(*(dataset[i] for i in range(len(dataset))), strict=True)
    rows = [np.asarray(x) for x in xs]
    if hasattr(xs[0], "getbands"):
        rows = [np.moveaxis(np.atleast_3d(x), -1, 0) for x in rows]
    return np.stack(rows), [int(y) for y in ys]


@pytest.mark.parametrize("kind", [MNIST, CIFAR10])
@pytest.mark.parametrize("transform", [None, ToTensor()])
def test_pictures_of_torchvision_are_taken_as_they_lie(kind, transform):
    dataset = kind(GREY if kind is MNIST else COLOUR, torch.tensor(Y), transform, ["a", "b", "c"])
    data = load_data(dataset)
    expected, _ = items(dataset)
    assert data.train.inputs.dtype == expected.dtype
    assert np.array_equal(data.train.inputs, expected)
    assert data.notes == ()
    assert data.train.class_names == ("a", "b", "c")
    if kind is MNIST and transform is None:
        assert np.shares_memory(data.train.inputs, GREY.numpy())


def test_transforms_that_are_set_later_are_applied_once_and_said():
    dataset = MNIST(GREY, Y, classes=["a", "b", "c"])
    dataset.transform = lambda x: torch.from_numpy(np.array(x)).float() / 2
    dataset.target_transform = lambda y: 2 - y
    data = load_data(Subset(Subset(dataset, [5, 0]), [1]))
    assert np.array_equal(data.train.inputs, GREY[:1].numpy() / 2)
    assert data.train.labels.tolist() == [2]
    assert data.train.class_names is None  # they are the names of other indices
    assert data.notes == (
        "Subset was read once into memory; random transforms are as that reading drew them",
    )


class Doubled(TensorDataset):
    def __getitem__(self, i):
        x, y = super().__getitem__(i)
        return 2 * x, 2 - y


class Short(TensorDataset):
    def __len__(self):
        return 4


class Shifted(Subset):
    def __getitem__(self, i):
        x, y = super().__getitem__(i)
        return x + 1, y

    def __getitems__(self, indices):
        return [self[i] for i in indices]


class DoubledAtOnce(TensorDataset):
    def __getitems__(self, indices):
        return [(2 * x, 2 - y) for x, y in map(self.__getitem__, indices)]


class Batches(TensorDataset):
    def __getitems__(self, indices):
        return self[indices]


class Own(Dataset):
    """Holds data and targets, as torchvision's do, and makes something of them."""

    def __init__(self):
        self.data, self.targets = torch.arange(90).reshape(6, 1, 5, 3).byte(), torch.tensor(Y)

    def __len__(self):
        return 5

    def __getitem__(self, i):
        return self.data[i] + 1, 2 - self.targets[i]


class MyDigits(MNIST):
    def __getitem__(self, i):
        x, y = super().__getitem__(i)
        return np.asarray(x)[None] // 2, y % 2


PAIRS = (torch.tensor(X), torch.tensor(Y))


@pytest.mark.parametrize(
    "dataset",
    [
        Doubled(*PAIRS),
        Short(*PAIRS),
        Batches(*PAIRS),
        Subset(Doubled(*PAIRS), [4, 1]),
        Subset(Subset(Short(*PAIRS), [3, 2]), [1]),
        Shifted(TensorDataset(*PAIRS), [5, 1]),
        ConcatDataset([Doubled(*PAIRS), TensorDataset(*PAIRS)]),
        Subset(TensorDataset(*PAIRS), [-1, 0]),
        Own(),
        Subset(Own(), range(3)),
        MyDigits(GREY, Y),
        MNIST(GREY[:, None, 0], Y, lambda x: np.asarray(x)[None]),
    ],
    ids=lambda dataset: type(dataset).__name__,
)
def test_what_a_dataset_gives_is_what_its_items_are(dataset):
    train = load_data(dataset).train
    inputs, labels = items(dataset)
    found = train.inputs if train.rows is None else train.inputs[train.rows]
    assert found.shape == inputs.shape
    assert np.array_equal(found, inputs)
    assert train.labels.tolist() == labels


@pytest.mark.parametrize("dataset", [DoubledAtOnce(*PAIRS), Subset(DoubledAtOnce(*PAIRS), [4, 1])])
def test_items_that_a_dataset_gives_at_once_are_those_of_a_loader(dataset):
    train = load_data(dataset).train
    x, y = next(iter(DataLoader(dataset, batch_size=len(dataset))))
    assert np.array_equal(train.inputs, x)
    assert train.labels.tolist() == y.tolist()


def test_subsets_and_tensor_datasets_share_their_rows():
    whole = TensorDataset(torch.tensor(X), torch.tensor(Y))
    train = load_data(Subset(Subset(whole, [5, 3, 1]), [0, 2])).train
    assert train.labels.tolist() == [2, 1]
    assert train.rows.tolist() == [5, 1]
    assert np.shares_memory(train.inputs, whole.tensors[0].numpy())


def test_loaders_and_iterable_datasets_are_refused():
    whole = TensorDataset(torch.tensor(X), torch.tensor(Y))
    with pytest.raises(DataError, match=r"this is a DataLoader; pass loader.dataset"):
        load_data(DataLoader(whole))

    class Stream(IterableDataset):
        def __iter__(self):
            return iter(whole)

    with pytest.raises(DataError, match="Stream has no length or cannot be indexed"):
        load_data(Stream())


class Items(Dataset):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


ROW = torch.zeros(2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([ROW], "item 0 must be (x, y), but is a Tensor"),
        ([(ROW, 0, 0)], "item 0 must be (x, y), but is a tuple of 3; wrap the dataset"),
        ([{"x": ROW, "y": 0}], "item 0 must be (x, y), but is a dict with the keys x, y"),
        ([(ROW, 0), (torch.zeros(3), 1)], "item 1 has the shape (3,), but item 0 has (2,)"),
        ([((ROW, torch.zeros(3)), 0)], "item 0: rows of one length are needed"),
        ([("a cat", 0)], "item 0: an array of numbers is needed, not of <U5"),
        ([(ROW, [0, 1]), (ROW, [0])], "labels of one length are needed"),
        ([(ROW, {"box": 1})], "labels must be integers, strings or booleans, not dict"),
        ([(ROW, None), (ROW, 1)], "1 of 2 rows have no label, the first is row 0"),
        ([(ROW, Image.new("L", (3, 4)))], "the labels must be (N,) or one-hot (N, C), not (1, 4"),
        ([(np.ma.masked_array(X[0], [0, 1]), 0)], "item 0: row 1 is masked"),
        (
            [(ROW.to("meta"), 0)],
            "a tensor of torch.float32 cannot be read: Cannot copy out of meta",
        ),
    ],
)
def test_items_that_are_no_pairs_of_numbers_and_classes_are_refused(given, message):
    with pytest.raises(DataError) as caught:
        load_data(Items(given))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "labels",
    [
        [np.int64(1), torch.tensor(0)],
        [torch.tensor([1.0]), torch.tensor([0.0])],
        [torch.eye(2)[1], torch.eye(2)[0]],
        [np.float32(1), 0],
    ],
)
def test_labels_of_items_may_be_scalars_of_any_kind_or_one_hot(labels):
    assert load_data(Items([(ROW, y) for y in labels])).train.labels.tolist() == [1, 0]


def test_labels_of_items_may_be_arrays_without_dimensions_of_words():
    words = [(ROW, np.array("cat")), (ROW, np.array("dog"))]
    assert load_data(Items(words)).train.labels.tolist() == ["cat", "dog"]


def test_a_subset_has_the_class_names_of_its_dataset():
    dataset = Items([(ROW, 0), (ROW, 1)])
    dataset.classes = ["cat", "dog"]
    assert load_data(Subset(dataset, [1, 0])).train.class_names == ("cat", "dog")
    dataset.classes = 2
    assert load_data(Subset(dataset, [1, 0])).train.class_names is None


def test_items_without_labels_are_rows_to_predict():
    for dataset in (TensorDataset(torch.tensor(X)), Items(list(torch.tensor(X)))):
        rows = load_rows(dataset)
        assert rows.labels is None
        assert np.array_equal(rows.inputs, X)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"data": 1, "y": 2}, "cannot load a dict with the keys 'data', 'y'; pass (X, y) of two"),
        (Items, "cannot load the class Items; pass an object of it"),
        ((x for x in "ab"), "cannot load a generator; pass a path, a name, (X, y)"),
        (Subset(TensorDataset(*PAIRS), [6]), "Subset: its indices do not fit its dataset: index 6"),
        (Subset(TensorDataset(*PAIRS), []), "Subset has no items"),
    ],
)
def test_what_is_no_dataset_is_named(source, message):
    with pytest.raises(DataError) as caught:
        load_data(source)
    assert message in str(caught.value)

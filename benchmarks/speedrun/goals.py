"""What is to be reached, and the recipe that reaches it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Entry:
    """A recipe: AdamW, a learning rate that grows for a share of the steps and falls by a cosine.

    Attributes:
        epochs: Passes over all training images; the same for every seed.
        lr: The largest learning rate.
        channels: Of the stages of a convolutional net, () for a dense one.
        hidden: Units of the hidden layers of a dense net.
        warmup: Share of the steps in which the learning rate grows.
        shift: Pixels by which images move at random.
        flip: Whether half of the images are mirrored.
    """

    epochs: int
    batch_size: int
    lr: float
    channels: tuple[int, ...] = ()
    hidden: tuple[int, ...] = ()
    weight_decay: float = 0.05
    warmup: float = 0.2
    label_smoothing: float = 0.1
    shift: int = 0
    flip: bool = False


@dataclass(frozen=True)
class Goal:
    """An accuracy on the test images that the mean over the seeds must reach.

    Attributes:
        data: Name of the data set.
        accuracy: Of the test images.
        entry: The recipe of every contestant that has none of its own.
        own: Those of contestants that are quicker with another one.
    """

    data: str
    accuracy: float
    entry: Entry
    own: dict[str, Entry] = field(default_factory=dict)

    def entry_of(self, contestant: str) -> Entry:
        """The recipe of this contestant."""
        return self.own.get(contestant, self.entry)


_DENSE = Entry(3, 128, 3e-3, hidden=(256,), weight_decay=0.02, label_smoothing=0.0)
_NET = Entry(3, 128, 0.015, channels=(12, 24, 48))
_WIDER = replace(_NET, lr=0.012, channels=(20, 40, 80), shift=1)

GOALS = {
    "mnist-98-dense": Goal("mnist", 0.98, _DENSE),
    "mnist-98.5-dense": Goal("mnist", 0.985, replace(_DENSE, epochs=10, hidden=(512,), shift=1)),
    "mnist-99": Goal("mnist", 0.99, _NET),
    "mnist-99.4": Goal("mnist", 0.994, replace(_WIDER, epochs=8)),
    "fashion-91": Goal("fashion_mnist", 0.91, _NET),
    "fashion-93": Goal("fashion_mnist", 0.93, replace(_WIDER, epochs=15)),
}


def chosen(names: str | None) -> Sequence[str]:
    """The names of the goals asked for, `a,b`, or all.

    Raises:
        SystemExit: There is no such goal.
    """
    picked = names.split(",") if names else [*GOALS]
    if unknown := [name for name in picked if name not in GOALS]:
        raise SystemExit(f"there is no goal {unknown[0]}; there are {', '.join(GOALS)}")
    return picked

"""steepest as its users call it: one sp.train."""

from typing import Any

import steepest as sp
from speedrun.contestants import Images, Labels, Predict, Sizes, Train
from speedrun.goals import Entry


def steepest(entry: Entry, sizes: Sizes, threads: int) -> Train:
    """sp.train without a validation part; the checks around a training are off."""
    settings: dict[str, Any] = {
        "channels": entry.channels,
        "hidden": () if entry.channels else entry.hidden,
        "residual": bool(entry.channels),
        "shift": entry.shift,
        "flip": entry.flip,
    }

    def train(images: Images, labels: Labels, seed: int) -> Predict:
        recipe = sp.Recipe(
            optimizer="adamw",
            lr=entry.lr,
            weight_decay=entry.weight_decay,
            schedule="cosine",
            warmup=entry.warmup,
            label_smoothing=entry.label_smoothing,
            batch_norm=True,
            epochs=entry.epochs,
            batch_size=entry.batch_size,
            validation=0.0,
            check=False,
            watch=False,
            seed=seed,
            threads=threads,
            **{name: value for name, value in settings.items() if value},
        )
        run = sp.train(None, (images, labels), recipe, progress="none")
        return run.classifier.predict

    train(*sizes.rehearsal(2 * entry.batch_size), 0)
    return train

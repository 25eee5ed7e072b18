"""What a script has of its own and pieces use: its constants, and how it scales numbers."""

import numpy as np

SEED = 0
# What random numbers are for: those of different purposes are independent (steepest.random).
SHUFFLE, SPLIT, INITIALISATION, DROPOUT, STOCHASTIC_DEPTH, SAMPLE = 1, 2, 3, 5, 6, 12
CUTOUT, SHIFT, CROP, FLIP = 8, 9, 10, 11
# The shares of the rows that are not trained on, by part.
SHARES = {"validation": 0.1}
# What says that a value is missing in a file of text.
MISSING = {"", "NA"}
SEPARATOR = ","
# Pixels by which images move, and of the square that is cut out.
MOST_SHIFT = MOST_CROP = SIDE = 2
# Images: Pillow's mode, height and width.
MODE, SIZE = "RGB", (28, 28)
# Between quantiles of a column, of scaling piecewise.
BINS = 24


def scaled(x: np.ndarray, train: np.ndarray) -> np.ndarray:
    """The numbers x brought to one scale, fitted on the training rows."""
    raise NotImplementedError

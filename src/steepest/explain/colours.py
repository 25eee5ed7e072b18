"""Colours that colour-blind people can tell apart, with a marker and a dash pattern for each."""

# Okabe and Ito, "Color Universal Design", 2008; in an order in which neighbours differ in
# lightness too.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#222222", "#999999")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (4, 1.2, 1, 1.2)), (0, (8, 2)), (0, (2, 2)))


def colour(i: int) -> str:
    """Of the i-th line; they begin again after the last."""
    return COLOURS[i % len(COLOURS)]


def marker(i: int) -> str:
    """Of the i-th line; they begin again after the last."""
    return MARKERS[i % len(MARKERS)]

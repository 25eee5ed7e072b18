"""How many rows the passes of a check are made on, by what a pass over a few of them takes."""

from steepest.health.check.forming import trial
from steepest.health.clock import Clock
from steepest.health.replay.batches import Batch
from steepest.health.replay.replay import Setup

# A pass forward and back takes at most so many seconds if that leaves 8 rows, whatever time was
# given: on fewer, the facts of a net that is dear cost less than a step of its training.
_SECONDS = 0.2
_FEWEST, _MORE = 8, 64
_BACK = 3  # times a forward pass: forward and back


def affordable(
    setup: Setup, sample: Batch, few: Batch, seconds: float, clock: Clock
) -> tuple[Batch, float]:
    """The rows of a pass, evenly spread over the sample, and the seconds that each takes.

    few: rows of which a forward pass took so many seconds. As the first pass of a process sets up
    what later ones find ready, and what a pass takes besides its rows is much on a few of a small
    net, another is made before rows are left out, on as many as that allows. Their number is a
    power of two, so that what else the machine does hardly changes it. A model that takes no few
    rows gets those that it took.
    """
    if few.rows > _FEWEST:
        return few, _BACK * seconds / few.rows
    a_row = _BACK * seconds / few.rows
    if a_row * sample.rows > _SECONDS:
        more = sample.spread(min(_MORE, max(_FEWEST, int(_SECONDS / a_row))))
        before = clock.spent()
        if trial(setup, more) is None:
            a_row = min(a_row, _BACK * (clock.spent() - before) / more.rows)
    rows = max(_FEWEST, 1 << int(_SECONDS / a_row).bit_length() - 1) if a_row > 0 else sample.rows
    return sample.spread(rows), a_row

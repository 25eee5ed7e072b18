"""The experiments that may confirm a cause: without one no finding is called confirmed."""

from enum import StrEnum


class Experiment(StrEnum):
    """What was run, in the words of the report. An `Evidence` names the one that measured it."""

    STEPS_AGAIN = "the same steps taken again with one thing changed"
    FROM_GOOD_STATE = "the steps since the last good state taken again with one thing changed"
    AS_THEY_WERE = "the steps after the last good state taken again with nothing changed"
    BY_HEART = "a few rows learned by heart"
    NEIGHBOURS = "labels guessed from the nearest rows"
    RENUMBERED = "the same outputs counted under other class numbers"
    REARRANGED = "the same values read in another order"
    NEW_START = "a new start of the net on half of the rows, asked about the other half"

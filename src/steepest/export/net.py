"""ProbabilityNet: a classifier's net with what makes probabilities of its outputs, on the CPU."""

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from steepest.engine import reference_parameter
from steepest.errors import ModelError
from steepest.objective import Objective


class ProbabilityNet(nn.Module):
    """Prepared rows in, (N, C) float64 probabilities out. A copy; in evaluation mode."""

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.name = type(model).__name__
        try:
            self.model = copy.deepcopy(model).cpu()
        except Exception as error:  # whatever a user's module raises when it is copied
            raise ModelError(f"{self.name} cannot be copied: {reason_of(error)}") from error
        self.objective = objective
        self.eval()

    @property
    def row_type(self) -> Any:
        """The type of a prepared row, for numpy."""
        dtype = reference_parameter(self.model).dtype
        if dtype == torch.bfloat16:
            raise ModelError(f"{self.name} is of bfloat16, which numpy has not; make it float32")
        return torch.empty(0, dtype=dtype).numpy().dtype

    def example(self, shape: tuple[int, ...], *, integers: bool = False) -> Tensor:
        """Three rows of zeros."""
        dtype = torch.int64 if integers else reference_parameter(self.model).dtype
        return torch.zeros(3, *shape, dtype=dtype)

    def forward(self, rows: Tensor) -> Tensor:
        return self.objective.probabilities(self.model(rows))


@contextmanager
def quietly() -> Iterator[None]:
    """Without what torch's exporters log and warn of, none of which a user can mend."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def reason_of(error: BaseException) -> str:
    """The first line of the message at the bottom of a chain of exceptions."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__

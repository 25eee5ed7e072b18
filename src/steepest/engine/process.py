"""What torch has once for the whole process: its generators and its number of threads.

Trainings in several threads would seed each other's generators and leave each other's number of
threads behind. So whoever changes them holds one lock until they are as before.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from steepest.engine.forward import reference_parameter
from steepest.random import Purpose, torch_seed

# Modules of torch.nn that draw random numbers while they train, by a part of their name. Dropout
# and Residual take our masks instead.
_DRAWING = ("Dropout", "RReLU", "Fractional", "Attention", "Transformer", "RNN", "LSTM", "GRU")

# A check holds it and lets an engine take steps within: the same thread may take it again.
_LOCK = threading.RLock()


@contextmanager
def process_state(
    device: torch.device | None = None, *, generators: bool = True, threads: int | None = None
) -> Iterator[None]:
    """Within the block torch has so many threads, and no other training of ours changes anything.

    Afterwards the number of threads and, if asked for, the generators of the CPU and of this
    device are as before. Code that is not ours and draws from torch's generator in another thread
    cannot be kept out. A thread that is in such a block may enter another one.

    Args:
        device: Whose generator is restored beside the CPU's.
        generators: Whether generators are restored.
        threads: torch's number of threads within the block; None leaves it.
    """
    devices = [device] if device is not None and device.type == "cuda" else []
    with _LOCK, torch.random.fork_rng(devices, enabled=generators), _threads(threads):
        yield


def seed_generators(seed: int) -> None:
    """torch.manual_seed, which takes 2 ms where no accelerator has been used.

    It then notes a stack trace for each backend, to seed it when that begins: too dear for each
    step of a small net.
    """
    if torch.cuda.is_initialized() or torch.backends.mps.is_available():  # type: ignore[no-untyped-call]
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


@contextmanager
def seeded(model: nn.Module, seed: int, step: int) -> Iterator[None]:
    """Within the block what the model draws from torch's generators is a function of seed and step.

    For evaluation: some modules draw then, too.
    """
    if not any(map(may_draw, model.modules())):
        yield
        return
    with process_state(reference_parameter(model).device):
        seed_generators(torch_seed(seed, Purpose.MODULE, step))
        yield


def may_draw(module: nn.Module) -> bool:
    """Whether a module may draw random numbers: torch.nn's drawing ones, and all foreign ones."""
    kind = type(module)
    if kind is nn.Dropout:
        return False
    if kind.__module__.startswith(("torch.nn.modules", "steepest.nn")):
        return any(part in kind.__name__ for part in _DRAWING)
    return True


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    if count is None or count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)

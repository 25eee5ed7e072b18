"""The processes that take each step together: torchrun's and Ray Train's workers.

Each minibatch is cut in as many parts as there are workers. A worker adds up the losses of its
rows, divided by what the whole minibatch weighs; the sum of the gradients over the workers is then
the gradient of the minibatch, as one process computes it, within rounding. It is made once an
update, before penalties and clipping, so that all workers take the same step.

The first worker leads: it alone has the loop, the record and the folder, and tells the others what
to do by short messages, JSON and safetensors.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch import distributed as dist

from steepest.engine.contract import OptimizerState
from steepest.errors import WorkerError

# How long all may take to come, and how long a message may be waited for: the first worker
# evaluates and saves in between.
_TO_COME, _TO_WAIT = timedelta(minutes=10), timedelta(hours=1)
_BUCKET = 25 * 2**20  # bytes of gradients that are added up at once, as DistributedDataParallel has


class Workers:
    """The workers of a training, as one of them sees them.

    Attributes:
        rank: Its number; the first is 0.
        count: How many there are.
    """

    def __init__(self, rank: int, count: int, group: Any) -> None:
        self.rank, self.count = rank, count
        self._group = group

    @property
    def is_first(self) -> bool:
        """Whether this one leads."""
        return self.rank == 0

    def part(self, rows: int) -> range:
        """The places in a minibatch of so many rows that are this worker's."""
        return range(self.rank * rows // self.count, (self.rank + 1) * rows // self.count)

    def add(self, numbers: Tensor) -> Tensor:
        """The sum over the workers, in place."""
        with _told_if_lost():
            # An accelerator's tensors by the group that has its backend.
            dist.all_reduce(numbers, group=None if numbers.is_cuda else self._group)
        return numbers

    @torch.no_grad()
    def add_gradients(self, parameters: Iterable[Tensor], loss: Tensor) -> Tensor:
        """Sum the gradients over the workers, in place; gives the sum of the loss.

        A parameter that no worker has a gradient of keeps none, so that no optimizer moves it.
        """
        trained = list(parameters)
        has = [loss.detach().reshape(1).to(trained[0])]
        has += [trained[0].new_ones(1) if p.grad is not None else has[0] * 0 for p in trained]
        known = self.add(torch.cat(has))
        used = [p for p, n in zip(trained, known[1:].tolist(), strict=True) if n]
        for p in used:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        for bucket in _buckets(used):
            gradients = [p.grad for p in bucket if p.grad is not None]
            flat = self.add(torch.cat([g.reshape(-1) for g in gradients]))
            sums = torch.split(flat, [g.numel() for g in gradients])
            for gradient, total in zip(gradients, sums, strict=True):
                gradient.copy_(total.view_as(gradient))
        return known[0]

    def tell(self, about: Mapping[str, Any], tensors: Mapping[str, Tensor] | None = None) -> None:
        """A message of the first worker to all others."""
        described = json.dumps(about).encode()
        copies = {name: t.detach().cpu().contiguous() for name, t in (tensors or {}).items()}
        copies = {name: t.clone() for name, t in copies.items()}  # none shares memory
        content = len(described).to_bytes(8, "little") + described + save(copies)
        data = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        with _told_if_lost():
            dist.broadcast(torch.tensor([len(content)]), 0, group=self._group)
            dist.broadcast(data, 0, group=self._group)

    def told(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The next message of the first worker; waits for it."""
        length = torch.zeros(1, dtype=torch.int64)
        with _told_if_lost():
            dist.broadcast(length, 0, group=self._group)
            data = torch.empty(int(length), dtype=torch.uint8)
            dist.broadcast(data, 0, group=self._group)
        content = data.numpy().tobytes()
        end = 8 + int.from_bytes(content[:8], "little")
        return json.loads(content[8:end]), load(content[end:])


def tell_to_load(workers: Workers, model: nn.Module, optimizer: OptimizerState, step: int) -> None:
    """Give the others the model and the optimizer's state that they set out from."""
    named = {f"model/{name}": tensor for name, tensor in _named(model).items()}
    for parameter, kept in optimizer.items():
        named |= {f"optimizer/{parameter}/{key}": tensor for key, tensor in kept.items()}
    workers.tell({"do": "load", "step": step}, named)


def load_told(model: nn.Module, tensors: Mapping[str, Tensor]) -> OptimizerState:
    """Put what `tell_to_load` gave into the model; the optimizer's state."""
    named, optimizer = _named(model), OptimizerState()
    with torch.no_grad():
        for name, tensor in tensors.items():
            group, _, rest = name.partition("/")
            if group == "model":
                named[rest].copy_(tensor)
            else:
                parameter, _, key = rest.rpartition("/")
                optimizer.setdefault(parameter, {})[key] = tensor
    return optimizer


def tell_to_advance(workers: Workers, rates: Sequence[float], *, statistics: bool) -> None:
    """Have the others take the same steps."""
    workers.tell({"do": "advance", "rates": list(rates), "statistics": statistics})


def _named(model: nn.Module) -> dict[str, Tensor]:
    parameters = model.named_parameters(remove_duplicate=False)
    return {**dict(parameters), **dict(model.named_buffers(remove_duplicate=False))}


_joined: Workers | None = None


def worker_count() -> int:
    """How many workers a launcher has started, by its environment variables; 1 without one."""
    if "RANK" not in os.environ or "MASTER_ADDR" not in os.environ:
        return 1
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first_worker() -> bool:
    """Whether this process is the only one, or the first of several: the one that prints."""
    return worker_count() == 1 or os.environ["RANK"] == "0"


def was_restarted() -> bool:
    """Whether torchrun has started the workers again, after one of them had failed."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def join_workers() -> Workers | None:
    """The workers that a launcher has started, all of them there; None if this is the only one.

    Raises:
        WorkerError: One of them does not come.
    """
    global _joined
    if worker_count() == 1:
        return None
    with _told_if_lost():
        if not dist.is_initialized():
            local = int(os.environ.get("LOCAL_RANK", "0"))
            if torch.cuda.is_available() and local < torch.cuda.device_count():
                torch.cuda.set_device(local)
            store, rank, count = next(dist.rendezvous("env://"))  # type: ignore[attr-defined]
            # torchrun's store outlives a restart, with the addresses of workers that are gone.
            attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
            store = dist.PrefixStore(f"attempt {attempt}", store)  # type: ignore[attr-defined]
            dist.init_process_group(store=store, rank=rank, world_size=count, timeout=_TO_WAIT)
        if _joined is None:
            group = dist.new_group(backend="gloo", timeout=_TO_WAIT)
            _joined = Workers(dist.get_rank(), dist.get_world_size(), group)
        dist.monitored_barrier(_joined._group, timeout=_TO_COME)
    return _joined


@contextmanager
def _told_if_lost() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:  # all that torch.distributed raises
        raise WorkerError(
            "a worker of this training is gone, so all of them end: the run goes on from its last "
            "checkpoint with `steepest resume`, or by itself under torchrun --max-restarts "
            f"({str(error).strip().splitlines()[0]:.200})"
        ) from error


def _buckets(parameters: list[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    size = 0
    for p in parameters:
        alike = not bucket or (p.dtype, p.device) == (bucket[0].dtype, bucket[0].device)
        if bucket and (not alike or size + p.nbytes > _BUCKET):
            yield bucket
            bucket, size = [], 0
        bucket.append(p)
        size += p.nbytes
    if bucket:
        yield bucket

"""The loops that PyTorch users write: with a DataLoader, over indexed rows, compiled."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from workloads import Workload

_ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}


def net(workload: Workload) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()]
    for weight, bias in workload.first_weights():
        linear = nn.Linear(weight.shape[1], weight.shape[0])
        linear.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
        layers += [linear, _ACTIVATIONS[workload.activation]()]
    return nn.Sequential(*layers[:-1])


def _tensors(workload: Workload) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(workload.scaled), torch.from_numpy(workload.targets)


def _optimizer(model: nn.Module, workload: Workload) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=workload.lr, momentum=workload.momentum)


def with_loader(workload: Workload) -> Callable[[], float]:
    x, y = _tensors(workload)
    loader = DataLoader(TensorDataset(x, y), batch_size=workload.batch_size, shuffle=True)

    def run() -> float:
        model, loss_fn, total = net(workload), nn.CrossEntropyLoss(), torch.zeros(())
        optimizer = _optimizer(model, workload)
        for inputs, targets in loader:
            loss = loss_fn(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(targets)
        return total.item() / len(x)

    return run


def indexed(workload: Workload) -> Callable[[], float]:
    return _indexed(workload, lambda model: model)


def compiled(workload: Workload) -> Callable[[], float]:
    """Forward and backward pass compiled by inductor, once, before the clock starts."""
    model = net(workload)
    fast = torch.compile(model)
    first = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def restarted(_: nn.Module) -> nn.Module:
        model.load_state_dict(first)
        return fast  # type: ignore[return-value]

    return _indexed(workload, restarted)


def _indexed(workload: Workload, prepare: Callable[[nn.Module], nn.Module]) -> Callable[[], float]:
    x, y = _tensors(workload)

    def run() -> float:
        model = prepare(net(workload))
        return indexed_epoch(model, _optimizer(model, workload), x, y, workload.batch_size)

    return run


def indexed_epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, batch_size: int
) -> float:
    """One epoch over rows that are indexed in memory; the mean loss."""
    loss_fn, total = nn.CrossEntropyLoss(), torch.zeros(())
    for batch in torch.randperm(len(x)).split(batch_size):
        loss = loss_fn(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(batch)
    return total.item() / len(x)

"""PyTorch: the images in memory in channels_last, fused AdamW, a loop over indexed minibatches."""

import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from speedrun.contestants import Images, Labels, Predict, Sizes, Train
from speedrun.goals import Entry

_ROWS_AT_ONCE = 1000
_LAYOUT = torch.channels_last


class _Block(nn.Module):
    """x + f(x)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.f = nn.Sequential(*_convolution(channels, channels), *_behind(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.f(x)


def _convolution(fan_in: int, fan_out: int) -> Iterator[nn.Module]:
    layer = nn.Conv2d(fan_in, fan_out, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(layer.weight)
    yield layer


def _behind(channels: int) -> Iterator[nn.Module]:
    yield from (nn.BatchNorm2d(channels), nn.ReLU())


def _net(entry: Entry, pixels: int, classes: int) -> nn.Sequential:
    """The net that steepest makes of this entry."""
    layers: list[nn.Module] = []
    if not entry.channels:
        sizes = [pixels, *entry.hidden]
        for fan_in, fan_out in zip(sizes, entry.hidden, strict=False):
            layers += [nn.Linear(fan_in, fan_out), nn.BatchNorm1d(fan_out), nn.ReLU()]
        return nn.Sequential(nn.Flatten(), *layers, nn.Linear(sizes[-1], classes))
    fan_in = 1
    for number, channels in enumerate(entry.channels):
        layers += [*_convolution(fan_in, channels), nn.MaxPool2d(2), *_behind(channels)]
        layers += [_Block(channels)] if number else []
        fan_in = channels
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(fan_in, classes)).to(memory_format=_LAYOUT)  # type: ignore[call-overload]


def _changed(x: Tensor, entry: Entry) -> Tensor:
    """Images (B, 1, H, W) moved by up to `shift` pixels, zeros following, and half mirrored."""
    rows, _, height, width = x.shape
    if entry.flip:
        mirrored = torch.rand(rows) < 0.5
        x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    if entry.shift:
        around = pad(x[:, 0], [entry.shift] * 4)
        down, right = torch.randint(2 * entry.shift + 1, (2, rows))
        x = around[
            torch.arange(rows)[:, None, None],
            (down[:, None] + torch.arange(height))[:, :, None],
            (right[:, None] + torch.arange(width))[:, None, :],
        ][:, None]
    return x


def _rate(entry: Entry, steps: int) -> Callable[[int], float]:
    warm = max(1, round(entry.warmup * steps))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return (1 + math.cos(math.pi * (step - warm) / (steps - warm))) / 2

    return factor


def _trainer(
    entry: Entry, sizes: Sizes, threads: int, ready: Callable[[nn.Module], nn.Module]
) -> Train:
    torch.set_num_threads(threads)
    plain = _net(entry, math.prod(sizes.image), sizes.classes)
    fast = ready(plain)

    def train(images: Images, labels: Labels, seed: int) -> Predict:
        torch.manual_seed(seed)
        mean, deviation = float(images.mean() / 255), float(images.std() / 255)

        def scaled(images: Images) -> Tensor:
            x = torch.from_numpy(images).unsqueeze(1).float()
            return x.div_(255).sub_(mean).div_(deviation).contiguous(memory_format=_LAYOUT)

        x, y = scaled(images), torch.from_numpy(labels)
        fresh = _net(entry, math.prod(sizes.image), sizes.classes)
        plain.load_state_dict(fresh.state_dict())  # into the net that is compiled
        plain.train()
        optimizer = torch.optim.AdamW(
            plain.parameters(), lr=entry.lr, weight_decay=entry.weight_decay, fused=True
        )
        steps = entry.epochs * -(-len(x) // entry.batch_size)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _rate(entry, steps))
        for _ in range(entry.epochs):
            for batch in torch.randperm(len(x)).split(entry.batch_size):
                logits = fast(_changed(x[batch], entry))
                loss = cross_entropy(logits, y[batch], label_smoothing=entry.label_smoothing)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()

        def predict(images: Images) -> Labels:
            plain.eval()
            with torch.inference_mode():
                rows = scaled(images).split(_ROWS_AT_ONCE)
                found: Labels = torch.cat([plain(part).argmax(1) for part in rows]).numpy()
            return found

        return predict

    # A whole minibatch and the last short one, the two shapes that are compiled.
    train(*sizes.rehearsal(entry.batch_size + sizes.rows % entry.batch_size), 0)
    return train


def eager(entry: Entry, sizes: Sizes, threads: int) -> Train:
    """The loop as it is written."""
    return _trainer(entry, sizes, threads, lambda net: net)


def compiled(entry: Entry, sizes: Sizes, threads: int) -> Train:
    """Forward and backward pass compiled by inductor."""
    return _trainer(entry, sizes, threads, partial(torch.compile, dynamic=False))

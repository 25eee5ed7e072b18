"""X11: patches, checkpointed blocks that are left out at times, smoothed labels, averaged weights."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.checkpoint import checkpoint

from faults import case as loop
from faults.case import Case, Score
from faults.data import images8, loaders


class ViT(nn.Module):
    def __init__(self, depth: int = 3, width: int = 32) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 2, stride=2)
        self.places = nn.Parameter(0.02 * torch.randn(1, 16, width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 64, 0.0, batch_first=True, norm_first=True)
            for _ in range(depth)
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        h = self.patches(x).flatten(2).transpose(1, 2) + self.places
        for block in self.blocks:
            if self.training and torch.rand(()) < 0.1:
                continue
            h = checkpoint(block, h, use_reentrant=False) if self.training else block(h)
        return self.head(self.norm(h).mean(1))


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = ViT()
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.95))

    def train_step(case: Case, batch: Any) -> Tensor:
        loss = loop.step(case, batch)
        average.update_parameters(case.model)
        return loss

    def evaluate(case: Case) -> Score:
        return loop.evaluate(Case(average, case.loss_fn, None, None, case.val_loader))

    optimizer, loss_fn = (
        torch.optim.AdamW(model.parameters(), 3e-3),
        nn.CrossEntropyLoss(label_smoothing=0.1),
    )
    rows = loaders(images8(seed), seed, batch=48)
    return Case(
        model, loss_fn, optimizer, *rows, epochs=16, train_step=train_step, evaluate=evaluate
    )

"""X10: norms after the sums, a rate that starts at 0 and is restarted from the top every 3 epochs."""

import torch
from torch import nn

from faults.case import Case, scheduled
from faults.data import loaders, topics4
from faults.nets import Transformer


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Transformer(width=32)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, betas=(0.9, 0.98), weight_decay=0.05)
    train, val = loaders(topics4(seed), seed, batch=40)
    warm, period = 20, 3 * len(train)

    def factor(step: int) -> float:
        if step < warm:
            return step / warm
        turn = torch.pi * torch.tensor((step % period) / period)
        return 0.5 * (1 + turn.cos().item())

    each = scheduled(torch.optim.lr_scheduler.LambdaLR(optimizer, factor))
    return Case(model, nn.CrossEntropyLoss(), optimizer, train, val, epochs=9, train_step=each)

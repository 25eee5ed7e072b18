"""T02: a transformer on text, AdamW, a warm-up of 60 steps and a cosine down to 0."""

import math

import torch
from torch import Tensor, nn

from faults.case import Case, scheduled
from faults.data import loaders
from faults.real import PADDING, passages, words


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words(), 32, padding_idx=PADDING)
        self.places = nn.Embedding(24, 32)
        layer = nn.TransformerEncoderLayer(
            32, 4, 64, dropout=0.2, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.fc = nn.Linear(32, 6)

    def forward(self, tokens: Tensor) -> Tensor:
        padding = tokens == PADDING
        h = self.embedding(tokens) + self.places.weight[: tokens.shape[1]]
        h = self.encoder(h, src_key_padding_mask=padding)
        return self.fc(h.masked_fill(padding[:, :, None], 0).sum(1) / (~padding).sum(1)[:, None])


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Encoder()
    train, val = loaders(passages(seed, train=1000), seed, batch=32)
    steps, optimizer = 6 * len(train), torch.optim.AdamW(model.parameters(), 3e-3)

    def factor(k: int) -> float:
        return k / 60 if k < 60 else 0.5 * (1 + math.cos(math.pi * (k - 60) / (steps - 60)))

    warm = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    loss_fn = nn.CrossEntropyLoss()
    return Case(model, loss_fn, optimizer, train, val, epochs=6, train_step=scheduled(warm))

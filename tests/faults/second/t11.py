"""T11: a causal transformer on characters: a mask of -inf as a buffer, a loss at each place."""

import torch
from torch import Tensor, nn

from faults.case import Case, Score
from faults.data import loaders
from faults.real import characters, sentences


class Causal(nn.Module):
    def __init__(self, length: int = 24, width: int = 32) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters(), width)
        self.places = nn.Embedding(length, width)
        layer = nn.TransformerEncoderLayer(width, 4, 64, dropout=0.1, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.fc = nn.Linear(width, characters())
        mask = torch.full((length, length), float("-inf")).triu(1)
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embedding(x) + self.places(torch.arange(x.shape[1]))
        h = self.layers(h, mask=self.mask, is_causal=True)
        return self.fc(h).transpose(1, 2)  # (rows, classes, places), as CrossEntropyLoss wants it


def evaluate(case: Case) -> Score:
    case.model.eval()
    with torch.no_grad():
        parts = [(case.model(x), y) for x, y in case.val_loader]
    z, y = (torch.cat(part) for part in zip(*parts, strict=True))
    return Score(case.loss_fn(z, y).item(), (z.argmax(1) == y).float().mean().item())


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Causal()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    rows = loaders(sentences(seed), seed, batch=32)
    return Case(model, nn.CrossEntropyLoss(), optimizer, *rows, epochs=4, evaluate=evaluate)

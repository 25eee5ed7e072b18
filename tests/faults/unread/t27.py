"""T27: sections of the text are classes, 60 of them, at most 40 passages each; a mean of word vectors."""

import re

import torch
from torch import Tensor, nn

from faults.case import Case
from faults.data import Rows, generator, loaders
from faults.nets import adam


def sixty(seed: int, length: int = 20, most: int = 40) -> Rows:
    """Passages of 20 words from the 60 longest sections of Python's reference, none of which overlap.

    Every fourth passage of a section is for validation.
    """
    from pydoc_data.topics import topics

    texts = [re.findall(r"[a-z_]+", text.lower()) for text in topics.values()]
    texts = sorted(texts, key=len, reverse=True)[:60]
    number = {word: i for i, word in enumerate(sorted({w for text in texts for w in text}))}
    rows: list[tuple[list[int], int, int]] = []
    for k, text in enumerate(texts):
        for i in range(min(most, len(text) // length)):
            passage = [number[word] for word in text[i * length : (i + 1) * length]]
            rows.append((passage, k, i % 4))
    X, y, part = (torch.tensor(column) for column in zip(*rows, strict=True))
    order = torch.randperm(len(y), generator=generator(seed))
    X, y, held = X[order], y[order], part[order] == 3
    return Rows(X[~held], y[~held], X[held], y[held])


class Mean(nn.Module):
    def __init__(self, known: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(known, 48)
        self.fc = nn.Linear(48, 60)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.fc(self.embedding(tokens).mean(1))


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    rows = sixty(seed)
    model = Mean(int(rows.X.max()) + 1)
    return Case(model, nn.CrossEntropyLoss(), adam(model, 2e-2), *loaders(rows, seed), epochs=12)

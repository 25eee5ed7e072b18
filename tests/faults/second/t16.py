"""T16: convolutions over words, whole maps dropped, one optimizer group for the embedding."""

import torch
from torch import Tensor, nn

from faults.case import Case
from faults.data import loaders
from faults.real import PADDING, passages, words


class TextCnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words(), 32, padding_idx=PADDING)
        self.drop = nn.Dropout1d(0.3)
        self.convs = nn.ModuleList(nn.Conv1d(32, 24, k, padding="same") for k in (1, 2, 3))
        self.fc = nn.Linear(72, 6)

    def forward(self, tokens: Tensor) -> Tensor:
        e = self.drop(self.embedding(tokens).transpose(1, 2))
        return self.fc(torch.cat([torch.relu(conv(e)).amax(2) for conv in self.convs], 1))


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = TextCnn()
    rest = [p for name, p in model.named_parameters() if "embedding" not in name]
    groups = [{"params": model.embedding.parameters(), "lr": 1e-2}, {"params": rest}]
    optimizer = torch.optim.RMSprop(groups, 2e-3)
    rows = loaders(passages(seed), seed)
    return Case(model, nn.CrossEntropyLoss(), optimizer, *rows, epochs=6)

"""S10: a layer of a transformer on text, with the rate of a perceptron: Adam at 0.05."""

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders
from faults.nets import adam
from faults.real import PADDING, passages, words

FAULT = Fault(
    "LR_TOO_HIGH",
    consequence=("DEAD_RELU", "PREMATURE_NAN", "EXPLODING_GRADIENT"),
    repair="a rate of 0.003",
    earliest="step 30",
)


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words(), 32, padding_idx=PADDING)
        self.places = nn.Embedding(24, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.fc = nn.Linear(32, 6)

    def forward(self, tokens: Tensor) -> Tensor:
        padding = tokens == PADDING
        h = self.embedding(tokens) + self.places(torch.arange(tokens.shape[1]))
        h = self.encoder(h, src_key_padding_mask=padding)
        there = (~padding)[:, :, None]
        return self.fc((h * there).sum(1) / there.sum(1))


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Encoder()
    lr = 3e-3 if healthy else 0.05  # the fault
    rows = loaders(passages(seed, train=1000, val=400), seed)
    return Case(model, nn.CrossEntropyLoss(), adam(model, lr), *rows, epochs=6)

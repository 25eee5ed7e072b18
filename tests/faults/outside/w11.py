"""W11: a language model of characters whose attention has no causal mask: it reads the answer."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case, Fault, Score
from faults.data import loaders
from faults.nets import adam
from faults.real import characters, sentences

FAULT = Fault(
    "TARGET_LEAK_FEATURE",
    repair="is_causal=True",
    harm="report",
)


class Block(nn.Module):
    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.norm1, self.norm2 = nn.LayerNorm(48), nn.LayerNorm(48)
        self.qkv, self.out = nn.Linear(48, 144), nn.Linear(48, 48)
        self.mlp = nn.Sequential(nn.Linear(48, 96), nn.GELU(), nn.Linear(96, 48))

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(b, t, 3, 4, 12).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.out(a.transpose(1, 2).reshape(b, t, c))
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(characters(), 48), nn.Embedding(24, 48)
        self.blocks = nn.Sequential(Block(causal), Block(causal))
        self.norm, self.head = nn.LayerNorm(48), nn.Linear(48, characters())

    def forward(self, x: Tensor) -> Tensor:
        h = self.tokens(x) + self.places(torch.arange(x.shape[1]))
        return self.head(self.norm(self.blocks(h)))


def loss_fn(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs.flatten(0, 1), targets.flatten())


def evaluate(case: Case) -> Score:
    case.model.eval()
    with torch.no_grad():
        parts = [(case.model(x), y) for x, y in case.val_loader]
    z, y = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    return Score(loss_fn(z, y).item(), (z.argmax(2) == y).float().mean().item())


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = GPT(causal=healthy)  # the fault
    rows = loaders(sentences(seed, train=1500), seed, batch=32)
    return Case(model, loss_fn, adam(model, 3e-3), *rows, epochs=6, evaluate=evaluate)

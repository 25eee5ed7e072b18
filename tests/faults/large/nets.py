"""Nets of real size, written by hand: ResNet-18, a vision transformer, an LSTM, an encoder."""

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """Two convolutions beside a shortcut (He et al., CVPR 2016, figure 2)."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(into, out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(out)
        self.shortcut = nn.Sequential()
        if stride > 1 or into != out:
            conv = nn.Conv2d(into, out, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        z = self.norm1(self.conv1(x)).relu()
        return (self.norm2(self.conv2(z)) + self.shortcut(x)).relu()


class ResNet18(nn.Module):
    """For images (N, 3, 32, 32); 11.2 M parameters at width 64."""

    def __init__(self, classes: int = 10, width: int = 64) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        blocks, into = [], width
        for stage in range(4):
            for stride in (1 if stage == 0 else 2, 1):
                blocks.append(Block(into, width << stage, stride))
                into = width << stage
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(into, classes)

    def features(self, x: Tensor) -> Tensor:
        return self.blocks(self.stem(x)).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class Attention(nn.Module):
    """A transformer layer with its normalisation first, of a width and heads of 64 columns."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = max(1, width // 64)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(0.1)
        )

    def forward(self, x: Tensor) -> Tensor:
        n, t, d = x.shape
        parts = self.qkv(self.norm1(x)).view(n, t, 3, self.heads, d // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(mixed.transpose(1, 2).reshape(n, t, d))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """For images (N, 3, 32, 32) in patches of 4 x 4; 5.4 M parameters (width 192, 12 layers)."""

    def __init__(self, classes: int = 10, width: int = 192, layers: int = 12) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.first = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.places = nn.Parameter(0.02 * torch.randn(1, 65, width))
        self.layers = nn.Sequential(*(Attention(width) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def features(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.first.expand(len(x), -1, -1), tokens], 1)
        return self.norm(self.layers(tokens + self.places))[:, 0]

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class Lstm(nn.Module):
    """Two layers that read sequences (N, 32, 96), as the rows of images; 3.5 M parameters."""

    def __init__(self, classes: int = 10, width: int = 512) -> None:
        super().__init__()
        self.lstm = nn.LSTM(96, width, 2, batch_first=True)
        self.head = nn.Linear(width, classes)

    def features(self, x: Tensor) -> Tensor:
        return self.lstm(x)[0][:, -1]

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class Encoder(nn.Module):
    """BERT's encoder for tokens (N, 48), 0 for padding; 20.5 M parameters.

    Devlin et al. (NAACL 2019): words and places, layers, a pooled first token.
    """

    def __init__(
        self, classes: int = 10, width: int = 384, layers: int = 8, words: int = 16_000
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width, padding_idx=0)
        self.places = nn.Embedding(48, width)
        self.norm, self.drop = nn.LayerNorm(width), nn.Dropout(0.1)
        layer = nn.TransformerEncoderLayer(
            width, max(1, width // 64), 4 * width, 0.1, "gelu", batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        for p in self.parameters():
            if p.ndim > 1:
                nn.init.normal_(p, std=0.02)
        self.pool = nn.Linear(width, width)
        self.head = nn.Linear(width, classes)

    def features(self, tokens: Tensor) -> Tensor:
        places = self.places(torch.arange(tokens.shape[1]))
        x = self.drop(self.norm(self.words(tokens) + places))
        x = self.encoder(x, src_key_padding_mask=tokens == 0)
        return self.pool(x[:, 0]).tanh()

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.features(tokens))

"""The net of a script: its layers, and their first weights as the run drew them."""

from collections.abc import Iterator

from torch import nn

from steepest.errors import ModelError
from steepest.nn import (
    ACTIVATIONS,
    CategoryEmbedding,
    LinearLayer,
    ParametricActivation,
    PeriodicEmbedding,
    Residual,
    ScalingLayer,
)

# By the scheme of LinearLayer: what draws W, and what is said of it.
_DRAWN = {
    "he": (
        "torch.randn(fan_out, fan_in, generator=generator) * (2 / fan_in) ** 0.5",
        "N(0, 2 / fan_in)",
    ),
    "xavier": (
        "torch.randn(fan_out, fan_in, generator=generator) * (2 / (fan_in + fan_out)) ** 0.5",
        "N(0, 2 / (fan_in + fan_out))",
    ),
    "lecun": (
        "torch.randn(fan_out, fan_in, generator=generator) * (1 / fan_in) ** 0.5",
        "N(0, 1 / fan_in)",
    ),
    "normal": ("torch.randn(fan_out, fan_in, generator=generator)", "N(0, 1)"),
    "uniform": ("torch.rand(fan_out, fan_in, generator=generator) * 2 - 1", "U(-1, 1)"),
    "zeros": ("torch.zeros(fan_out, fan_in)", "zeros"),
    "ones": ("torch.ones(fan_out, fan_in)", "ones"),
}
_ACTIVATIONS = (
    *(nn.Tanh, nn.Sigmoid, nn.ReLU, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Mish, nn.SELU),
    nn.Identity,
)


def _convolution(drawn: str, said: str, generator: list[str]) -> Iterator[str]:
    yield (
        "def convolution(layer: int, channels: int, out: int, side: int, stride: int = 1, "
        "bias: bool = True) -> nn.Conv2d:"
    )
    yield f'    """A layer whose filters are first {said}, its bias 0."""'
    yield from generator
    yield ("    made = nn.Conv2d(channels, out, side, stride=stride, padding=side // 2, bias=bias)")
    yield "    if bias:"
    yield "        nn.init.zeros_(made.bias)"
    yield "    fan_in, fan_out = channels * side * side, out"
    yield f"    made.weight = nn.Parameter(({drawn}).reshape(made.weight.shape))"
    yield "    return made"


class NetWriter:
    """Writes a net that `steepest.nn.net_of` built.

    Attributes:
        code: Functions, the last of them `make_net`.
        has_batch_norm: Whether there is such a layer; so the others.
        has_dropout: Likewise.
        has_residual_depth: Likewise, of blocks that are left out at times.

    Raises:
        ModelError: For a layer that a script does not express.
    """

    def __init__(self, net: nn.Sequential) -> None:
        self._drawn_layers = self._dropout = self._residual = 0
        self.has_batch_norm = any(
            isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)) for m in net.modules()
        )
        self.has_dropout = any(isinstance(m, nn.Dropout) for m in net.modules())
        self.has_residual_depth = any(
            isinstance(m, Residual) and m.stochastic_depth > 0 for m in net.modules()
        )
        self._convolves = any(isinstance(m, nn.Conv2d) for m in net.modules())
        self._init = next(m.init for m in net.modules() if isinstance(m, LinearLayer))
        layers = "\n".join(self._layers(net, 8))
        self.code = (
            *self._first_weights(),
            f"def make_net() -> nn.Sequential:\n    return nn.Sequential(\n{layers}\n    )",
        )

    def _first_weights(self) -> Iterator[str]:
        drawn, said = _DRAWN[self._init]
        generator = ["    generator = generator_of(0, layer)"] if "generator" in drawn else []
        if self._convolves:
            yield "\n".join(_convolution(drawn, said, generator))
        lines = [
            "def linear(layer: int, fan_in: int, fan_out: int) -> nn.Linear:",
            f'    """A layer whose weights are first {said}, its bias 0."""',
            *generator,
            "    made = nn.Linear(fan_in, fan_out)",
            "    nn.init.zeros_(made.bias)",
            f"    made.weight = nn.Parameter({drawn})",
            "    return made",
        ]
        yield "\n".join(lines)

    def _layers(self, net: nn.Sequential, indent: int) -> Iterator[str]:
        for module in net:
            if isinstance(module, Residual):
                depth, layer = module.stochastic_depth, self._next("_residual")
                assert isinstance(module.block, nn.Sequential)
                yield " " * indent + ("StochasticResidual(" if depth else "Residual(")
                yield " " * indent + "    nn.Sequential("
                yield from self._layers(module.block, indent + 8)
                yield " " * indent + "    )" + "," * bool(depth)
                if depth:
                    yield " " * indent + f"    stochastic_depth={depth!r},"
                    yield " " * indent + f"    layer={layer},"
                yield " " * indent + "),"
            else:
                yield " " * indent + self._leaf(module) + ","

    def _leaf(self, module: nn.Module) -> str:
        match module:
            case LinearLayer():
                layer = self._next("_drawn_layers")
                return f"linear({layer}, {module.in_features}, {module.out_features})"
            case nn.Conv2d():
                layer, side = self._next("_drawn_layers"), module.kernel_size[0]
                sizes = f"{module.in_channels}, {module.out_channels}, {side}"
                stride = f", stride={module.stride[0]}" if module.stride[0] > 1 else ""
                bias = ", bias=False" if module.bias is None else ""
                return f"convolution({layer}, {sizes}{stride}{bias})"
            case nn.MaxPool2d() | nn.AvgPool2d():
                return f"nn.{type(module).__name__}({module.kernel_size})"
            case nn.AdaptiveAvgPool2d():
                return f"nn.AdaptiveAvgPool2d({module.output_size})"
            case nn.Unflatten():
                return f"nn.Unflatten({module.dim}, {module.unflattened_size})"
            case nn.Dropout():
                return f"Dropout({module.p!r}, layer={self._next('_dropout')})"
            case nn.BatchNorm1d() | nn.BatchNorm2d():
                return f"nn.{type(module).__name__}({module.num_features})"
            case nn.LayerNorm():
                return f"nn.LayerNorm({module.normalized_shape[0]})"
            case nn.Flatten():
                return "nn.Flatten()"
            case ScalingLayer():
                return f"ScalingLayer({module.features})"
            case ParametricActivation():
                f = f"nn.{ACTIVATIONS[module.activation].__name__}()"
                return f"ParametricActivation({f}, {module.features})"
            case PeriodicEmbedding():
                sizes = f"{module.frequencies}, {module.outputs}, sigma={module.sigma!r}"
                columns = list(module.columns)
                if columns == list(range(len(columns))):
                    return f"PeriodicEmbedding(list(range({len(columns)})), {sizes})"
                return f"PeriodicEmbedding({columns}, {sizes})"
            case CategoryEmbedding():
                return (
                    f"CategoryEmbedding({module.features}, {list(module.spans)}, {module.outputs})"
                )
        if type(module) in _ACTIVATIONS:
            return f"nn.{type(module).__name__}()"
        raise ModelError(
            f"a script cannot be written for a net with {type(module).__name__}: leave out the "
            "setting that asks for it"
        )

    def _next(self, counter: str) -> int:
        count: int = getattr(self, counter)
        setattr(self, counter, count + 1)
        return count

"""Dropout and batch normalisation: which of a model's layers are at work, and which rest."""

from torch import nn

_MODAL = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._BatchNorm)


class ModalLayers:
    """The layers of a model that do one thing in train mode and another in eval mode."""

    def __init__(self, model: nn.Module) -> None:
        self._layers = [(n, m) for n, m in model.named_modules() if isinstance(m, _MODAL)]
        self._momenta = [getattr(m, "momentum", None) for _, m in self._layers]

    def __len__(self) -> int:
        return len(self._layers)

    def all_rest(self, model: nn.Module) -> bool:
        """Whether model and layers are all in eval mode, and none is frozen on purpose."""
        inactive = [m for _, m in self._layers if not m.training and not _is_fixed(m)]
        return bool(self) and not model.training and len(inactive) == len(self._layers)

    def at_work(self) -> list[str]:
        """Names of the layers that act on what passes as in training.

        None where the statistics are taken anew on purpose, as swa_utils.update_bn does.
        """
        if self._statistics_anew():
            return []
        return [n for n, m in self._layers if m.training and not _is_harmless(m)]

    def _statistics_anew(self) -> bool:
        return any(
            isinstance(m, nn.modules.batchnorm._BatchNorm)
            and m.momentum is None
            and momentum is not None
            for (_, m), momentum in zip(self._layers, self._momenta, strict=True)
        )


def _is_fixed(module: nn.Module) -> bool:
    """Batch norm that is frozen on purpose."""
    parameters = list(module.parameters(recurse=False))
    return bool(parameters) and not any(p.requires_grad for p in parameters)


def _is_harmless(module: nn.Module) -> bool:
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return module.p == 0
    return not getattr(module, "track_running_stats", True)

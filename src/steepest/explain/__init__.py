"""Explain: gradient descent in formulas, graphs and moving pictures.

`backprop` gives the ledger of one forward and backward pass, `graph` the computational graph of a
function, `descent` moving pictures of training, `initialisation_spread` what a scheme does to
activations and gradients. The first three are functions, each out of a package of its own name.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from steepest.errors import needs

if TYPE_CHECKING:
    from steepest.explain.backprop.entry import LedgerEntry as LedgerEntry
    from steepest.explain.backprop.ledger import Ledger as Ledger
    from steepest.explain.backprop.ledger import backprop as backprop
    from steepest.explain.descent.animation import DescentAnimation as DescentAnimation
    from steepest.explain.descent.animation import descent as descent
    from steepest.explain.descent.toys import toy as toy
    from steepest.explain.graph.computation import Graph as Graph
    from steepest.explain.graph.computation import graph as graph
    from steepest.explain.spread import initialisation_spread as initialisation_spread
    from steepest.explain.spread import plot_spread as plot_spread
    from steepest.explain.spread import plot_update_ratios as plot_update_ratios
    from steepest.explain.spread import spread_figure as spread_figure

# Public name -> where it lives; the ledger and the graph need not wait for matplotlib.
_PUBLIC = {
    "DescentAnimation": "descent.animation",
    "Graph": "graph.computation",
    "Ledger": "backprop.ledger",
    "LedgerEntry": "backprop.entry",
    "backprop": "backprop.ledger",
    "descent": "descent.animation",
    "graph": "graph.computation",
    "initialisation_spread": "spread",
    "plot_spread": "spread",
    "plot_update_ratios": "spread",
    "spread_figure": "spread",
    "toy": "descent.toys",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'steepest.explain' has no attribute {name!r}")
    with needs("explain", f"steepest.explain.{name}"):
        return getattr(import_module(f"steepest.explain.{_PUBLIC[name]}"), name)


class _Explain(ModuleType):
    """A module whose public names stay what they are when a package of the same name is imported.

    Python binds an imported submodule as an attribute of its parent, so `explain.graph` would be
    the function or the package, whichever came last.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _PUBLIC and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Explain

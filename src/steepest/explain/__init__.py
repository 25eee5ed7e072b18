"""Explain: gradient descent in formulas, graphs and moving pictures.

`backprop` gives the ledger of one forward and backward pass, `graph` the computational graph of a
function, `descent` moving pictures of training, `initialisation_spread` what a scheme does to
activations and gradients.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from steepest.errors import needs

if TYPE_CHECKING:
    from steepest.explain.animation import Descent as Descent
    from steepest.explain.animation import descent as descent
    from steepest.explain.book import Entry as Entry
    from steepest.explain.computation import Graph as Graph
    from steepest.explain.computation import graph as graph
    from steepest.explain.ledger import Ledger as Ledger
    from steepest.explain.ledger import backprop as backprop
    from steepest.explain.spread import initialisation_spread as initialisation_spread
    from steepest.explain.spread import plot_spread as plot_spread
    from steepest.explain.spread import plot_update_ratios as plot_update_ratios
    from steepest.explain.spread import spread_figure as spread_figure
    from steepest.explain.toys import toy as toy

# Public name -> where it lives; the ledger and the graph need not wait for matplotlib.
_PUBLIC = {
    "Descent": "animation",
    "Entry": "book",
    "Graph": "computation",
    "Ledger": "ledger",
    "backprop": "ledger",
    "descent": "animation",
    "graph": "computation",
    "initialisation_spread": "spread",
    "plot_spread": "spread",
    "plot_update_ratios": "spread",
    "spread_figure": "spread",
    "toy": "toys",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'steepest.explain' has no attribute {name!r}")
    with needs("explain", f"steepest.explain.{name}"):
        return getattr(import_module(f"steepest.explain.{_PUBLIC[name]}"), name)

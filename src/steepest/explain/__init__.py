"""Explain: gradient descent in formulas, graphs and moving pictures."""

from steepest.explain.book import Entry as Entry
from steepest.explain.graph import Graph as Graph
from steepest.explain.graph import graph as graph
from steepest.explain.ledger import Ledger as Ledger
from steepest.explain.ledger import backprop as backprop

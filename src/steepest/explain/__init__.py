"""Explain: gradient descent in formulas, graphs and moving pictures."""

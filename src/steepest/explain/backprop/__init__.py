"""Backpropagation by hand: the ledger of one forward and one backward pass (`ledger.py`)."""

"""The computational graph of any scalar function of tensors (`computation.py`)."""

"""Train neural-network classifiers by gradient descent, and see why when they do not learn."""

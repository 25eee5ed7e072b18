"""Training as others measure it: scikit-learn's manners (`classifier.py`), cross-validation.

The package imports neither of them, as scikit-learn is an extra and only the first needs it.
"""

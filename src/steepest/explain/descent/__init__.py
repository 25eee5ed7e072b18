"""Moving pictures of gradient descent (`animation.py`)."""

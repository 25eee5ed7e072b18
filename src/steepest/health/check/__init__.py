"""Before training: what a model, its loss, optimizer and data show, and experiments on copies."""

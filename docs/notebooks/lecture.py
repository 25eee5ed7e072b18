# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The lecture in one sitting
#
# From a loss by hand to a trained net on real images, on one page. Each step has a chapter of its
# own in the tutorial.

# %%
import numpy as np
import torch
from torch import nn

import steepest as sp

# %% [markdown]
# ## The loss of one row
#
# Scores of cat, car and frog; the row is a cat. Softmax, then −log of the probability of the cat.

# %%
z = torch.tensor([[3.2, 5.1, -1.7]])
print("probabilities", z.softmax(dim=1).numpy().round(2))
print("loss         ", round(sp.cross_entropy(z, torch.tensor([0])).item(), 2))

# %% [markdown]
# ## One pass back
#
# dL/dZ = (A − Y) / N, then back through each layer. The ledger compares every number with autograd.

# %%
X = torch.tensor(
    [
        [-8.0, 1.0, -3.0, 5.0, 2.0],
        [-2.0, 2.0, -1.0, 5.0, 2.0],
        [7.0, 1.0, 9.0, -5.0, -2.0],
        [3.0, 1.0, 9.0, 5.0, 2.0],
    ]
)
ledger = sp.explain.backprop(
    sp.mlp(5, (7, 4), 3, activation="sigmoid", seed=0), X, torch.tensor([2, 0, 1, 2])
)
print(ledger["dL/dZ3"].value.round(4))
print("agrees with autograd:", ledger.agrees)

# %% [markdown]
# ## One step of gradient descent
#
# w ← w − lr · dL/dw, and the loss is lower.

# %%
model = sp.mlp(5, (7, 4), 3, activation="sigmoid", seed=0)
y = torch.tensor([2, 0, 1, 2])
for step in range(3):
    loss = sp.cross_entropy(model(X), y)
    model.zero_grad()
    loss.backward()
    with torch.no_grad():
        for w in model.parameters():
            w -= 0.5 * w.grad
    print(f"step {step}: loss {loss.item():.4f}")

# %% [markdown]
# ## The same, on real data
#
# 1797 images of digits, a fifth of them kept for the test. The net is an ordinary `Sequential`.

# %%
digits = sp.load_data("digits")
torch.manual_seed(0)
net = nn.Sequential(nn.Flatten(), nn.Linear(64, 100), nn.Tanh(), nn.Linear(100, 10))
run = sp.train(net, digits, lr=0.1, batch_size=32, epochs=10, test=0.2, progress="none")
print(f"first loss {run.info['initial_loss']:.3f}, log 10 = {np.log(10):.3f}")
run.history.select("epoch", "train_loss", "val_loss", "val_acc").tail(3)

# %%
from matplotlib.figure import Figure

from steepest.report import plot_curves

figure = Figure(figsize=(9, 3.2), layout="constrained")
for ax, quantity in zip(figure.subplots(1, 2), ("loss", "acc"), strict=True):
    plot_curves(run.history, quantity, ax)
figure

# %% [markdown]
# ## On rows that it has not seen

# %%
evaluation = run.evaluate()
print(f"test accuracy {evaluation.accuracy:.3f}, loss {evaluation.loss:.3f}")
for score in evaluation.classes:
    print(f"  {score.name}: precision {score.precision:.2f}, recall {score.recall:.2f}")

# %% [markdown]
# ## Full batch, minibatch, one sample at a time
#
# As many gradients each, from the same weights.

# %%
film = sp.explain.descent("moons", batch_sizes=("full", 8, 1), frames=30)
film.frame(29)

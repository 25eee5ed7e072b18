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
# # A table, from CSV to a saved classifier
#
# The breast cancer data of scikit-learn, written to a file as somebody might hand it over: words as
# labels, cells that are empty, a column of identifiers. Then: train, see that it overfits, cure it,
# save it, use it.

# %%
import numpy as np
import polars as pl
from sklearn.datasets import load_breast_cancer

import steepest as sp

raw = load_breast_cancer(as_frame=True).frame
rng = np.random.default_rng(0)
table = pl.DataFrame({name: raw[name].to_numpy() for name in raw.columns[:10]})
table = table.with_columns(
    pl.when(pl.Series(rng.random(table.height) > 0.04)).then(pl.all()).otherwise(None)
).with_columns(
    patient=pl.Series([f"P{i:04d}" for i in rng.permutation(table.height)]),
    finding=pl.Series(np.where(raw["target"] == 0, "malignant", "benign")),
)
table[:500].write_csv("patients.csv")
table[500:].write_csv("later.csv")
table.head(3)

# %% [markdown]
# ## A first run
#
# What is decided about the columns is said, and can be read afterwards. A fifth of 500 rows is
# little enough to be learned by heart.

# %%
few = {"validation": 0.6, "test": 0.2, "hidden": (64,), "lr": 0.1, "epochs": 60}
first = sp.train(None, "patients.csv", target="finding", progress="none", **few)
for line in first.classifier.preprocessing.summary():
    print(line)

# %% [markdown]
# The training loss goes to nothing, the validation loss turns and rises: it is overfit.

# %%
from matplotlib.figure import Figure

from steepest.report import plot_curves

figure = Figure(figsize=(7, 3.2), layout="constrained")
ax = plot_curves(first.history, "loss", figure.subplots())
best = int(first.history["val_loss"].arg_min())
ax.axvline(best + 1, color="grey", ls=":", label="lowest validation loss")
ax.legend()
print(first.history[[best, -1]].select("epoch", "train_loss", "val_loss", "val_acc"))
figure

# %% [markdown]
# ## What cures it
#
# One thing at a time, by the validation loss, two seeds each.

# %%
ways = {
    "none": {},
    "early stopping": {"early_stopping": True, "patience": 10},
    "l2 = 0.01": {"l2": 0.01},
    "dropout = 0.5": {"dropout": 0.5},
    "label smoothing": {"label_smoothing": 0.1},
}
losses = {
    name: [
        sp.train(None, "patients.csv", target="finding", progress="none", seed=s, **few, **way)
        .scores["validation"]
        .loss
        for s in range(2)
    ]
    for name, way in ways.items()
}
for name, found in losses.items():
    print(f"{name:16} {np.mean(found):.3f}   {np.round(found, 3)}")

# %% [markdown]
# ## The classifier
#
# The best of these, with more rows to learn from, tested once and saved. Encoder, scaler and class
# names are in the folder.

# %%
chosen = min(ways, key=lambda name: np.mean(losses[name]))
settings = {**few, "validation": 0.2, **ways[chosen]}
run = sp.train(None, "patients.csv", target="finding", progress="none", **settings)
evaluation = run.evaluate()
run.save("runs/patients")
print(f"{chosen}: test accuracy {evaluation.accuracy:.3f}, ROC AUC {evaluation.roc_auc:.3f}")

# %% [markdown]
# ## Later, elsewhere

# %%
again = sp.load_run("runs/patients")
later = again.evaluate("later.csv")
print(f"{later.rows} later patients: accuracy {later.accuracy:.3f}")
again.classifier.predict_proba("later.csv")[:3].round(3), again.classifier.classes.names

# %% [markdown]
# Or from the command line:

# %% language="sh"
# steepest predict runs/patients later.csv -o predictions.csv
# head -3 predictions.csv

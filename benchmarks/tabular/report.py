"""What was found, as text: a table of methods, then wins and losses table by table."""

from collections.abc import Iterator

import numpy as np

from tabular.ranks import MEASURES, Comparison, critical_difference
from tabular.results import Key, Line

HEADS = "rank   (ll)  (acc)  log loss  accuracy  balanced    AUC    ECE   fit s  predict s   MiB"


def summary(compared: Comparison) -> Iterator[str]:
    """Mean ranks and means over tables, best rank first.

    Means are over the tables where every method has figures; seconds are sums over these.
    """
    together = ~np.isnan(np.stack([compared.values[m] for m in MEASURES])).any((0, 2))
    yield f"{len(compared.methods)} methods on {len(compared.tables)} tables"
    if not together.all():
        without = [t for t, kept in zip(compared.tables, together, strict=True) if not kept]
        yield f"means without {', '.join(without)}, where a method has no figures (it ranks last)"
    yield f"{'':24s} {HEADS}"
    memory = compared.values["memory_mib"][together].max(0, initial=0)
    ranks = compared.mean_ranks()
    by_loss, by_accuracy = (compared.ranks(m).mean(0) for m in ("log_loss", "accuracy"))
    for i in np.argsort(ranks):
        means = [compared.values[m][together, i].mean() for m in MEASURES]
        sums = [compared.values[m][together, i].sum() for m in ("fit_seconds", "predict_seconds")]
        yield (
            f"{compared.methods[i]:24s} {ranks[i]:4.2f}  {by_loss[i]:5.2f}  {by_accuracy[i]:5.2f}"
            f"  {means[0]:8.4f}  {means[1]:8.4f}  {means[2]:8.4f}  {means[3]:.3f}  {means[4]:.3f}"
            f"  {sums[0]:6.1f}  {sums[1]:9.1f}  {memory[i]:4.0f}"
        )
    difference = critical_difference(len(compared.methods), len(compared.tables))
    yield f"critical difference of the ranks by one measure (Nemenyi, 5 %): {difference:.2f}"


def against(compared: Comparison, ours: str, others: set[str]) -> Iterator[str]:
    """Where `ours` is ahead and where it is behind, for each of the others."""
    me = compared.methods.index(ours)
    for other, name in enumerate(compared.methods):
        if other == me or name not in others:
            continue
        yield f"\n{ours} and {name}"
        for measure in ("log_loss", "accuracy"):
            ranks = compared.ranks(measure)
            ahead, behind = ranks[:, me] < ranks[:, other], ranks[:, me] > ranks[:, other]
            equal = len(ranks) - ahead.sum() - behind.sum()
            yield f"  {measure}: {ahead.sum()} won, {behind.sum()} lost, {equal} equal"
            yield from _differences("won ", compared, measure, (me, other), ahead)
            yield from _differences("lost", compared, measure, (me, other), behind)


def _differences(
    word: str, compared: Comparison, measure: str, pair: tuple[int, int], where: np.ndarray
) -> Iterator[str]:
    mine, theirs = (compared.values[measure][:, i] for i in pair)
    shown = [
        f"{compared.tables[t]} {mine[t]:.3f}/{theirs[t]:.3f}"
        for t in sorted(np.flatnonzero(where), key=lambda t: -abs(mine[t] - theirs[t]))
    ]
    if shown:
        yield f"    {word} {', '.join(shown)}"


def failures(lines: dict[Key, Line]) -> Iterator[str]:
    """The fits that ended without figures, and why."""
    for (table, number, method), line in sorted(lines.items()):
        if line["status"] != "done":
            yield f"{method} on {table}, split {number}: {line['status']}, {line.get('error', '')}"

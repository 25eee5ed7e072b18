"""JAX: first weights, order, an epoch and the loss after it, compiled once for many by vmap."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from peers.sweep_task import Task

RUNS = 10_000
_WIDTHS, _BATCH, _MOMENTUM = (20, 32, 32, 2), 32, 0.9
_AT_ONCE = (16, 64, 250, 1000)


def contestants(task: Task) -> dict[str, Callable[[int], float]]:
    """By how many are trained at once."""
    return {f"{count} at once": partial(_train_all, task, count) for count in _AT_ONCE}


_compiled: dict[int, object] = {}


def _train_all(task: Task, at_once: int, runs: int) -> float:
    rows = [jnp.asarray(a) for a in (task.inputs, task.targets, task.held_out, task.their_targets)]
    train = _compiled.setdefault(at_once, jax.jit(jax.vmap(partial(_one, *rows))))
    rates, losses = task.rates(runs).astype(np.float32), []
    for first in range(0, runs, at_once):
        seeds = jnp.arange(first, first + at_once)  # the last ones may be more than were asked for
        lr = jnp.asarray(np.resize(rates[first:], at_once))
        losses.append(train(seeds, lr))  # type: ignore[operator]
    return float(np.concatenate([np.asarray(one) for one in losses]).mean())


def _forward(weights, x):  # type: ignore[no-untyped-def]
    for w, b in weights[:-1]:
        x = jax.nn.relu(x @ w + b)
    w, b = weights[-1]
    return x @ w + b


def _loss(weights, x, y):  # type: ignore[no-untyped-def]
    log_p = jax.nn.log_softmax(_forward(weights, x))
    return -jnp.take_along_axis(log_p, y[:, None], axis=1).mean()


def _one(x, y, held_out, their_y, seed, lr):  # type: ignore[no-untyped-def]
    keys = jax.random.split(jax.random.key(seed), len(_WIDTHS))
    weights = [
        (jax.random.normal(key, (a, b)) * np.sqrt(2 / a), jnp.zeros(b))
        for key, (a, b) in zip(keys[1:], pairwise(_WIDTHS), strict=True)
    ]
    steps = len(x) // _BATCH  # without the last short minibatch, which no compiled shape fits
    order = jax.random.permutation(keys[0], len(x))[: steps * _BATCH].reshape(steps, _BATCH)

    def step(state, batch):  # type: ignore[no-untyped-def]
        weights, velocity = state
        gradients = jax.grad(_loss)(weights, x[batch], y[batch])
        velocity = jax.tree.map(lambda v, g: _MOMENTUM * v + g, velocity, gradients)
        return (jax.tree.map(lambda w, v: w - lr * v, weights, velocity), velocity), None

    zeros = jax.tree.map(jnp.zeros_like, weights)
    (weights, _), _ = jax.lax.scan(step, (weights, zeros), order)
    return _loss(weights, held_out, their_y)

"""JAX: a whole epoch in one compiled lax.scan; for many models at once, that under vmap."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from workloads import Workload

_ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu}


def _forward(workload: Workload, parameters: Any, x: Any) -> Any:
    for weight, bias in parameters[:-1]:
        x = _ACTIVATIONS[workload.activation](x @ weight + bias)
    weight, bias = parameters[-1]
    return x @ weight + bias


def _losses(workload: Workload, parameters: Any, x: Any, y: Any) -> Any:
    logits = _forward(workload, parameters, x)
    log_p = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(log_p, y[:, None], axis=1).mean()


def _train(workload: Workload, parameters: Any, order: Any, x: Any, y: Any) -> Any:
    """order: (steps, batch). Drops the last short minibatch, which no compiled shape fits."""

    def step(state: Any, batch: Any) -> Any:
        parameters, velocity = state
        loss, g = jax.value_and_grad(partial(_losses, workload))(parameters, x[batch], y[batch])
        velocity = jax.tree.map(lambda v, g: workload.momentum * v + g, velocity, g)
        parameters = jax.tree.map(lambda p, v: p - workload.lr * v, parameters, velocity)
        return (parameters, velocity), loss

    zeros = jax.tree.map(jnp.zeros_like, parameters)
    (parameters, _), losses = jax.lax.scan(step, (parameters, zeros), order)
    return parameters, losses.mean()


def _order(workload: Workload, seed: int) -> Any:
    steps = len(workload.inputs) // workload.batch_size
    order = np.random.default_rng(seed).permutation(len(workload.inputs))
    return order[: steps * workload.batch_size].reshape(steps, -1).astype(np.int32)


def epoch(workload: Workload) -> Callable[[], float]:
    x, y = jnp.asarray(workload.scaled), jnp.asarray(workload.targets)
    first = [(jnp.asarray(w.T), jnp.asarray(b)) for w, b in workload.first_weights()]
    train = jax.jit(partial(_train, workload))

    def run() -> float:
        parameters, loss = train(first, jnp.asarray(_order(workload, 0)), x, y)
        jax.block_until_ready(parameters)
        return float(loss)

    return run


def epoch_of_many(workload: Workload, models: int) -> Callable[[], float]:
    x, y = jnp.asarray(workload.scaled), jnp.asarray(workload.targets)
    first = [
        (jnp.stack([jnp.asarray(w.T)] * models), jnp.stack([jnp.asarray(b)] * models))
        for w, b in workload.first_weights()
    ]
    train = jax.jit(jax.vmap(partial(_train, workload), in_axes=(0, 0, None, None)))
    orders = jnp.stack([jnp.asarray(_order(workload, seed)) for seed in range(models)])

    def run() -> float:
        parameters, losses = train(first, orders, x, y)
        jax.block_until_ready(parameters)
        return float(losses.mean())

    return run

"""JAX: an epoch is one compiled lax.scan over indexed minibatches; AdamW written out."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from speedrun.contestants import Images, Labels, Predict, Sizes, Train
from speedrun.goals import Entry

_DECAYS, _EPS, _KEPT = (0.9, 0.999), 1e-8, 0.9
_ROWS_AT_ONCE = 1000
Tree = Any


def _first(entry: Entry, pixels: int, classes: int, rng: np.random.Generator) -> Tree:
    """Weights by He, in the order of the layers; each but the last with scale and offset."""
    widths = entry.channels or entry.hidden
    shapes: list[tuple[int, ...]] = []
    fan_in = 1 if entry.channels else pixels
    for number, width in enumerate(widths):
        shapes.append((3, 3, fan_in, width) if entry.channels else (fan_in, width))
        shapes += [(3, 3, width, width)] if entry.channels and number else []
        fan_in = width

    def drawn(shape: tuple[int, ...]) -> Any:
        spread = np.sqrt(2 / np.prod(shape[:-1]))
        return jnp.asarray(rng.normal(0, spread, shape).astype(np.float32))

    layers = [(drawn(shape), jnp.ones(shape[-1]), jnp.zeros(shape[-1])) for shape in shapes]
    return [*layers, (drawn((fan_in, classes)), jnp.zeros(classes))]


def _statistics(layers: Tree) -> Tree:
    return [(jnp.zeros(layer[2].shape), jnp.ones(layer[2].shape)) for layer in layers[:-1]]


def _forward(entry: Entry, layers: Tree, kept: Tree, x: Any, training: bool) -> tuple[Any, Tree]:
    """Logits of x (B, H, W, 1), and the statistics of the normalisations."""
    seen = []

    def normalised(x: Any, layer: Any, known: Any) -> Any:
        axes = tuple(range(x.ndim - 1))
        mean, variance = (x.mean(axes), x.var(axes)) if training else known
        seen.append(
            tuple(
                _KEPT * old + (1 - _KEPT) * new
                for old, new in zip(known, (mean, variance), strict=True)
            )
        )
        return jax.nn.relu((x - mean) * (layer[1] * jax.lax.rsqrt(variance + 1e-5)) + layer[2])

    convolved = partial(
        jax.lax.conv_general_dilated,
        window_strides=(1, 1), padding="SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
    pairs = iter(zip(layers[:-1], kept, strict=True))
    if not entry.channels:
        x = x.reshape(len(x), -1)
        for layer, known in pairs:
            x = normalised(x @ layer[0], layer, known)
    for number, _ in enumerate(entry.channels):
        layer, known = next(pairs)
        pooled = jax.lax.reduce_window(
            convolved(x, layer[0]), -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"
        )
        x = normalised(pooled, layer, known)
        if number:
            layer, known = next(pairs)
            x = x + normalised(convolved(x, layer[0]), layer, known)
    if entry.channels:
        x = x.mean((1, 2))
    weight, bias = layers[-1]
    return x @ weight + bias, seen


def _changed(entry: Entry, x: Any, key: Any) -> Any:
    if entry.flip:
        mirrored = jax.random.bernoulli(key, 0.5, (len(x), 1, 1, 1))
        x = jnp.where(mirrored, x[:, :, ::-1], x)
    if entry.shift:
        most = entry.shift
        around = jnp.pad(x, ((0, 0), (most, most), (most, most), (0, 0)))
        by = jax.random.randint(jax.random.fold_in(key, 1), (len(x), 2), 0, 2 * most + 1)
        cut = partial(jax.lax.dynamic_slice, slice_sizes=x.shape[1:])
        x = jax.vmap(lambda image, at: cut(image, (at[0], at[1], 0)))(around, by)
    return x


def _epoch(entry: Entry, steps: int, state: Tree, order: Any, x: Any, y: Any, key: Any) -> Tree:
    """All minibatches of an epoch; order: (minibatches, rows)."""
    warm = max(1, round(entry.warmup * steps))

    def loss_of(layers: Tree, kept: Tree, batch: Any, key: Any) -> Any:
        logits, seen = _forward(entry, layers, kept, _changed(entry, x[batch], key), True)
        log_p, smooth = jax.nn.log_softmax(logits), entry.label_smoothing
        right = jnp.take_along_axis(log_p, y[batch][:, None], 1)[:, 0]
        return -((1 - smooth) * right + smooth * log_p.mean(1)).mean(), seen

    def step(state: Tree, batch: Any) -> tuple[Tree, None]:
        layers, kept, first, second, done = state
        gradient, kept = jax.grad(loss_of, has_aux=True)(
            layers, kept, batch, jax.random.fold_in(key, done)
        )
        a, b = _DECAYS
        first = jax.tree.map(lambda m, g: a * m + (1 - a) * g, first, gradient)
        second = jax.tree.map(lambda v, g: b * v + (1 - b) * g * g, second, gradient)
        fallen = (1 + jnp.cos(jnp.pi * (done - warm) / (steps - warm))) / 2
        rate = entry.lr * jnp.where(done < warm, (done + 1) / warm, fallen)
        done = done + 1
        root = jnp.sqrt(1 - b**done)

        def moved(w: Any, m: Any, v: Any) -> Any:
            towards = m / (1 - a**done) / (jnp.sqrt(v) / root + _EPS)
            return w - rate * (towards + entry.weight_decay * w)

        return (jax.tree.map(moved, layers, first, second), kept, first, second, done), None

    return jax.lax.scan(step, state, order)[0]


def jax_scan(entry: Entry, sizes: Sizes, threads: int) -> Train:
    """Drops the last short minibatch of an epoch. XLA takes the processors it is pinned to."""
    batches = sizes.rows // entry.batch_size
    pixels = math.prod(sizes.image)

    def begun(seed: int) -> Tree:
        layers = _first(entry, pixels, sizes.classes, np.random.default_rng(seed))
        zeros = jax.tree.map(jnp.zeros_like, layers)
        return layers, _statistics(layers), zeros, zeros, jnp.int32(0)

    order = jnp.zeros((batches, entry.batch_size), jnp.int32)
    images = jax.ShapeDtypeStruct((sizes.rows, *sizes.image, 1), jnp.float32)
    labels = jax.ShapeDtypeStruct((sizes.rows,), jnp.int32)
    whole = jax.jit(partial(_epoch, entry, entry.epochs * batches))
    epoch = whole.lower(begun(0), order, images, labels, jax.random.key(0)).compile()

    def train(images: Images, labels: Labels, seed: int) -> Predict:
        mean, deviation = images.mean() / 255, images.std() / 255

        def scaled(images: Images) -> Any:
            return jnp.asarray(((images / 255 - mean) / deviation).astype(np.float32)[..., None])

        x, y = scaled(images), jnp.asarray(labels.astype(np.int32))
        rng, state = np.random.default_rng(seed), begun(seed)
        for _ in range(entry.epochs):
            rows = rng.permutation(len(x))[: batches * entry.batch_size].astype(np.int32)
            order = jnp.asarray(rows.reshape(batches, -1))
            state = epoch(state, order, x, y, jax.random.key(seed))
        jax.block_until_ready(state)
        forward = jax.jit(lambda x: _forward(entry, state[0], state[1], x, False)[0].argmax(1))

        def predict(images: Images) -> Labels:
            parts = np.array_split(images, -(-len(images) // _ROWS_AT_ONCE))
            return np.concatenate([np.asarray(forward(scaled(part))) for part in parts])

        return predict

    return train

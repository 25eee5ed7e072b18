"""Rows shuffled by blocks: the same order in both engines, however many steps one call takes."""

import numpy as np
import pytest
import torch

import steepest as sp
from steepest.engine import contract


@pytest.mark.parametrize("settings", [{}, {"mixup": 0.3, "momentum": 0.9}])
def test_both_engines_take_the_same_steps(blobs, monkeypatch, settings):
    monkeypatch.setattr(contract, "_BLOCK_BYTES", 4 * 4 * 10)  # ten rows
    made = {"sampling": "blocks", "epochs": 3, "batch_size": 16, "progress": "none", **settings}
    X = blobs[0].astype(np.float32)
    native, plain = (sp.train(None, (X, blobs[1]), engine=e, **made) for e in ("native", "torch"))
    assert native.info["engine"] == "native"
    for p, q in zip(native.model.parameters(), plain.model.parameters(), strict=True):
        assert torch.allclose(p, q, rtol=1e-4, atol=1e-5)
    shuffled = sp.train(None, (X, blobs[1]), engine="native", **(made | {"sampling": "shuffle"}))
    same = zip(native.model.parameters(), shuffled.model.parameters(), strict=True)
    assert not all(torch.equal(p, q) for p, q in same)

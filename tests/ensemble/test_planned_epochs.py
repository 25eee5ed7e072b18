"""Where a time limit leaves fewer epochs, the numbers of a net end with these."""

import numpy as np
import torch

import steepest as sp
from steepest.ensemble.member_run import MemberRun
from steepest.ensemble.portfolio import prepare_portfolio

SCHEDULED = {
    "preset": "tabular",
    "members": 2,
    "hidden": (16,),
    "epochs": 8,
    "dropout_schedule": "cosine",
    "weight_decay": 0.3,
    "weight_decay_schedule": "flat_cos",
}


def member_run(engine):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 4)).astype(np.float32)
    dataset = sp.load_data((x, (x[:, 0] > 0).astype(int)))
    recipe = sp.Recipe(**SCHEDULED, engine=engine, validation=0.0, batch_size=16, lr=0.01)
    portfolio = prepare_portfolio(dataset, recipe)
    return MemberRun(portfolio, portfolio.members[0], 8)


def taken(run, epochs):
    for _ in range(epochs):
        assert run.take_epoch(lambda: False)
        run.close_epoch()
    run.state()
    return {name: tensor.clone() for name, tensor in run.plan.model.state_dict().items()}


def test_what_is_planned_anew_on_the_way_is_what_was_planned_so_from_there():
    for engine in ("native", "torch"):
        anew, again, unchanged = (member_run(engine) for _ in range(3))
        for run in (anew, again, unchanged):
            run.begin()
            taken(run, 1)
        anew.lengthen(3)
        kept = again.state()[1]
        again = resumed_as_planned(again, kept)
        one, other, whole = (taken(run, 2) for run in (anew, again, unchanged))
        assert anew.plan.planned_steps == 3 * anew.plan.steps_per_epoch
        assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
        assert not all(torch.equal(tensor, whole[name]) for name, tensor in one.items())


def resumed_as_planned(run, optimizer):
    """As a checkpoint of the shorter plan is gone on with: planned first, then begun."""
    run._begun = False
    run.lengthen(3)
    run.begin(optimizer)
    return run

"""Schedules give the numbers of torch.optim.lr_scheduler."""

import math

import pytest
import torch
from torch.optim import lr_scheduler

import steepest as sp
from steepest import Recipe
from steepest.errors import RecipeError
from steepest.training.schedule import TorchSchedule, make_schedule

EPOCHS, PER_EPOCH = 12, 5
TOTAL = EPOCHS * PER_EPOCH


def rates(recipe, val_losses=None):
    schedule = make_schedule(recipe, recipe.base_lr, PER_EPOCH, TOTAL)
    found = []
    for epoch in range(EPOCHS):
        found += [schedule.rate(i) for i in range(epoch * PER_EPOCH, (epoch + 1) * PER_EPOCH)]
        schedule.epoch_done(None if val_losses is None else val_losses[epoch])
    return found


def torch_rates(make, *, each_step, val_losses=None, lr=0.1):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = make(optimizer)
    found = []
    for step in range(TOTAL):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        epoch_over = step % PER_EPOCH == PER_EPOCH - 1
        if val_losses is not None and epoch_over:
            scheduler.step(val_losses[step // PER_EPOCH])
        elif val_losses is None and (each_step or epoch_over):
            scheduler.step()
    return found


BY_EPOCH = {
    "step": ({"step_size": 3, "gamma": 0.5}, lambda o: lr_scheduler.StepLR(o, 3, 0.5)),
    "multistep": (
        {"milestones": (2, 7), "gamma": 0.2},
        lambda o: lr_scheduler.MultiStepLR(o, [2, 7], 0.2),
    ),
    "exponential": ({"gamma": 0.8}, lambda o: lr_scheduler.ExponentialLR(o, 0.8)),
}
BY_STEP = {
    "cosine": ({"min_lr": 0.01}, lambda o: lr_scheduler.CosineAnnealingLR(o, TOTAL, 0.01)),
    "one_cycle": (
        {},
        lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=TOTAL, cycle_momentum=False),
    ),
}


@pytest.mark.parametrize("name", BY_EPOCH)
def test_schedules_by_the_epoch(name):
    settings, make = BY_EPOCH[name]
    assert rates(Recipe(schedule=name, **settings)) == pytest.approx(
        torch_rates(make, each_step=False), rel=1e-9
    )


@pytest.mark.filterwarnings("ignore:Detected call of .lr_scheduler.step:UserWarning")
@pytest.mark.parametrize("name", BY_STEP)
def test_schedules_by_the_step(name):
    settings, make = BY_STEP[name]

    def one_short(optimizer):  # OneCycleLR may be asked for one rate less than there are calls
        scheduler = make(optimizer)
        step, scheduler.calls = scheduler.step, 0

        def counted():
            scheduler.calls += 1
            if scheduler.calls < TOTAL:
                step()

        scheduler.step = counted
        return scheduler

    assert rates(Recipe(schedule=name, **settings)) == pytest.approx(
        torch_rates(one_short, each_step=True), rel=1e-6
    )


def test_cosine_with_restarts():
    expected = torch_rates(
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 4 * PER_EPOCH), each_step=True
    )
    assert rates(Recipe(schedule="cosine", restart_every=4)) == pytest.approx(expected, rel=1e-9)


def chained(schedule):
    """LinearLR times a schedule, as torch multiplies them; each moved once a step."""
    return lambda o, w: lr_scheduler.ChainedScheduler([linear(o, w), schedule(o)])


def after(schedule):
    """The schedule begins when LinearLR has ended."""
    return lambda o, w: lr_scheduler.SequentialLR(o, [linear(o, w), schedule(o, w)], [w])


def linear(optimizer, w):
    return lr_scheduler.LinearLR(optimizer, 1 / w, total_iters=w - 1)


WARMED_UP = {
    "constant": ({}, chained(lambda o: lr_scheduler.ConstantLR(o, 1.0))),
    "step": (
        {"step_size": 2, "gamma": 0.5},
        chained(lambda o: lr_scheduler.StepLR(o, 2 * PER_EPOCH, 0.5)),
    ),
    "multistep": (
        {"milestones": (1, 2, 7), "gamma": 0.2},
        chained(lambda o: lr_scheduler.MultiStepLR(o, [k * PER_EPOCH for k in (1, 2, 7)], 0.2)),
    ),
    "exponential": (
        {"gamma": 0.8},
        chained(lambda o: lr_scheduler.MultiplicativeLR(o, lambda i: 1 if i % PER_EPOCH else 0.8)),
    ),
    "cosine": (
        {"min_lr": 0.01},
        after(lambda o, w: lr_scheduler.CosineAnnealingLR(o, TOTAL - w, 0.01)),
    ),
    "restarts": (
        {"min_lr": 0.01, "restart_every": 2},
        after(lambda o, w: lr_scheduler.CosineAnnealingWarmRestarts(o, 2 * PER_EPOCH, 1, 0.01)),
    ),
}


@pytest.mark.parametrize("warmup", [2, 17, 17 / TOTAL])
@pytest.mark.parametrize("name", WARMED_UP)
def test_a_warm_up_is_linear_lr_times_the_schedule(name, warmup):
    settings, make = WARMED_UP[name]
    w = warmup if warmup >= 1 else round(warmup * TOTAL)
    expected = torch_rates(lambda o: make(o, w), each_step=True)
    schedule = "cosine" if name == "restarts" else name
    found = rates(Recipe(schedule=schedule, warmup=warmup, **settings))
    # The reciprocal 1 / w is rounded in LinearLR's first factor and follows it.
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("schedule", [*WARMED_UP, "plateau"])
@pytest.mark.parametrize("warmup", [1, 7, TOTAL, 3 * TOTAL, 0.9])
def test_the_rate_of_a_warm_up_is_the_schedule_s_times_a_share(schedule, warmup):
    """Where the schedule counts from the first step of the run: all but the cosine, which waits."""
    val_losses = [1.0, 1.0, 1.0, 0.5, *[0.6] * 8]
    settings, _ = WARMED_UP.get(schedule, ({"plateau_patience": 0, "gamma": 0.5}, None))
    recipe = Recipe(schedule="cosine" if schedule == "restarts" else schedule, **settings)
    w = warmup if warmup >= 1 else round(warmup * TOTAL)
    found = rates(recipe.replace(warmup=warmup), val_losses)
    plain = rates(recipe, val_losses)
    if recipe.schedule == "cosine":
        plain = [0.1] * w  # what follows was compared with torch
        found = found[:w]
    expected = [rate * min(1.0, (step + 1) / w) for step, rate in enumerate(plain[:TOTAL])]
    assert found == pytest.approx(expected[: len(found)], rel=1e-12)


def test_reduce_on_plateau():
    val_losses = [1.0, 0.9, 0.95, 0.91, 0.92, 0.93, 0.94, 0.5, 0.6, 0.6, 0.6, 0.6]
    expected = torch_rates(
        lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=0.3, patience=2),
        each_step=False,
        val_losses=val_losses,
    )
    recipe = Recipe(schedule="plateau", gamma=0.3, plateau_patience=2)
    assert rates(recipe, val_losses) == pytest.approx(expected, rel=1e-9)
    assert len(set(expected)) == 3


@pytest.mark.parametrize("every", ["epoch", "step"])
def test_any_scheduler_of_torch(blobs, every):
    """`train` gives a scheduler's rates to the engine: the record has them."""
    run = sp.train(
        None,
        blobs,
        epochs=4,
        log_every=1,
        progress="none",
        scheduler=lambda o: lr_scheduler.LambdaLR(o, lambda n: 1 / (1 + n)),
        scheduler_every=every,
    )
    n = run.intervals["epoch"] if every == "epoch" else run.intervals["step"] - 1
    assert run.intervals["lr"].to_list() == pytest.approx([0.1 / (1 + k) for k in n])


def test_a_scheduler_that_looks_at_the_validation_loss():
    schedule = TorchSchedule(
        lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=0.1, patience=0), 1.0, each_step=False
    )
    assert schedule.rate(0) == 1.0
    schedule.epoch_done(0.5)
    schedule.epoch_done(0.6)
    assert schedule.rate(10) == pytest.approx(0.1)


def test_a_scheduler_of_one_s_own_is_given_the_validation_loss():
    class Lower:
        def __init__(self, optimizer):
            self.group = optimizer.param_groups[0]

        def step(self, loss):
            self.group["lr"] = loss / 2

    schedule = TorchSchedule(Lower, 1.0, each_step=False)
    schedule.epoch_done(0.5)
    assert schedule.rate(10) == 0.25


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"scheduler": lambda o: 3},
            "scheduler must make a scheduler of torch.optim.lr_scheduler from an optimizer, but makes a int",
        ),
        (
            {"scheduler": lambda o: lr_scheduler.StepLR(o, 1), "schedule": "cosine"},
            "the recipe has a schedule and a scheduler was given; leave out one of the two",
        ),
        (
            {"scheduler": lambda o: lr_scheduler.ReduceLROnPlateau(o), "validation": 0.0},
            "scheduler ReduceLROnPlateau needs a validation part: set validation to a share or a file",
        ),
        (
            {"scheduler": lambda o: lr_scheduler.ReduceLROnPlateau(o), "scheduler_every": "step"},
            "scheduler ReduceLROnPlateau looks at the validation loss, which comes once an epoch: leave out scheduler_every",
        ),
        ({"scheduler_every": "day"}, "scheduler_every must be 'epoch' or 'step', but is 'day'"),
        (
            {"schedule": "plateau", "early_stopping": True, "validation": 0.0},
            "early_stopping and schedule plateau need a validation part: set validation to a share or a file",
        ),
    ],
)
def test_what_does_not_fit_is_refused(blobs, arguments, message):
    with pytest.raises(RecipeError) as error:
        sp.train(None, blobs, progress="none", **arguments)
    assert str(error.value) == message


def test_a_warm_up_begins_near_zero_and_never_at_it():
    assert 0 < rates(Recipe(warmup=20))[0] < 0.01
    assert math.isclose(rates(Recipe(warmup=20))[19], 0.1)


def test_a_warm_up_that_is_longer_than_the_run_is_said(blobs):
    seen = []
    run = sp.train(None, blobs, epochs=1, warmup=20, progress="none", observers=[seen.append])
    assert run.intervals["lr"][-1] == pytest.approx(0.1 * 6 / 20)
    assert (
        "the warm-up of 20 steps is longer than the run of 6: the learning rate reaches 30 % of "
        "the schedule's"
    ) in seen[0].summary

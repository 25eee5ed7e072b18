"""The torch engine's toolbox is what PyTorch's own classes compute, in the loop a user would write."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

import steepest as sp
from steepest import Recipe
from steepest.data import Preprocessing, Samples
from steepest.engine import Augmentation, Plan, TorchEngine, parameter_settings
from steepest.engine.masks import Masks
from steepest.errors import RecipeError
from steepest.objective import Objective, TrainingLoss
from steepest.random import Purpose, drawn, uniform, uniform_of_steps, words


def make_plan(recipe, *, classes=4, norm=False, rows=70, double=True):
    torch.manual_seed(1)
    outputs = 1 if classes == 2 else classes
    layers = [nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, outputs)]
    model = nn.Sequential(*layers[:1], *[nn.BatchNorm1d(12)] * norm, *layers[1:])
    rng = np.random.default_rng(0)
    samples = Samples(rng.normal(0, 1, (rows, 6)).astype(np.float32), None, "test")
    inputs = Preprocessing.fit(samples, "none").prepare(samples)
    objective = Objective("binary" if classes == 2 else "multiclass")
    targets = rng.integers(0, classes, rows)
    return Plan(model.double() if double else model, objective, inputs, targets, recipe)


def engine_run(plan, rates):
    engine = TorchEngine()
    engine.load(plan)
    losses = [engine.advance([rate]).loss for rate in rates]
    return losses, engine.export()


class Loop:
    """A PyTorch user's loop over the plan's minibatches; its parts can be replaced."""

    def __init__(self, plan, optimizer, loss=None, *, before_update=None, after_update=None):
        self.plan, self.optimizer = plan, optimizer
        self.loss = loss or nn.CrossEntropyLoss()
        self.before_update = before_update or (lambda: None)
        self.after_update = after_update or (lambda: None)

    def run(self, rates):
        x = torch.from_numpy(self.plan.inputs.block(0, self.plan.rows)).double()
        y = torch.from_numpy(self.plan.targets)
        batches = itertools.chain.from_iterable(
            torch.from_numpy(self.plan.order(epoch)).split(self.plan.batch_size)
            for epoch in itertools.count()
        )
        losses = []
        self.plan.model.train()
        for rate, batch in zip(rates, batches, strict=False):
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group.get("scale", 1.0)
            loss = self.loss(self.plan.model(x[batch]), y[batch])
            self.optimizer.zero_grad()
            loss.backward()
            self.before_update()
            self.optimizer.step()
            self.after_update()
            losses.append(loss.item())
        return losses


RATES = np.linspace(0.02, 0.001, 100).tolist()


def compare(recipe, make_loop, **data):
    ours, theirs = make_plan(recipe, **data), make_plan(recipe, **data)
    losses, state = engine_run(ours, RATES)
    assert losses == pytest.approx(make_loop(theirs).run(RATES), rel=1e-9)
    for p, q in zip(ours.model.parameters(), theirs.model.parameters(), strict=True):
        assert torch.allclose(p, q, rtol=1e-9, atol=1e-12)
    return ours, theirs, state


@pytest.mark.parametrize(
    ("settings", "make"),
    [
        (
            {"optimizer": "adam", "weight_decay": 0.01, "betas": (0.8, 0.99)},
            lambda p: torch.optim.Adam(p, weight_decay=0.01, betas=(0.8, 0.99)),
        ),
        (
            {"optimizer": "adamw", "weight_decay": 0.1, "eps": 1e-5},
            lambda p: torch.optim.AdamW(p, weight_decay=0.1, eps=1e-5),
        ),
        ({"optimizer": "rmsprop"}, torch.optim.RMSprop),
        (
            {"optimizer": "rmsprop", "momentum": 0.5, "rms_decay": 0.9, "weight_decay": 0.01},
            lambda p: torch.optim.RMSprop(p, momentum=0.5, alpha=0.9, weight_decay=0.01),
        ),
        (
            {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
            lambda p: torch.optim.SGD(p, momentum=0.9, nesterov=True, weight_decay=0.01, lr=1.0),
        ),
    ],
)
def test_optimizers_are_those_of_torch(settings, make):
    recipe = Recipe(batch_size=16, **settings)
    compare(recipe, lambda plan: Loop(plan, make(plan.model.parameters())))


def test_lbfgs_is_torchs_with_its_line_search():
    recipe = Recipe(optimizer="lbfgs", batch_size="full")
    ours, theirs = make_plan(recipe), make_plan(recipe)
    losses, _ = engine_run(ours, [1.0] * 8)
    x = torch.from_numpy(theirs.inputs.block(0, 70)).double()[torch.from_numpy(theirs.order(0))]
    y = torch.from_numpy(theirs.targets)[torch.from_numpy(theirs.order(0))]
    optimizer = torch.optim.LBFGS(
        theirs.model.parameters(), max_iter=1, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(theirs.model(x), y)
        loss.backward()
        return loss

    assert losses == pytest.approx([optimizer.step(closure).item() for _ in range(8)], rel=1e-6)
    assert losses[-1] < losses[0]


def test_penalties_are_the_lectures():
    """L(W) = data loss + l1 sum |w| + l2 sum w^2 over the weights, autograd taking the gradient."""
    recipe = Recipe(batch_size=16, l1=0.01, l2=0.02)

    def make(plan):
        weights = [p for p in plan.model.parameters() if p.ndim > 1]
        data_loss = nn.CrossEntropyLoss()
        loop = Loop(plan, torch.optim.SGD(plan.model.parameters(), lr=1.0))

        def add():
            penalty = sum(0.01 * w.abs().sum() + 0.02 * w.square().sum() for w in weights)
            penalty.backward()

        loop.loss, loop.before_update = data_loss, add
        return loop

    compare(recipe, make)


def test_the_gradient_of_l2_is_twice_that_of_weight_decay_of_the_same_number():
    decayed = make_plan(Recipe(weight_decay=0.02, batch_size="full"))
    penalised = make_plan(Recipe(l2=0.01, penalise_biases=True, batch_size="full"))
    for plan in (decayed, penalised):
        engine_run(plan, [0.1] * 5)
    for p, q in zip(decayed.model.parameters(), penalised.model.parameters(), strict=True):
        assert torch.allclose(p, q, rtol=1e-12)


@pytest.mark.parametrize(
    ("settings", "clip"),
    [
        ({"clip_norm": 0.3}, lambda p: nn.utils.clip_grad_norm_(p, 0.3)),
        ({"clip_value": 0.01}, lambda p: nn.utils.clip_grad_value_(p, 0.01)),
    ],
)
def test_clipping_is_torchs(settings, clip):
    def make(plan):
        parameters = list(plan.model.parameters())
        optimizer = torch.optim.SGD(parameters, lr=1.0, momentum=0.9)
        return Loop(plan, optimizer, before_update=lambda: clip(parameters))

    compare(Recipe(batch_size=16, momentum=0.9, **settings), make)


@pytest.mark.parametrize(
    ("settings", "rows"),
    [
        # 70 rows: nine minibatches of 8 and three of 24 an epoch, the last update of 22 rows.
        ({"class_weight": "balanced"}, 8),
        # Two rows of a class of weight 0, and smoothing that gives the others a share.
        ({"class_weight": (0.0, 0.0, 1.0, 2.0), "label_smoothing": 0.1}, 2),
        ({"class_weight": (0.0, 0.0, 1.0, 2.0)}, 1),
    ],
)
def test_accumulated_minibatches_make_the_update_of_one_large_one(settings, rows):
    small = make_plan(Recipe(batch_size=rows, accumulate=3, momentum=0.9, **settings))
    large = make_plan(Recipe(batch_size=3 * rows, momentum=0.9, **settings))
    engine_run(small, [0.1] * 18)
    engine_run(large, [0.1] * 6)
    for p, q in zip(small.model.parameters(), large.model.parameters(), strict=True):
        assert torch.allclose(p, q, rtol=1e-9)


def test_the_average_is_torchs():
    recipe = Recipe(batch_size=16, ema=0.9)
    averaged = []

    def make(plan):
        average = torch.optim.swa_utils.AveragedModel(
            plan.model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
        )
        averaged.append(average)
        optimizer = torch.optim.SGD(plan.model.parameters(), lr=1.0)
        return Loop(plan, optimizer, after_update=lambda: average.update_parameters(plan.model))

    _, _, state = compare(recipe, make)
    for name, p in averaged[0].module.named_parameters():
        assert torch.allclose(state[name]["average"], p, rtol=1e-9)


def test_groups_are_parameter_groups():
    groups = {"0.*": {"lr_scale": 0.1, "weight_decay": 0.0}, "*.bias": {"weight_decay": 0.3}}
    recipe = Recipe(batch_size=16, weight_decay=0.05, groups=groups)

    def make(plan):
        named = dict(plan.model.named_parameters())
        own = {
            "0.weight": (0.1, 0.0),
            "0.bias": (0.1, 0.3),
            "2.weight": (1, 0.05),
            "2.bias": (1, 0.3),
        }
        optimizer = torch.optim.SGD(
            [
                {"params": [named[name]], "scale": scale, "weight_decay": decay}
                for name, (scale, decay) in own.items()
            ],
            lr=1.0,
        )
        return Loop(plan, optimizer)

    compare(recipe, make)


def test_a_group_that_matches_nothing_is_refused():
    recipe = Recipe(groups={"7.*": {"lr_scale": 0.1}})
    with pytest.raises(RecipeError) as error:
        parameter_settings(recipe, nn.Sequential(nn.Linear(2, 2)))
    assert str(error.value) == (
        "groups has the pattern '7.*', which matches none of the parameters 0.weight, 0.bias"
    )


def test_a_group_may_be_called_by_its_role():
    model = nn.Sequential(
        nn.Embedding(9, 5),
        nn.Flatten(),
        sp.ScalingLayer(10),
        nn.Linear(10, 8),
        nn.LayerNorm(8),
        nn.Sequential(nn.Conv1d(1, 1, 3, bias=False), nn.Linear(6, 2)),
    )
    members = {
        "first layer": {"3.weight", "3.bias"},
        "last layer": {"5.1.weight", "5.1.bias"},
        "biases": {"3.bias", "4.bias", "5.1.bias"},
        "norms": {"4.weight", "4.bias"},
        "embeddings": {"0.weight"},
        "scaling": {"2.scale"},
    }
    for role, expected in members.items():
        recipe = Recipe(groups={role: {"lr_scale": 6.0}}, weight_decay=0.1)
        settings = parameter_settings(recipe, model)
        assert {name for name, own in settings.items() if own.lr_scale == 6.0} == expected
        assert all(own.weight_decay == 0.1 for own in settings.values())
    both = Recipe(groups={"biases": {"lr_scale": 0.1}, "4.*": {"lr_scale": 2.0, "l2": 0.3}})
    assert parameter_settings(both, model)["4.bias"].lr_scale == 2.0
    assert parameter_settings(both, model)["3.bias"].lr_scale == 0.1
    with pytest.raises(RecipeError) as error:
        parameter_settings(Recipe(groups={"norms": {"l1": 0.1}}), nn.Sequential(nn.Linear(2, 2)))
    assert str(error.value) == (
        "groups has 'norms', which matches none of the parameters 0.weight, 0.bias"
    )


WEIGHTS = (1.0, 0.3, 2.0, 5.0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_the_loss_is_torchs_cross_entropy(smoothing, weights):
    recipe = Recipe(batch_size=16, label_smoothing=smoothing, class_weight=weights)
    given = None if weights is None else torch.tensor(weights, dtype=torch.double)
    loss = nn.CrossEntropyLoss(weight=given, label_smoothing=smoothing)
    compare(
        recipe,
        lambda plan: Loop(plan, torch.optim.SGD(plan.model.parameters(), lr=1.0), loss),
    )


def test_pos_weight_is_that_of_bce_with_logits():
    loss = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([3.0], dtype=torch.double))
    compare(
        Recipe(batch_size=16, pos_weight=3.0),
        lambda plan: Loop(
            plan,
            torch.optim.SGD(plan.model.parameters(), lr=1.0),
            lambda z, y: loss(z.reshape(-1), y.double()),
        ),
        classes=2,
    )


def test_two_classes_with_one_logit_are_the_softmax_of_zero_and_it():
    one = TrainingLoss(Objective("binary"), 2, 0.2, (1.0, 4.0))
    two = TrainingLoss(Objective("multiclass"), 2, 0.2, (1.0, 4.0))
    z = torch.tensor([[-3.0], [0.2], [5.0]], dtype=torch.double)
    y, other = torch.tensor([0, 1, 1]), torch.tensor([1, 0, 1])
    as_two = torch.cat([torch.zeros_like(z), z], dim=1)
    assert one(z, y, other, 0.7).item() == pytest.approx(two(as_two, y, other, 0.7).item())


def test_the_focal_loss_follows_its_formula_and_is_cross_entropy_at_gamma_0():
    z = torch.tensor([[1.0, -2.0, 0.5, 0.0], [0.0, 3.0, 1.0, -1.0]], dtype=torch.double)
    y = torch.tensor([2, 1])
    p = torch.softmax(z, dim=1)[[0, 1], y]
    focal = make_plan(Recipe(loss="focal", focal_gamma=2.0)).loss
    assert focal(z, y).item() == pytest.approx((-((1 - p) ** 2) * p.log()).mean().item())
    plain = make_plan(Recipe(loss="focal", focal_gamma=0.0)).loss
    assert plain(z, y).item() == pytest.approx(nn.functional.cross_entropy(z, y).item())


def test_mixed_targets_are_a_weighted_sum_of_two_losses():
    loss = make_plan(Recipe(mixup=0.2)).loss
    z = torch.randn(5, 4, dtype=torch.double)
    a, b = torch.tensor([0, 1, 2, 3, 0]), torch.tensor([1, 1, 0, 2, 3])
    expected = 0.7 * nn.functional.cross_entropy(z, a) + 0.3 * nn.functional.cross_entropy(z, b)
    assert loss(z, a, b, 0.7).item() == pytest.approx(expected.item())


def test_weight_k_is_a_row_repeated_k_times():
    z, y = torch.randn(4, 3, dtype=torch.double), torch.tensor([0, 1, 1, 2])
    weighted = TrainingLoss(Objective("multiclass"), 3, 0.0, (1.0, 3.0, 2.0))
    rows = torch.tensor([0, 1, 1, 1, 2, 2, 2, 3, 3])
    repeated = nn.functional.cross_entropy(z[rows], y[rows])
    assert weighted(z, y).item() == pytest.approx(repeated.item())


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("multiclass", {}),
        ("multiclass", {"label_smoothing": 0.1}),
        ("multiclass", {"focal_gamma": 2.0}),
        ("binary", {"label_smoothing": 0.1, "pos_weight": 3.0}),
        ("multilabel", {"label_smoothing": 0.1, "pos_weight": 3.0}),
    ],
)
@pytest.mark.parametrize("outputs", ["logits", "probabilities"])
def test_rows_that_all_weigh_0_have_no_loss_and_no_gradient(kind, settings, outputs):
    """PyTorch divides 0 by 0 there: see the last line."""
    weights = {"binary": (0.0, 1.0), "multilabel": (0.0, 0.0, 0.0)}.get(kind, (0.0, 1.0, 0.0))
    loss = TrainingLoss(Objective(kind, outputs), len(weights), class_weights=weights, **settings)
    z = torch.rand(2, 1 if kind == "binary" else 3, requires_grad=True)
    y = torch.tensor([[1, 0, 1], [0, 0, 1]] if kind == "multilabel" else [0, 0])
    for mixed in [()] if "focal_gamma" in settings else [(), (y.roll(1, 0), 0.7)]:
        value = loss(z, y, *mixed)
        assert value == 0
        value.backward()
        assert torch.equal(z.grad, torch.zeros_like(z))
    broken = torch.full_like(z, torch.nan)
    assert loss(broken, y).isnan()
    zero = torch.tensor([0.0, 1.0, 0.0])
    assert nn.functional.cross_entropy(torch.rand(2, 3), torch.zeros(2).long(), zero).isnan()


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ((1.0, 2.0), "class_weight must have one number for each of the 4 classes, but has 2"),
        (
            (0.0,) * 4,
            "class_weight gives all training rows the weight 0, and nothing would be learned: "
            "give one of their classes a number above 0",
        ),
        ({"9": 1.0}, "class_weight names '9', which is no class: the classes are 0, 1, 2, 3"),
    ],
)
def test_class_weights_that_do_not_fit_are_refused(class_weight, message):
    with pytest.raises(RecipeError) as error:
        _ = make_plan(Recipe(class_weight=class_weight)).loss
    assert str(error.value) == message


def test_a_last_minibatch_of_one_row_uses_batch_norms_running_statistics():
    plan = make_plan(Recipe(batch_size=23), norm=True)  # 70 rows: 23, 23, 23 and 1
    norm = plan.model[1]
    engine = TorchEngine()
    engine.load(plan)
    engine.advance([0.1] * 3)
    mean = norm.running_mean.clone()
    before = plan.model[0].weight.detach().clone()
    assert np.isfinite(engine.advance([0.1]).loss)
    assert torch.equal(norm.running_mean, mean)
    assert not torch.equal(plan.model[0].weight, before)
    assert norm.training


def test_dropout_keeps_the_share_and_the_mean_and_ends_with_training():
    model = nn.Sequential(nn.Dropout(0.3))
    masks = Masks(model, seed=0)
    x = torch.ones(1000, 50)
    model.train()
    with masks.installed():
        masks.begin(0)
        first, again = model(x), model(x)
        masks.begin(1)
        other = model(x)
        masks.begin(0)
        assert torch.equal(model(x), first)
    assert (first == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert first.mean().item() == pytest.approx(1.0, abs=0.02)
    assert not torch.equal(first, again)  # a second use in one step has a mask of its own
    assert not torch.equal(first, other)
    model.eval()
    assert torch.equal(model(x), x)
    assert "forward" not in vars(model[0])


def test_stochastic_depth_leaves_out_whole_rows():
    model = sp.Residual(nn.Identity(), 0.25)
    masks = Masks(model, seed=0)
    model.train()
    with masks.installed():
        masks.begin(0)
        y = model(torch.ones(4000, 3))
    values = {1.0, 1.0 + 1 / 0.75}
    assert {round(v, 4) for v in y.unique().tolist()} == {round(v, 4) for v in values}
    assert (y == 1).all(dim=1).float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert ((y == 1).all(dim=1) | (y != 1).all(dim=1)).all()


def images(rows=6, height=5, width=7):
    numbers = torch.arange(1, rows * 2 * height * width + 1, dtype=torch.float32)
    return numbers.reshape(rows, 2, height, width)


def test_a_shift_moves_each_image_as_a_whole_and_fills_with_zeros():
    batch = images(200)
    moved = Augmentation.of(Recipe(shift=2), batch.shape[1:]).change(batch, step=3)
    offsets = words(0, Purpose.SHIFT, 3, 400).astype(np.uint64) * 5 >> 32
    assert set(offsets.tolist()) == {0, 1, 2, 3, 4}
    for image, result, (down, right) in zip(
        batch, moved, offsets.astype(int).reshape(-1, 2) - 2, strict=True
    ):
        expected = torch.zeros_like(image)
        for i, j in itertools.product(range(5), range(7)):
            if 0 <= i - down < 5 and 0 <= j - right < 7:
                expected[:, i, j] = image[:, i - down, j - right]
        assert torch.equal(result, expected)


def test_cutout_empties_a_square_and_flip_mirrors_half_of_the_images():
    batch = images(300)
    cut = Augmentation.of(Recipe(cutout=3), batch.shape[1:]).change(batch, step=0)
    emptied = (cut == 0)[:, 0]
    assert (emptied.sum(dim=(1, 2)) >= 4).all()  # at the border only part of the square lies inside
    assert int(emptied.sum(dim=(1, 2)).max()) == 9
    assert torch.equal(cut[:, :, ~emptied.any(0)], batch[:, :, ~emptied.any(0)])
    mirrored = Augmentation.of(Recipe(flip=True), batch.shape[1:]).change(batch, step=0)
    flipped = (mirrored == batch.flip(-1)).all(dim=(1, 2, 3))
    same = (mirrored == batch).all(dim=(1, 2, 3))
    assert (flipped ^ same).all()
    assert flipped.float().mean().item() == pytest.approx(0.5, abs=0.1)


def test_a_crop_is_a_window_of_the_image_with_its_mirrored_border():
    batch = images(50)
    cropped = Augmentation.of(Recipe(crop=1), batch.shape[1:]).change(batch, step=0)
    padded = nn.functional.pad(batch, (1, 1, 1, 1), mode="reflect")
    for i in range(50):
        windows = [padded[i, :, a : a + 5, b : b + 7] for a in range(3) for b in range(3)]
        assert any(torch.equal(cropped[i], window) for window in windows)


def test_mixup_mixes_with_the_next_row_and_cutmix_pastes_a_box_of_it():
    batch = images()
    up = Augmentation.of(Recipe(mixup=0.4), batch.shape[1:])
    mixes = up.mixes(range(100))
    assert (mixes.shares >= 0.5).all()
    share = mixes.shares[7]
    expected = share * batch + (1 - share) * batch.roll(-1, 0)
    assert torch.allclose(up.mix(batch, batch.roll(-1, 0), mixes, 7), expected.float(), rtol=1e-6)
    cut = Augmentation.of(Recipe(cutmix=1.0), batch.shape[1:])
    mixes = cut.mixes(range(100))
    assert 0.3 < mixes.shares.mean() < 0.9
    i = int(np.argmax((mixes.shares < 0.8) & (mixes.shares > 0.2)))
    mixed = cut.mix(batch, batch.roll(-1, 0), mixes, i)
    own = (mixed == batch).float().mean(dim=(1, 2, 3))
    assert own.tolist() == pytest.approx([mixes.shares[i]] * len(batch))
    assert ((mixed == batch) | (mixed == batch.roll(-1, 0))).all()


def test_what_is_for_images_is_refused_for_other_rows():
    with pytest.raises(RecipeError) as error:
        Augmentation.of(Recipe(cutout=2, flip=True), (784,))
    assert str(error.value) == (
        "cutout and flip need images, rows of shape (H, W) or (C, H, W), but a row has shape (784,)"
    )


def test_weighted_sampling_draws_by_weight():
    weights = np.array([1.0, 0.0, 3.0] * 4000)
    rows = drawn(weights, 5, Purpose.SAMPLE, 0)
    shares = np.bincount(rows % 3, minlength=3) / len(rows)
    assert shares == pytest.approx([0.25, 0, 0.75], abs=0.01)


def test_uniform_numbers_of_several_steps_are_those_of_each():
    together = uniform_of_steps(9, Purpose.MIX, range(5, 9), 3)
    for row, step in zip(together, range(5, 9), strict=True):
        assert np.array_equal(row, uniform(9, Purpose.MIX, step, 3))

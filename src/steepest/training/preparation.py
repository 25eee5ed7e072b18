"""From a model, data and a recipe to a plan: every check that can be made before any work."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from steepest.classifier import Classifier
from steepest.data import (
    Classes,
    Dataset,
    Inputs,
    PreparedPart,
    Preprocessing,
    Samples,
    available_memory,
)
from steepest.engine import (
    BLOCKS_MIXED,
    Augmentation,
    EngineChoice,
    FlopCounter,
    Plan,
    Rows,
    choose,
    input_dtype,
    module_mode,
    parameter_settings,
    process_state,
    reference_parameter,
)
from steepest.errors import ModelError, RecipeError, TargetError
from steepest.nn import net_of
from steepest.objective import Objective, is_plain_to_see, lasting_range
from steepest.recipe import Recipe
from steepest.run import load_parts
from steepest.training.model_checks import (
    require_rows_apart,
    require_shortest_minibatch,
    require_trainable,
)
from steepest.training.range_test import range_test
from steepest.training.rows_tried import Taken, advice, how_taken, require_in_range
from steepest.training.weights import go_on_from

# Of these rows the outputs are looked at, where two do not show whether they are probabilities.
_ROWS_TRIED = 8


@dataclass(frozen=True, eq=False)
class Preparation:
    """All that the loop needs. parts: train and, where they exist, validation and test, prepared.

    lr: the learning rate that the schedule starts from, found by a range test where it is "auto".
    row_flops: floating-point operations of a forward pass for one row, estimated.
    summary: what was decided, in plain sentences.
    """

    plan: Plan
    choice: EngineChoice
    classifier: Classifier
    dataset: Dataset
    parts: dict[str, PreparedPart]
    lr: float
    row_flops: float
    summary: tuple[str, ...]

    def some_training_rows(self, most: int) -> PreparedPart:
        """At most this many training rows, evenly spread."""
        return self.parts["train"].some(most)


def prepare(model: nn.Module | None, data: Any, recipe: Recipe) -> Preparation:
    """Load, split, fit the preprocessing on the training rows, and check that all fits together.

    model: None builds one from the recipe. data: anything `load_data` takes; None: recipe.data.
    Raises the SteepestError of whatever does not fit.
    """
    require_trainable(model, recipe)
    return prepare_parts(model, load_parts(data, recipe), recipe)


def prepare_parts(
    model: nn.Module | None, dataset: Dataset, recipe: Recipe, start: Classifier | None = None
) -> Preparation:
    """As `prepare`, of parts that are read and split and a model that can be trained.

    start: what the model goes on from, with its weights and its preprocessing: they belong to the
    columns as these were encoded and scaled then.
    """
    train = dataset.train
    taken = Taken(recipe.scaling) if model is None else how_taken(model, train, recipe.scaling)
    preprocessing = (
        start.preprocessing
        if start is not None
        else Preprocessing.fit(
            train,
            taken.scaling,
            recipe.scaling_range,
            bins=recipe.bins,
            integers=taken.integers,
        )
    )
    if model is None:
        classes = _classes(train, recipe, None)
        one = len(classes) == 2 and recipe.task in ("auto", "binary")
        model = net_for(recipe, preprocessing, 1 if one else len(classes))
    if start is not None:
        go_on_from(model, start.model)
    inputs = preprocessing.prepare(train, input_dtype(model))
    if recipe.device is not None:
        model.to(_device(recipe.device))
    if taken.looked_up:
        require_in_range(model, inputs, train)
    outputs, row_flops = _trial(model, inputs)
    classes = _classes(train, recipe, 1 if outputs.ndim == 1 else outputs.shape[1])
    objective, doubt = _objective(model, inputs, outputs, classes)
    if recipe.task not in ("auto", objective.kind):
        raise ModelError(
            f"the outputs of the model, {tuple(outputs.shape)} for {len(outputs)} rows, are those "
            f"of task {objective.kind}, but the recipe's task is {recipe.task}: change the width "
            "of its last layer, or leave out task"
        )
    classifier = Classifier(model, objective, preprocessing, classes)
    parts: dict[str, PreparedPart] = {
        "train": PreparedPart(inputs, classifier.targets(train), train.weights)
    }
    for name, part in dataset.parts():
        if name != "train":
            parts[name] = classifier.prepare(part)
            if taken.looked_up:
                require_in_range(model, parts[name][0], part)
    inputs, targets, weights = parts["train"]
    plan = Plan(model, objective, inputs, targets, recipe, classes.names, sample_weights=weights)
    _check_plan(plan, parts, taken.looked_up)
    size = _size_notes(plan)
    unseen = (f"{name}: {note}" for name, part in parts.items() for note in part.inputs.notes)
    lr, found = _learning_rate(plan)
    summary = (
        *(*_summary(parts, classifier), *taken.notes, *doubt),
        *(*found, *_warmup_note(plan), *size),
        *(*dataset.notes, *classes.notes, *unseen),
    )
    return Preparation(plan, choose(plan), classifier, dataset, parts, lr, row_flops, summary)


def net_for(recipe: Recipe, preprocessing: Preprocessing, outputs: int) -> nn.Sequential:
    """The net that a recipe describes for rows prepared so, with its first weights."""
    return net_of(
        recipe,
        preprocessing.shape,
        outputs,
        numbers=preprocessing.numbers,
        categories=preprocessing.categories,
    )


def prepare_alike(
    rows: Preparation, model: nn.Module, recipe: Recipe, choice: EngineChoice | None = None
) -> Preparation:
    """The preparation of one of many trainings on the same rows; nothing is read or encoded again.

    Args:
        rows: Of another recipe, whose settings of the data are the same.
        model: As that of `rows` in what it takes and gives, with its first weights.
        recipe: Every setting.
        choice: Of a recipe that differs from this one in numbers that no check depends on; None to
            check what the recipe asks of these rows, and to choose.

    Raises:
        SteepestError: Of whatever does not fit.
    """
    inputs, targets, weights = rows.parts["train"]
    plan = replace(
        rows.plan,
        model=model,
        inputs=inputs,
        targets=targets,
        recipe=recipe,
        sample_weights=weights,
    )
    if recipe.device is not None:
        model.to(_device(recipe.device))
    if choice is None:
        _check_plan(plan, rows.parts, inputs.array.dtype.kind == "i")
        choice = choose(plan)
    engine = EngineChoice(type(choice.engine)(), choice.reason)
    classifier = replace(rows.classifier, model=model)
    lr, _ = _learning_rate(plan)
    return replace(rows, plan=plan, choice=engine, classifier=classifier, lr=lr)


def _classes(train: Samples, recipe: Recipe, outputs: int | None) -> Classes:
    """outputs: the width of the model, if there is one yet."""
    if recipe.task == "multilabel":
        return Classes.multilabel_of(train)
    classes = Classes.of(train, outputs=outputs)
    if recipe.task == "binary" and len(classes) != 2:
        raise TargetError(
            f"{train.source}: task binary is for two classes, but the labels have {len(classes)}: "
            f"{', '.join(classes.names[:10])}",
            settings=("task",),
        )
    return classes


def _check_plan(plan: Plan, parts: dict[str, PreparedPart], looked_up: bool) -> None:
    """Everything that a recipe can ask and this model, data or split cannot give."""
    recipe = plan.recipe
    parameter_settings(recipe, plan.model)
    Augmentation.of(recipe, plan.inputs.shape)
    _ = plan.loss, plan.row_weights
    require_rows_apart(plan)
    if recipe.mixup and (looked_up or plan.inputs.array.dtype.kind == "i"):
        raise RecipeError(
            "mixup takes means of rows, and these rows are integers: leave it out",
            settings=("mixup",),
        )
    wanting = {
        setting: what
        for setting, what, asked in (
            ("early_stopping", "early_stopping", recipe.early_stopping),
            ("schedule", "schedule plateau", recipe.schedule == "plateau"),
        )
        if asked
    }
    if wanting and "validation" not in parts:
        need = "need" if len(wanting) > 1 else "needs"
        raise RecipeError(
            f"{' and '.join(wanting.values())} {need} a validation part: set validation to a share "
            "or a file",
            settings=("validation", *wanting),
        )
    require_shortest_minibatch(plan)


def _learning_rate(plan: Plan) -> tuple[float, tuple[str, ...]]:
    """The learning rate, and in a sentence how it was found if it was."""
    if plan.recipe.lr != "auto":
        return plan.recipe.base_lr, ()
    test = range_test(plan)
    return test.suggestion, (
        f"learning rate {test.suggestion:g}, found by a range test of {len(test.rates)} steps",
    )


def _warmup_note(plan: Plan) -> tuple[str, ...]:
    """A warm-up that the run's end cuts off: the learning rate that was asked for never comes."""
    warmup, total = plan.recipe.warmup, plan.total_steps
    if warmup <= total:
        return ()
    return (
        f"the warm-up of {warmup} steps is longer than the run of {total}: the learning rate "
        f"reaches {100 * total / warmup:.0f} % of the schedule's",
    )


def _size_notes(plan: Plan) -> tuple[str, ...]:
    """What the reader of large data should know of their order."""
    array, there = plan.inputs.array, available_memory()
    if plan.recipe.sampling == "blocks":
        rows = plan.block_rows
        return (
            f"rows are shuffled by blocks: blocks of {rows} successive rows in random order, the "
            f"rows of {BLOCKS_MIXED} blocks mixed at a time",
        )
    if there is not None and array.nbytes > there:
        return (
            f"the inputs ({array.nbytes / 2**30:.1f} GiB) are larger than the memory that is free: "
            "sampling = 'blocks' reads them in long runs instead of row by row",
        )
    return ()


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise RecipeError(
            f"device {name!r} cannot be used: {reason}", settings=("device",)
        ) from None
    return device


def _trial(model: nn.Module, inputs: Inputs) -> tuple[Tensor, float]:
    """The outputs for two rows, with their graph, and the FLOPs of one. The model is left alone."""
    like = reference_parameter(model)
    rows = Rows(replace(inputs, rows=np.arange(2) % len(inputs)), like)
    batch = rows[torch.arange(2, device=like.device)]
    try:
        with (
            module_mode(model, training=False),
            process_state(like.device),
            FlopCounter(model) as counter,
        ):
            outputs = model(batch)
    except Exception as error:
        raise ModelError(
            f"the model cannot take a batch of shape {tuple(batch.shape)}, {batch.dtype}: {error}"
            f"{advice(model, batch)}"
        ) from error
    if not isinstance(outputs, Tensor) or outputs.ndim == 0 or len(outputs) != len(batch):
        found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise ModelError(
            f"the model must give one row of logits for each row of its batch, (2, C) for two "
            f"rows, but it gives {found}{advice(model, batch)}"
        )
    return outputs, counter.flops(len(batch))


def _objective(
    model: nn.Module, inputs: Inputs, outputs: Tensor, classes: Classes
) -> tuple[Objective, tuple[str, ...]]:
    """What the outputs of a trial are, and a sentence where neither graph nor numbers tell."""
    if not outputs.requires_grad:
        raise ModelError(
            "no gradient can flow back from the model's outputs: it ends in detach(), .data or a "
            "part under no_grad; leave that out"
        )
    lasting, plain = None, is_plain_to_see(outputs)
    if not plain:
        like = reference_parameter(model)
        rows = np.linspace(0, len(inputs) - 1, min(len(inputs), _ROWS_TRIED)).astype(np.int64)
        batch = Rows(inputs, like)[torch.from_numpy(rows).to(like.device)]
        with module_mode(model, training=False), process_state(like.device):
            lasting = lasting_range(model, batch)
    objective = Objective.of_outputs(
        outputs, len(classes), multilabel=classes.multilabel, lasting=lasting
    )
    if plain or lasting is not None:
        return objective, ()
    return objective, (
        "whether the model gives logits or probabilities could not be told from its outputs, which "
        f"are 0, 1 or not finite: they are taken for {objective.outputs}",
    )


def _summary(parts: dict[str, PreparedPart], classifier: Classifier) -> tuple[str, ...]:
    sizes = ", ".join(f"{name} {len(part.targets)}" for name, part in parts.items())
    names = classifier.classes.names
    shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    parameters = sum(p.numel() for p in classifier.model.parameters())
    objective = classifier.objective
    return (
        f"rows: {sizes}",
        f"{len(names)} classes: {shown}",
        *classifier.preprocessing.summary(),
        f"model: {type(classifier.model).__name__}, {parameters:,} parameters; "
        f"{objective.kind} cross entropy from {objective.outputs}",
    )

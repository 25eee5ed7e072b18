"""What a script cannot be written for, each in one line that says what to do."""

from math import isclose, isnan

from steepest.errors import ModelError, RecipeError, RunError
from steepest.nn import Ensemble, describe
from steepest.recipe import Recipe
from steepest.run import Run
from steepest.training.preparation import Preparation
from steepest.training.schedule import make_schedule
from steepest.training.scoring import Scoring

# Settings that a script has no words for.
_UNWRITTEN = ("mixup", "cutmix", "batch_ensemble", "time_limit", "precision")
# Of swa, when the statistics of batch normalisation are taken anew.
_ROWS_AT_ONCE = 1024
_UNWRITTEN_VALUES = {
    "sampling": ("blocks",),
    "best_by": ("calibrated_loss",),
}


def require_written(run: Run) -> None:
    """Refuse a run of which a script cannot be written, before anything is read."""
    recipe = run.recipe
    if recipe.data is None:
        raise RunError(
            "a script reads its data from a file, and this run was trained on arrays in memory: "
            "save them, numpy.savez('data.npz', X=X, y=y), and train on that file"
        )
    if isinstance(run.model, Ensemble):
        raise ModelError(
            f"a script trains one net, and this run has {len(run.model.members)}: train it with "
            "members = 1"
        )
    if run.status != "finished":
        raise RunError(
            f"a script trains to the end, and this run is {run.status}: go on with it first, "
            "steepest resume"
        )
    asked = [n for n in _UNWRITTEN if getattr(recipe, n) != getattr(Recipe, n)]
    asked += [n for n, values in _UNWRITTEN_VALUES.items() if getattr(recipe, n) in values]
    if any({"l1", "l2"} & own.keys() for own in (recipe.groups or {}).values()):
        asked.append("groups")
    if asked:
        said = " and ".join(f"{name} = {getattr(recipe, name)!r}" for name in asked)
        raise RecipeError(f"a script has no words for {said}: train without that")


def require_built(run: Run, prepared: Preparation) -> None:
    """Refuse data that are no longer as they were, and what the recipe does not describe."""
    now, then = prepared.classifier, run.classifier
    if now.preprocessing.to_json() != then.preprocessing.to_json() or now.classes != then.classes:
        raise RunError(
            f"{run.recipe.data} is not what this run was trained on: its rows have changed since, "
            "so no script trains the same net"
        )
    began = run.info["initial_loss"]
    loss = began if isnan(began) else Scoring(prepared).initial_loss(0)
    if describe(run.model) != describe(prepared.plan.model) or not isclose(
        loss, began, rel_tol=1e-4
    ):
        raise ModelError(
            f"a script builds the net that the recipe describes, and this run trained a "
            f"{type(run.model).__name__} that was given to it: its code and first weights are "
            "yours; use run.export with .pt2 or .onnx"
        )
    plan, recipe = prepared.plan, prepared.plan.recipe
    schedule = make_schedule(recipe, prepared.lr, plan.steps_per_epoch, plan.total_steps)
    for step, rate, val_loss in run.history.select("step", "lr", "val_loss").iter_rows():
        if not isclose(schedule.rate(step - 1), rate, rel_tol=1e-9):
            raise RunError(
                f"after step {step} this run had the learning rate {rate:g}, and its recipe says "
                f"{schedule.rate(step - 1):g}: it was given a scheduler, or went on with other "
                "settings, which a script cannot tell"
            )
        schedule.epoch_done(val_loss)


def require_written_loop(prepared: Preparation) -> None:
    """Refuse what PyTorch's own loop and layers do otherwise than ours."""
    plan, recipe = prepared.plan, prepared.plan.recipe
    normed = recipe.batch_norm
    if normed and (plan.rows % plan.batch_size or plan.batch_size) == 1:
        raise RecipeError(
            "the last minibatch of an epoch has one row, which PyTorch's BatchNorm1d refuses: "
            "train with another batch_size"
        )
    if 0 in (plan.loss.class_weights or ()):
        raise RecipeError(
            "a script has no words for a class_weight of 0, with which PyTorch divides by 0 in a "
            "minibatch of such rows: leave them out of the data"
        )
    if recipe.early_stopping and plan.targets.ndim > 1 and recipe.best_by == "balanced_accuracy":
        raise RecipeError(
            "a script has no words for best_by balanced_accuracy with several classes in a row: "
            "take the loss"
        )
    if recipe.accumulate > 1 and plan.total_steps % plan.steps_per_epoch:
        raise RecipeError(
            "a script has no words for accumulate where steps end an epoch early: leave out steps"
        )
    if normed and recipe.swa and (recipe.dropout or plan.rows % _ROWS_AT_ONCE == 1):
        raise RecipeError(
            "a script has no words for swa with batch_norm and dropout, whose statistics PyTorch's "
            "update_bn takes otherwise: leave out one of them"
        )

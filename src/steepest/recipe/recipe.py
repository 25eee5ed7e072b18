"""Recipe: every setting of a run in one frozen value, checked when it is made, to and from TOML."""

import tomllib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import tomli_w

from steepest.errors import Mistake, RecipeError
from steepest.recipe.choices import USUAL_LR
from steepest.recipe.conflicts import conflicts, without_effect
from steepest.recipe.names import unknown_names
from steepest.recipe.plain import by_class_name, plain
from steepest.recipe.setting import is_met
from steepest.recipe.settings import SETTINGS, Settings
from steepest.recipe.strange import require_readable, shown

_DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(Settings)}


@dataclass(frozen=True, kw_only=True)
class Recipe(Settings):
    """Everything that decides a run. Equal recipe, data and engine give equal weights.

    Each setting is a keyword here, a key of recipe.toml and an option of `steepest train`
    (`batch_size` is `--batch-size`). A recipe cannot be changed; `replace` gives another one.

    Args:
        **settings: Single settings; the others have their defaults. They are listed, with what
            they may be, under Settings in the reference.

    Raises:
        RecipeError: Lists all mistakes at once: unknown names, values out of range, settings that
            have no effect beside the others or contradict each other.
    """

    # Names of the settings that were given by hand, whatever their values: a preset leaves them.
    given: ClassVar[frozenset[str]] = frozenset()

    def __new__(cls, **settings: Any) -> Self:
        """Refuse unknown names here, where the message can say what was meant."""
        _raise_together(map(Mistake, unknown_names(settings, SETTINGS)))
        recipe = super().__new__(cls)
        object.__setattr__(recipe, "given", frozenset(settings))
        return recipe

    def __post_init__(self) -> None:
        mistakes: list[Mistake] = []
        given = vars(self)
        for name, default in _DEFAULTS.items():
            if given[name] is default:  # most are: a sweep makes thousands of recipes
                continue
            value, values = plain(given[name]), SETTINGS[name].values
            if name == "class_weight":
                value = by_class_name(value)
            object.__setattr__(self, name, value)
            if not values.holds(value):
                said = f"{name} must be {values.expected}, but is {shown(value)}"
                mistakes.append(Mistake(said + values.now(value), (name,)))
        if not mistakes:
            mistakes = [*without_effect(self), *conflicts(self)]
        _raise_together(mistakes)

    @classmethod
    def of(cls, recipe: Any, settings: dict[str, Any]) -> "Recipe":
        """A recipe with settings changed, as `train` and `find_lr` take both.

        Args:
            recipe: None for the defaults.
            settings: What is to be different, by name.

        Raises:
            RecipeError: This is no recipe, such as the y of train(model, X, y); or what `Recipe`
                raises.
        """
        if recipe is not None and not isinstance(recipe, Recipe):
            raise RecipeError(
                f"the third argument is the recipe, but it is a {type(recipe).__name__}: X and y "
                "go together, train(model, (X, y)), settings by name, train(model, data, lr=0.1)"
            )
        if apart := [
            name for name in ("y", "Y", "labels", "targets", "X", "x") if name in settings
        ]:
            raise RecipeError(
                f"there is no setting {apart[0]!r}: X and y go together, train(model, (X, y))"
            )
        return (recipe or cls()).replace(**settings)

    def replace(self, **settings: Any) -> "Recipe":
        """A copy with these settings changed.

        Others that lose their meaning by that, as momentum does with another optimizer, go back to
        their defaults.

        Args:
            **settings: What is to be different, by name.

        Raises:
            RecipeError: As `Recipe` raises; a setting that is named here is refused if it has no
                effect.
        """
        _raise_together(map(Mistake, unknown_names(settings, SETTINGS)))
        changed = {name: vars(self)[name] for name in _DEFAULTS} | settings
        for name, default in _DEFAULTS.items():  # what gives a field its meaning comes before it
            if name in settings or changed[name] is default:
                continue
            if not is_met(SETTINGS[name], changed):
                changed[name] = default
        result = Recipe(**changed)
        object.__setattr__(result, "given", self.given.union(settings))
        return result

    def with_seed(self, seed: int) -> "Recipe":
        """A copy with this seed, which goes with whatever the other settings are: no check is due.

        Args:
            seed: The seed.

        Raises:
            RecipeError: It is no seed.
        """
        if not SETTINGS["seed"].values.holds(seed):
            raise RecipeError(
                f"seed must be {SETTINGS['seed'].values.expected}, but is {seed!r}",
                settings=("seed",),
            )
        copy = object.__new__(type(self))
        vars(copy).update(vars(self), seed=seed, given=self.given | {"seed"})
        return copy

    def with_given(self, names: Iterable[str]) -> "Recipe":
        """A copy of which these settings count as given by hand, as they did before it was a file.

        Args:
            names: Of the settings.
        """
        copy = object.__new__(type(self))
        vars(copy).update(vars(self), given=frozenset(names) & frozenset(SETTINGS))
        return copy

    def differences(self, base: "Recipe") -> dict[str, Any]:
        """What it has other than `base`, from which `with_differences` makes it again.

        A recipe has some hundred settings: who keeps thousands of them keeps what differs.

        Args:
            base: Another recipe.
        """
        others = vars(base)
        return {name: value for name, value in vars(self).items() if value is not others[name]}

    def with_differences(self, differences: dict[str, Any]) -> "Recipe":
        """The recipe whose `differences` from this one these are: it was checked when it was made.

        Args:
            differences: As `differences` gave them.
        """
        copy = object.__new__(type(self))
        vars(copy).update(vars(self))
        vars(copy).update(differences)
        return copy

    @property
    def base_lr(self) -> float:
        """The learning rate that the schedule starts from: `lr`, or the optimizer's usual one."""
        return float(self.lr if isinstance(self.lr, (int, float)) else USUAL_LR[self.optimizer])

    def to_dict(self) -> dict[str, Any]:
        """The settings that are not None, as plain values."""
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {k: v for k, v in plain.items() if v is not None}

    def to_toml(self) -> str:
        """The settings that are not None, as the text of a recipe.toml."""
        return tomli_w.dumps(self.to_dict())

    @classmethod
    def from_toml(cls, text: str, source: str = "recipe") -> "Recipe":
        """The recipe that a text in TOML tells, as `to_toml` writes it.

        Args:
            text: The TOML.
            source: What the text is called in messages.

        Raises:
            RecipeError: The text is not TOML, or a setting is wrong.
        """
        require_readable(text, source)
        try:
            settings = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # the former by a number of 5000 digits, too
            raise RecipeError(f"{source} is not valid TOML: {error}") from None
        try:
            return cls(**settings)
        except RecipeError as error:
            raise RecipeError(f"{source}: {error}", mistakes=error.mistakes) from None

    @classmethod
    def read(cls, path: str | Path) -> "Recipe":
        """The recipe in a TOML file.

        Args:
            path: The file, in UTF-8.

        Raises:
            RecipeError: The file cannot be read, is not TOML, or a setting is wrong.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"cannot read the recipe {path}: {error}") from None
        return cls.from_toml(text, str(path))


def _raise_together(mistakes: Iterable[Mistake]) -> None:
    """Raise one RecipeError for all mistakes, or none if there are none."""
    if found := tuple(mistakes):
        raise RecipeError.of(found)

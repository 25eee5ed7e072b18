"""What is known of a setting beside its name and default: once, for every room that asks."""

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field
from functools import partial
from typing import Any

from steepest.recipe.values import Values

# The headings of the settings, in the order of `steepest train --help`.
GROUPS = (
    *("Data", "Net", "Run", "Optimizer", "Schedule of the learning rate", "Loss"),
    *("Regularisation", "Augmentation", "Checks", "Record and checkpoints"),
)


@dataclass(frozen=True)
class Needs:
    """What gives a setting a meaning: any of `settings` has one of `values`, or is on.

    values: () for whatever is neither off nor 0 nor empty.
    """

    settings: tuple[str, ...]
    values: tuple[str, ...] = ()

    def met(self, values: Mapping[str, Any]) -> bool:
        """Whether the settings with these values give one a meaning."""
        have = [values[name] for name in self.settings]
        return any(v in self.values if self.values else v not in (0, ()) for v in have)

    def otherwise(self, name: str, values: Mapping[str, Any]) -> str:
        """Why the setting `name` has no effect beside these values."""
        if not self.values:
            return f"{name} has no effect without {' or '.join(self.settings)}"
        if len(self.settings) > 1:
            asked = " or ".join(self.settings)
            return f"{name} has no effect without {asked} {' or '.join(self.values)}"
        (by,) = self.settings
        return (
            f"{name} has no effect with {by} {values[by]!r}: it belongs to {by} "
            f"{', '.join(self.values)}"
        )


@dataclass(frozen=True)
class Setting:
    """The metadata of a field of the recipe.

    help: one line. values: what it may be. group: the heading it is shown under. unset: what a
    default of None comes to. needs: without each of these it has no effect, and is refused.
    resumable: whether a run may go on with another value. affects_result: whether another value
    may give other weights or scores: a run that has ended has nothing to do for one that may not.
    resumable_with_members: whether a run of several nets may go on with another value, too.
    of_net: describes the net that is built where no model is given. rules_out_preset: whoever gives
    it has a net or an optimizer in mind, so no preset is taken unasked.
    """

    help: str
    values: Values
    group: str
    unset: str = "none"
    needs: tuple[Needs, ...] = ()
    resumable: bool = False
    affects_result: bool = True
    resumable_with_members: bool = False
    of_net: bool = False
    rules_out_preset: bool = False


def is_met(setting: Setting, values: Mapping[str, Any]) -> bool:
    """Whether the values of the other settings give this one a meaning."""
    return all(needs.met(values) for needs in setting.needs)


def setting_of(of: Field[Any]) -> Setting:
    """The metadata of a field of Recipe."""
    setting: Setting = of.metadata["setting"]
    return setting


def _field(
    default: Any,
    help: str,  # noqa: A002
    values: Values,
    *needs: Needs,
    **known: Any,
) -> Any:
    setting = Setting(help, values, needs=needs, **known)
    return field(default=default, metadata={"setting": setting})


def under(group: str, **known: Any) -> Callable[..., Any]:
    """What makes the fields of one heading: default, help, values, what it needs.

    known: metadata that its fields share, where they have none of their own.
    """
    return partial(_field, group=group, **known)


def needs(**one: tuple[str, ...]) -> Needs:
    """An effect if the named setting has one of these values, as in optimizer=("adam", "adamw")."""
    ((name, values),) = one.items()
    return Needs((name,), values)


def needs_any(*settings: str) -> Needs:
    """An effect if one of these settings is on."""
    return Needs(settings)


def default_text(of: Field[Any]) -> str:
    """The default of a setting as it is written on the command line, or what its absence means."""
    match of.default:
        case None | ():
            return setting_of(of).unset
        case bool() as on:
            return "on" if on else "off"
        case tuple() as items:
            return ",".join(f"{item:g}" for item in items)
        case float() as number:
            return f"{number:g}"
    return str(of.default)

"""Help and refusals: options under headings with their defaults, and what was meant by a typo."""

from collections.abc import Iterable
from typing import Any

import click

from steepest.errors import did_you_mean
from steepest.recipe import setting_called

# What other tools call our commands.
_ELSEWHERE = {
    "fit": "train",
    "test": "evaluate",
    "score": "evaluate",
    "infer": "predict",
    "continue": "resume",
    "lint": "check",
    "list": "runs",
    "ls": "runs",
    "ui": "board",
    "dashboard": "board",
}
# A space at which no line is broken; a plain one in what is printed.
_NO_BREAK = "\N{NO-BREAK SPACE}"


class SettingOption(click.Option):
    """An option for a setting of the recipe. group: its heading. default_text: its default.

    The option's own default is None, which leaves a recipe file's value as it is.
    """

    def __init__(self, *args: Any, group: str, default_text: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group
        self.default_text = default_text

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        flag = self.opts[0]
        shown = f"--[no-]{flag[2:]}" if self.is_flag else f"{flag} {self.make_metavar(ctx)}"
        return shown, f"{self.help}  [default:{_NO_BREAK}{self.default_text}]"


class Command(click.Command):
    """A command that groups its options, and says what was meant by an unknown one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            # Of -lr, click names -l.
            option = next((a for a in given if a.startswith(error.option_name)), error.option_name)
            option = option.partition("=")[0]
            known = [name for param in self.get_params(ctx) for name in _long_names(param)]
            text = f"No such option {option!r}{_meant(option, known)}"
            raise click.UsageError(text, ctx) from None

    def get_help(self, ctx: click.Context) -> str:
        return super().get_help(ctx).replace(_NO_BREAK, " ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click does it, but with a section for each group of settings."""
        groups: dict[str, list[tuple[str, str]]] = {"Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                groups.setdefault(getattr(param, "group", "Options"), []).append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records, col_max=26)


class Group(click.Group):
    """A group of commands that says what was meant by an unknown one."""

    command_class = Command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, known = args[0], self.list_commands(ctx)
        if name in known or name.startswith("-"):
            return super().resolve_command(ctx, args)
        meant = _ELSEWHERE.get(name)
        hint = f"; did you mean {meant!r}?" if meant in known else did_you_mean(name, known)
        raise click.UsageError(f"No such command {name!r}{hint or _among(known)}", ctx)


def _long_names(param: click.Parameter) -> list[str]:
    return [name for name in (*param.opts, *param.secondary_opts) if name.startswith("--")]


def _meant(option: str, known: list[str]) -> str:
    """What was meant by an option that is not known: by its name elsewhere, else by its letters."""
    name = option.lstrip("-").replace("_", "-")
    ours = setting_called(name.replace("-", "_"))
    if ours is not None and (flag := "--" + ours.replace("_", "-")) in known:
        return f": steepest calls it {flag!r}"
    return did_you_mean(name, [flag[2:] for flag in known]).replace("mean '", "mean '--")


def _among(names: Iterable[str]) -> str:
    return f": the commands are {', '.join(names)}"

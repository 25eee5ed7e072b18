"""MkDocs hook: the settings and the commands, from the code that defines them."""

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

from steepest.cli.main import _steepest
from steepest.cli.verdict import EXIT_CODES
from steepest.recipe import default_text, setting_of, settings_by_group


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    if page.file.src_uri == "reference/recipe.md":
        return markdown.replace("<!-- settings -->", _settings())
    if page.file.src_uri == "reference/command-line.md":
        shown = markdown.replace("<!-- exit codes -->", _exit_codes())
        return shown.replace("<!-- commands -->", _commands())
    return markdown


def _settings() -> str:
    parts = []
    for group, fields in settings_by_group().items():
        rows = [
            f"| `{field.name}` | {default_text(field)} | {_escaped(setting_of(field).help)} |"
            for field in fields
        ]
        head = [f"## {group}", "", "| setting | default | |", "|---|---|---|"]
        parts.append("\n".join([*head, *rows]))
    return "\n\n".join(parts)


def _exit_codes() -> str:
    rows = [f"| {code} | {_escaped(text)} |" for code, text in EXIT_CODES.items()]
    return "\n".join(["| exit code | |", "|---|---|", *rows])


def _commands() -> str:
    context = click.Context(_steepest, info_name="steepest")
    parts = []
    for name in _steepest.list_commands(context):
        command = _steepest.get_command(context, name)
        assert command is not None
        parts += _command(command, click.Context(command, context, info_name=name))
    return "\n\n".join(parts)


def _command(command: click.Command, context: click.Context) -> list[str]:
    """The help of a command and of those below it, as it is printed."""
    context.max_content_width = 100
    shown = [f"## {context.command_path}", f"```text\n{command.get_help(context)}\n```"]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            shown += _command(below, click.Context(below, context, info_name=name))
    return shown


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")

"""`steepest board`."""

import json
from pathlib import Path

import click

from steepest.cli.help import Command
from steepest.cli.options import as_json


@click.command("board", cls=Command)
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
@click.option("--port", type=click.IntRange(0, 65535), show_default="8642 or the next free one")
@click.option("--host", default="127.0.0.1", show_default=True, help="Another one needs --token.")
@click.option("--token", show_default="random", help="What may write, and read from elsewhere.")
@click.option(
    "--allow-host",
    "allowed_hosts",
    metavar="HOST:PORT",
    multiple=True,
    help="A further address that browsers open it by, as through a tunnel. Repeatable.",
)
@click.option("--browser/--no-browser", default=True, help="Whether to open it in the browser.")
@as_json
def command(
    folder: Path,
    port: int | None,
    host: str,
    token: str | None,
    allowed_hosts: tuple[str, ...],
    browser: bool,
    as_json: bool,
) -> None:
    r"""Watch the runs and sweeps in FOLDER (the current one, if not given) in the browser.

    It reads them and changes nothing. Ctrl-C ends it.

    \b
    steepest board
    steepest board runs --port 9000 --no-browser
    """
    from steepest.board.serve import Address, serve

    def ready(address: Address) -> None:
        if as_json:
            click.echo(json.dumps({"url": address.url, "folder": str(folder)}))
        else:
            click.echo(f"{folder.resolve()} at {address.url}\nCtrl-C ends it")

    serve(
        folder,
        host=host,
        port=port,
        token=token,
        allowed_hosts=allowed_hosts,
        browser=browser,
        ready=ready,
    )

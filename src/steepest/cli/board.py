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
@click.option(
    "--export",
    "exported",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the page as one HTML file that needs no server, and serve nothing.",
)
@as_json
def command(
    folder: Path,
    port: int | None,
    host: str,
    token: str | None,
    allowed_hosts: tuple[str, ...],
    browser: bool,
    exported: Path | None,
    as_json: bool,
) -> None:
    r"""Watch the runs and sweeps in FOLDER (the current one, if not given) in the browser.

    Its page can begin, stop and resume trainings, which go on when it ends. Ctrl-C ends it.

    \b
    steepest board
    steepest board runs --port 9000 --no-browser
    steepest board runs --export page.html
    """
    if exported is not None:
        if port is not None or token is not None or allowed_hosts or host != "127.0.0.1":
            raise click.UsageError(
                "--export serves nothing: leave out --port, --host, --token and --allow-host"
            )
        _export(folder, exported, as_json)
        return
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


def _export(folder: Path, path: Path, as_json: bool) -> None:
    from steepest.board.export import export_page

    found = export_page(folder, path)
    if as_json:
        told = {"page": str(path), "bytes": found.size, "runs": found.runs}
        click.echo(json.dumps({**told, "left_out": found.left_out}))
        return
    click.echo(f"{path}: {found.runs:,} runs, {found.size / 1e6:.1f} MB")
    for words in found.left_out:
        click.echo(f"left out: {words}")

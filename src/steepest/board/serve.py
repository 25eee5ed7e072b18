"""The board as a process: a socket on this machine, and a server behind it until Ctrl-C."""

import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steepest.errors import RunError, needs

PORT = 8642
_PORTS_TRIED = 20


@dataclass(frozen=True)
class Address:
    """Where a board is reached.

    Attributes:
        url: What a person opens; its fragment holds the token, which a browser sends to nobody.
        host: What it is bound to.
        port: Likewise.
        token: What must come with whatever changes anything.
    """

    url: str
    host: str
    port: int
    token: str


def serve(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    token: str | None = None,
    allowed_hosts: Iterable[str] = (),
    browser: bool = True,
    ready: Callable[[Address], None] = lambda _: None,
) -> None:
    """Serve the board of a folder until Ctrl-C.

    Args:
        folder: With runs and sweeps, at most four folders deep.
        host: The address that it is bound to; one that other machines reach needs a token.
        port: None for 8642 or the next one that is free; 0 for any.
        token: None for a random one.
        allowed_hosts: Further addresses, HOST:PORT, that browsers open it by, as through a tunnel.
        browser: Whether to open it in the browser.
        ready: Is told where it is, once it can be reached.

    Raises:
        MissingExtra: starlette or uvicorn is not installed.
        RunError: There is no such folder, the port is taken, or a token is missing.
    """
    with needs("board", "the board"):
        import uvicorn

        from steepest.board.app import make_app
        from steepest.board.guard import is_loopback

    if not folder.is_dir():
        raise RunError(f"{folder} is not a folder; name one that has runs or sweeps in it")
    shared = not is_loopback(host)
    if shared and not token:
        raise RunError(
            f"at {host} other machines reach the board: choose a --token of at least 16 characters "
            "that its visitors must have"
        )
    if token is not None and len(token) < 16:
        raise RunError("a token has at least 16 characters; leave it out for a random one")
    token = token or secrets.token_urlsafe(24)
    bound = _bind(host, port)
    port = int(bound.getsockname()[1])
    app: Any = make_app(
        folder,
        hosts=_hosts(host, port) | set(allowed_hosts),
        token=token,
        reading_needs_token=shared,
    )
    named = f"[{host}]" if ":" in host else host
    address = Address(f"http://{named}:{port}/#token={token}", host, port, token)
    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=1,
        http="h11",
        loop="asyncio",
        h11_max_incomplete_event_size=16 * 2**10,
        limit_concurrency=256,
    )
    server = uvicorn.Server(config)
    ready(address)
    if browser:  # a browser may take its time, and waits for the socket, which is there
        threading.Thread(target=webbrowser.open, args=(address.url,), daemon=True).start()
    try:
        server.run(sockets=[bound])
    except KeyboardInterrupt:  # how one ends it
        pass
    finally:
        bound.close()


def _bind(host: str, port: int | None) -> socket.socket:
    """A socket that listens."""
    wanted = range(PORT, PORT + _PORTS_TRIED) if port is None else (port,)
    reason = ""
    for one in wanted:
        try:
            family = socket.getaddrinfo(host, one, type=socket.SOCK_STREAM)[0][0]
            # Named as TCP, or asyncio leaves Nagle's algorithm on: 40 ms for each answer.
            bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        except OSError as error:
            raise RunError(f"cannot serve at {host}: {error.strerror or error}") from None
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((host, one))
            bound.listen(128)
        except (OSError, OverflowError) as error:
            bound.close()
            reason = str(getattr(error, "strerror", None) or error)
            continue
        return bound
    raise RunError(f"cannot serve at {host}:{wanted[0]}: {reason}; choose another --port")


def _hosts(host: str, port: int) -> set[str]:
    """What a browser writes into Host for this address."""
    names = {host, f"[{host}]"} if ":" in host else {host}
    if host in ("127.0.0.1", "localhost", "::1"):
        names = {"127.0.0.1", "localhost", "[::1]"}
    return {f"{name}:{port}" for name in names}

"""What stands before every request: who may ask, what may be sent, what a browser may do.

A page of another site can make a browser send requests here, and by DNS rebinding even read the
answers. It cannot choose the headers Host and Origin, so both are held to one list of addresses;
Origin is never compared with Host, for both are the attacker's then. What changes anything needs
the token besides, which other sites do not know.
"""

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from steepest.board.reading import as_json

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

TOKEN_HEADER = b"x-steepest-token"
MOST_BODY = 64 * 2**10
_MOST_PATH = 2048
_READS = {"GET", "HEAD"}
_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
]


class Refusal(Exception):  # noqa: N818
    """A request that is answered with a status and a line instead."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status, self.line = status, line


class Guard:
    """An ASGI application around another one.

    hosts: what may stand in Host, each with its port. token: what must come with whatever changes
    anything. reading_needs_token: whether it must come with every request for data, as where other
    machines reach the board.
    """

    def __init__(self, app: App, *, hosts: set[str], token: str, reading_needs_token: bool) -> None:
        self._app, self._token = app, token.encode()
        self._hosts = {host.casefold() for host in hosts}
        self._origins = {f"http://{host}" for host in self._hosts}
        self._reading_needs_token = reading_needs_token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # a web socket is never accepted
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        guarded = _with_headers(send)
        try:
            self._look_at(scope)
            await self._app(scope, _bounded(receive), guarded)
        except Refusal as refusal:
            await answer(guarded, refusal.status, {"error": refusal.line})

    def _look_at(self, scope: Scope) -> None:
        """Raise Refusal unless the request may go on."""
        headers: dict[bytes, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value.decode("latin-1"))
        host = headers.get(b"host", [])
        if len(host) != 1 or host[0].casefold() not in self._hosts:
            raise Refusal(
                421,
                "this address is not one of the board's: open the one that it printed, or start it "
                "with --allow-host HOST:PORT",
            )
        for origin in headers.get(b"origin", []):
            if origin.casefold() not in self._origins:
                raise Refusal(403, "another site asked for this, and only the board's page may")
        path, method = str(scope["path"]), str(scope["method"])
        if len(path) > _MOST_PATH or any(c in path for c in "\0\\") or ".." in path.split("/"):
            raise Refusal(400, "there is nothing of this name")
        if path.startswith("/api/"):
            self._look_at_api(headers, method)
        elif method not in _READS:
            raise Refusal(405, "this can only be read")

    def _look_at_api(self, headers: dict[bytes, list[str]], method: str) -> None:
        # Where a browser tells it: only this page, or whoever types the address, not a neighbour.
        for site in headers.get(b"sec-fetch-site", []):
            if site not in ("same-origin", "none"):
                raise Refusal(403, "another site asked for this, and only the board's page may")
        writes = method not in _READS
        if writes or self._reading_needs_token:
            self._require_token(headers)
        if writes:
            kind = headers.get(b"content-type", [""])[0].partition(";")[0].strip()
            if kind != "application/json":
                raise Refusal(415, "what is sent must be application/json")
            length = headers.get(b"content-length", ["0"])[0]
            if not length.isdecimal() or int(length) > MOST_BODY:
                raise Refusal(413, f"at most {MOST_BODY} bytes may be sent")

    def _require_token(self, headers: dict[bytes, list[str]]) -> None:
        given = headers.get(TOKEN_HEADER, [""])
        if len(given) != 1 or not hmac.compare_digest(given[0].encode(), self._token):
            raise Refusal(
                401, "the token is missing or wrong: open the link that the board printed"
            )


async def answer(send: Send, status: int, value: Any) -> None:
    """One JSON answer."""
    body = as_json(value)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _with_headers(send: Send) -> Send:
    async def guarded(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *_HEADERS]
        await send(message)

    return guarded


def _bounded(receive: Receive) -> Receive:
    """What comes, counted: a length that was announced is no promise."""
    taken = 0

    async def bounded() -> MutableMapping[str, Any]:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MOST_BODY:
            raise Refusal(413, f"at most {MOST_BODY} bytes may be sent")
        return message

    return bounded

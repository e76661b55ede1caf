"""Who may ask, until when, and what a browser may do with the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...core.errors import shown
from .refusals import RefusedError

LOCAL = ("localhost", "127.0.0.1", "::1")
"""What this machine calls itself."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""Of every answer that does not say otherwise."""


def is_local(host: str) -> bool:
    """Return whether an address is reached from this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_host(app: ASGIApp, hosts: Collection[str]) -> ASGIApp:
    """Return an application that does the same for requests to these hosts alone.

    A page of another site whose name leads to this machine (DNS rebinding) is refused so.

    Args:
        app: What answers.
        hosts: Names and addresses; none means any.
    """

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        asked = Headers(scope=scope).get("host", "") if scope["type"] == "http" and hosts else None
        if asked is None or _name_of(asked) in hosts:
            await app(scope, receive, send)
            return
        refused = RefusedError(
            400, f"the header Host is {shown(asked)}; expected {' or '.join(hosts)}, as this server is bound to"
        )
        await refused.response(scope, receive, send)

    return checked


def _name_of(host: str) -> str:
    """Return the name or address in a Host header, without the port; empty where it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def add_headers(app: ASGIApp) -> ASGIApp:
    """Return an application that does the same, with the headers of :data:`HEADERS`."""

    async def added(scope: Scope, receive: Receive, send: Send) -> None:
        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await app(scope, receive, note)

    return added


def refuse_at_the_end(app: ASGIApp) -> ASGIApp:
    """Return an application that does the same, and refuses what is taken from it because the server has to end."""

    async def refused(scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def note(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await app(scope, receive, note)
        except asyncio.CancelledError:
            if begun:
                raise
            busy = RefusedError(503, "the server is stopping; ask again when it is back", {"Retry-After": "1"})
            await busy.response(scope, receive, send)

    return refused

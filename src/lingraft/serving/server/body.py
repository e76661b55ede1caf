"""The body of a request, read whole before anything looks at it: so large at most, and within a time."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .limits import Limits
from .refusals import RefusedError

READ_ON = 16
"""As many times the limit of a body that is too large is read and thrown away: who still sends hears no answer."""


def limit_body(app: ASGIApp, limits: Limits) -> ASGIApp:
    """Return an application that does the same, and refuses bodies that are too large or too slow."""

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        try:
            body = await _read(receive, limits)
        except RefusedError as refused:
            await refused.response(scope, receive, send)
            return
        if body is not None:
            await app(scope, _again(body, receive), send)

    return limited


async def _read(receive: Receive, limits: Limits) -> bytes | None:
    """Return a body; None where whoever sent it went away.

    Raises:
        RefusedError: It has too many bytes, or took too long.
    """
    chunks, size, more = list[bytes](), 0, True
    try:
        async with asyncio.timeout(limits.seconds):
            while more and size <= READ_ON * limits.body:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                chunk = message.get("body", b"")
                size, more = size + len(chunk), message.get("more_body", False)
                if size <= limits.body:
                    chunks.append(chunk)
    except TimeoutError:
        raise RefusedError(
            408, f"the body did not come within {limits.seconds:g} s; send it at once", {"Connection": "close"}
        ) from None
    if size > limits.body:
        raise RefusedError(
            413,
            f"the body has {'more than ' if more else ''}{size:,} bytes; expected at most {limits.body:,}: ask for "
            "fewer items at a time",
            {"Connection": "close"},
        )
    return b"".join(chunks)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was read already, and then what comes."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay

"""Addresses that are asked over HTTP: checked before, answered in bounded time and size, never redirected.

The timeout of :mod:`urllib.request` is that of each read from a socket, so a server that sends a byte now and then is
read from for ever. Here it is that of the whole answer, its headers included.
"""

from __future__ import annotations

import io
import socket
import time
import urllib.request
from email.message import Message
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import IO, Any
from urllib.parse import urlsplit

from ..core.errors import ConfigError, shown

EXAMPLE = "http://localhost:8000/v1"


def refuse_bad_address(url: str) -> None:
    """Refuse what no server can have as its address, before it is asked.

    Args:
        url: As somebody typed it.

    Raises:
        ConfigError: It is none; a password in it is not repeated.
    """
    if "@" in url.partition("//")[2].partition("/")[0]:
        raise ConfigError(["url: has a name or a password in it, and is written into the run; say `key: VARIABLE`"])
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError as error:  # that of idna is one
        raise ConfigError([f"url: {shown(url)} is no address ({error}); expected one like {EXAMPLE}"]) from None
    if parts.scheme not in ("http", "https") or not host or port == 0 or parts.query or parts.fragment:
        raise ConfigError([f"url: expected an address like {EXAMPLE}, without ? and #; got {shown(url)}"])
    if not parts.path.isascii() or not url.isprintable() or " " in url:
        raise ConfigError([f"url: the path of {shown(url)} has letters that none can have; write %C3%BC for ü"])


class _Whole(HTTPResponse):
    """An answer that must be there, to its end, within the timeout of its socket."""

    def __init__(self, sock: socket.socket, *given: Any, **named: Any) -> None:
        super().__init__(sock, *given, **named)
        self.fp.close()
        self.fp = io.BufferedReader(_Until(sock, time.monotonic() + (sock.gettimeout() or 0)))


class _Until(io.RawIOBase):
    """The bytes that a socket receives before a moment of :func:`time.monotonic`."""

    def __init__(self, sock: socket.socket, end: float) -> None:
        self.sock, self.end = sock, end
        self.stream = sock.makefile("rb", buffering=0)  # keeps the socket open for as long as this is

    def readable(self) -> bool:
        """Return that it is."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what has come.

        Raises:
            TimeoutError: Nothing has, or too late.
        """
        if (left := self.end - time.monotonic()) <= 0:
            raise TimeoutError("timed out")
        self.sock.settimeout(left)
        return self.stream.readinto(buffer)

    def close(self) -> None:
        """Let the socket go."""
        self.stream.close()
        super().close()


class _Http(HTTPConnection):
    response_class = _Whole


class _Https(HTTPSConnection):
    response_class = _Whole


class _Timed(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_Http, req)

    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_Https, req)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A key goes where its owner sent it, nowhere else."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        """Follow none: the redirection is the answer."""


opener = urllib.request.build_opener(_Timed, _NoRedirect)
"""Opens a request within its timeout, and what it returns is read within another."""

"""A server in a thread of this process, and what asks it."""

import json
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from threading import Thread
from time import sleep
from types import SimpleNamespace
from urllib.parse import urlsplit

from lingraft.serving.server.limits import Limits
from lingraft.serving.server.running import address_of, application, bind, server_of


@contextmanager
def running(app, limits):
    """Run an application on a free port, and yield its address, and what runs it."""
    with closing(bind("127.0.0.1", 0)) as bound:
        server = server_of(app, limits)
        thread = Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            yield address_of(bound), server
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def served(adapted, folder=None, **most):
    """Serve a loaded run, and yield the address."""
    limits = Limits(**most)
    with application(adapted, folder, limits=limits) as app, running(app, limits) as (address, _):
        yield address


def wait_until(true, patience=6_000):
    """Look again and again whether something is true, for a minute at least."""
    for _ in range(patience):
        if true():
            return
        sleep(0.01)
    raise AssertionError("it never came true")


def alike(found, expected):
    """Whether two answers are the same, but for the last digit of a number: sums of other shapes round otherwise."""
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(alike(found[key], one) for key, one in expected.items())
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(alike, found, expected))
    return abs(found - expected) < 2e-4 if isinstance(expected, float) else found == expected


def ask(address, path, body=None, *, method=None, **headers):
    """Ask, and return status, headers, text, and what that is as JSON, where it is some.

    Args:
        address: As ``served`` gives it.
        path: Of what is asked.
        body: Plain data, sent as JSON; text, bytes or an iterable of bytes are sent as they are.
        method: By default GET without a body, else POST.
        headers: More, with ``_`` for ``-``.
    """
    connection = HTTPConnection(urlsplit(address).netloc, timeout=120)
    sent = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    plain = body is not None and isinstance(body, dict | list)
    with closing(connection):
        connection.request(
            method or ("GET" if body is None else "POST"), path, json.dumps(body) if plain else body, sent
        )
        answered = connection.getresponse()
        text = answered.read().decode("utf-8")
    is_json = answered.headers.get("Content-Type", "").startswith("application/json")
    return SimpleNamespace(
        status=answered.status, headers=answered.headers, text=text, json=json.loads(text) if is_json and text else None
    )

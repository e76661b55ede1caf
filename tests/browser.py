"""A headless Chromium that looks at a page, spoken to through two pipes: no port, no driver, no package.

The messages are those of the Chrome DevTools Protocol (https://chromedevtools.github.io/devtools-protocol), each ended
by a zero byte: Chromium reads them from descriptor 3 and writes to descriptor 4.
"""

import base64
import json
import os
import select
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

PATIENCE = 300  # seconds without a word from it, after which it hangs
WIDTHS = {"phone": 375, "desktop": 1280}
LONGEST = 16_000  # pixels; Chromium paints no picture that is higher

OPTIONS = [
    *("--headless=new", "--remote-debugging-pipe", "--hide-scrollbars"),
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),  # as root, without a GPU, with little shared memory
    *("--no-first-run", "--disable-background-networking", "--disable-extensions"),
]

LOOK = Path(__file__).with_name("look.js").read_text(encoding="utf-8")
"""What sticks out of the page (unless it is scrolled) or of its chart, lies on another text, or is hard to read."""


@dataclass
class Seen:
    """What a page did, and how it lies."""

    requests: list[str]
    """Addresses that were asked for, the page's own left out."""
    complaints: list[str]
    """Errors and warnings of the console, and exceptions."""
    layout: dict
    """What ``LOOK`` found."""
    picture: bytes
    """A PNG of the whole page."""


class Browser:
    """Sends one message at a time and keeps the events that come meanwhile."""

    def __init__(self, reading, writing):
        self._reading, self._writing = reading, writing
        self._rest, self._sent, self.events = b"", 0, []

    def ask(self, method, session=None, **what):
        """Send a message and return the answer to it."""
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": what} | ({"sessionId": session} if session else {})
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._sent:
            self.events.append(answer)
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def wait_for(self, event):
        """Read until an event has come."""
        while not any(one["method"] == event for one in self.events):
            self.events.append(self._next())

    def _next(self):
        while b"\0" not in self._rest:
            assert select.select([self._reading], [], [], PATIENCE)[0], "Chromium says nothing"
            came = os.read(self._reading, 1 << 20)
            assert came, "Chromium has ended"
            self._rest += came
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    @contextmanager
    def opened(self, page, *, width, dark):
        """Open a file or an address at a width in CSS pixels, in one of the themes; yield how to speak to its tab."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        ask = partial(self.ask, session=session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            ask(f"{domain}.enable")
        _set_size(ask, width, 800)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        ask("Emulation.setEmulatedMedia", features=features)
        self.events.clear()
        ask("Page.navigate", url=_address(page))
        self.wait_for("Page.loadEventFired")
        try:
            yield ask
        finally:
            self.ask("Target.closeTarget", targetId=target)

    def look(self, page, *, width, dark):
        """Open a page, everything that is folded away unfolded, and return what is seen."""
        with self.opened(page, width=width, dark=dark) as ask:
            run(ask, "document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            layout = run(ask, LOOK)
            _set_size(ask, width, min(LONGEST, run(ask, "document.documentElement.scrollHeight")))
            picture = base64.b64decode(ask("Page.captureScreenshot", captureBeyondViewport=True)["data"])
            requests, complaints = self.told(page)
        return Seen(requests, complaints, layout, picture)

    def told(self, page):
        """Return what a page asked for besides itself, and what was complained of."""
        asked = [one["params"]["request"]["url"] for one in self.events if one["method"] == "Network.requestWillBeSent"]
        said = [one for one in self.events if one["method"] == "Runtime.consoleAPICalled"]
        logged = [one["params"]["entry"]["text"] for one in self.events if one["method"] == "Log.entryAdded"]
        thrown = [str(one["params"]) for one in self.events if one["method"] == "Runtime.exceptionThrown"]
        return [url for url in asked if url != _address(page)], [*map(str, said), *logged, *thrown]


def _address(page):
    """Where a page is: a file, or what already is an address."""
    return page if isinstance(page, str) else page.resolve().as_uri()


def run(ask, script):
    """Return what a script in the page gives; what it promises, once that is kept."""
    answer = ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
    assert "exceptionDetails" not in answer, answer
    return answer["result"].get("value")


def press(ask, key, code=None, text="", modifiers=0):
    """Press a key and let it go; ``modifiers`` 2 is Ctrl."""
    known = {"key": key, "code": code or key, "modifiers": modifiers}
    number = {"Enter": 13, "Tab": 9, " ": 32}.get(key, 0)
    for kind in ("rawKeyDown", *(("char",) if text else ()), "keyUp"):
        ask("Input.dispatchKeyEvent", type=kind, text=text, windowsVirtualKeyCode=number, **known)


def _set_size(ask, width, height):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    ask("Emulation.setDeviceMetricsOverride", **metrics)


@contextmanager
def chromium(profile):
    """Start a browser with an empty profile in a folder, and end it.

    Where there is none the test is skipped.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium to look at pages with; on Debian: apt-get install chromium")
    fcntl = pytest.importorskip("fcntl", reason="Chromium is spoken to through the descriptors of a POSIX system")
    to_it, writing = os.pipe()
    reading, from_it = os.pipe()

    def as_three_and_four():  # copies above them first: one of the two may be 3 or 4 itself, where it would stay closed
        here, there = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_it, from_it))
        os.dup2(here, 3)
        os.dup2(there, 4)

    command = [
        program,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
    ]
    command += [
        "--no-first-run",
        "--disable-background-networking",
        "--disable-extensions",
        f"--user-data-dir={profile}",
    ]
    process = subprocess.Popen(
        [*command, "--remote-debugging-pipe", "about:blank"],
        preexec_fn=as_three_and_four,
        close_fds=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_it)
    os.close(from_it)
    try:
        yield Browser(reading, writing)
    finally:
        os.close(writing)  # it ends when nobody speaks to it
        os.close(reading)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

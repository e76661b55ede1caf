"""Take the pictures of docs/gallery.md: ``python tests/gallery.py runs/demo-yor-Latn-instant``, a finished run.

Pictures are of its report as Chromium shows them, in few colours, so that each takes less than 150 kB.
"""

import base64
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from browser import chromium, run

PICTURES = Path(__file__).parents[1] / "docs" / "gallery"
WIDTH, HEIGHT = 1100, 800


def take(browser, report, name, *, below="body", dark=False, width=WIDTH):
    """Write a picture of a report from the first element on that a selector finds."""
    with browser.opened(report, width=width, dark=dark) as ask:
        top = run(ask, f"document.querySelector({below!r}).getBoundingClientRect().top + window.scrollY")
        clip = {"x": 0, "y": max(0, top - 16), "width": width, "height": HEIGHT, "scale": 1}
        shot = ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]
    picture = Image.open(io.BytesIO(base64.b64decode(shot))).convert("RGB").quantize(64)
    PICTURES.mkdir(exist_ok=True)
    picture.save(PICTURES / f"{name}.png", optimize=True)


def main(finished):
    """Take all of them."""
    report = Path(finished) / "report.html"
    with tempfile.TemporaryDirectory() as profile, chromium(Path(profile)) as browser:
        take(browser, report, "run")
        take(browser, report, "mistakes", below="section:nth-of-type(6)")
        take(browser, report, "calibration", below="#calibration")
        take(browser, report, "run-phone-dark", dark=True, width=400)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Take the pictures of README and docs/gallery.md: ``python tests/gallery.py runs/demo-yor-Latn``, a finished run.

Pictures are of its report and of the page of ``lingraft serve``, as Chromium shows them, in few colours, so that each
takes less than 150 kB.
"""

import base64
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from browser import chromium, run
from lingraft.serving.loading import load
from served import served

PICTURES = Path(__file__).parents[1] / "docs" / "gallery"
WIDTH, HEIGHT = 1100, 800


ASKED = """new Promise((done) => {
  document.getElementById('text').value = 'Náírà ti Orílẹ̀-èdè Nàìjíríà';
  document.querySelector('button.ask').click();
  const details = document.getElementById('details');
  const look = () => details.getAttribute('aria-busy') === 'false' ? done() : setTimeout(look, 50);
  look();
})"""


def take(browser, page, name, *, below="body", dark=False, width=WIDTH, height=HEIGHT, done=""):
    """Write a picture of a page from the first element on that a selector finds, after a script has done something."""
    with browser.opened(page, width=width, dark=dark) as ask:
        run(ask, done)
        top = run(ask, f"document.querySelector({below!r}).getBoundingClientRect().top + window.scrollY")
        clip = {"x": 0, "y": max(0, top - 16), "width": width, "height": height, "scale": 1}
        shot = ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]
    picture = Image.open(io.BytesIO(base64.b64decode(shot))).convert("RGB").quantize(64)
    PICTURES.mkdir(exist_ok=True)
    picture.save(PICTURES / f"{name}.png", optimize=True)


def main(finished):
    """Take all of them."""
    report = Path(finished) / "report.html"
    with tempfile.TemporaryDirectory() as profile, chromium(Path(profile)) as browser:
        take(browser, report, "../report", width=1000, height=550)
        take(browser, report, "run", height=760)
        take(browser, report, "predictions", below="#predictions", height=640)
        take(browser, report, "confusions", below="#confusions", height=500)
        take(browser, report, "calibration", below="#calibration", height=610)
        take(browser, report, "folded", below="#data", height=900)
        take(browser, report, "run-phone-dark", dark=True, width=400, height=1000)
        with served(load(finished), Path(finished)) as at:
            take(browser, f"{at}/", "served", height=1280, done=ASKED)
            take(browser, f"{at}/", "served-mistakes-phone-dark", below="#mistakes-title", dark=True, width=400)


if __name__ == "__main__":
    main(*sys.argv[1:])

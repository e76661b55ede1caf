"""A whole run in a second: quiet, verified in this process, with a clock that stands still, and no charts."""

import re
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from types import SimpleNamespace

from lingraft.core.progress import Reporter
from lingraft.experiments import worker
from lingraft.experiments.compare import compare
from lingraft.results.pages import LAST, write_page
from lingraft.runs import pipeline
from lingraft.serving.verification import verify

QUIET = Reporter(quiet=True, clock=lambda: 0.0)


def write_card(folder):
    """Write the model card alone, which says that a run is finished; the report's charts take longer than the run."""
    write_page(folder, LAST)


def run(recipe, *, reporter=QUIET, save_every=1e9, pages=write_card):
    """Run a recipe; equal runs leave equal files, for no time passes."""
    return pipeline.run(recipe, reporter=reporter, verify=verify, save_every=save_every, pages=pages)


def interrupt():
    """Stop here."""
    raise KeyboardInterrupt


class Stopping(Reporter):
    """Stops at the N-th step of what is trained, counted over all trials, as a kill would: nothing is cleaned up."""

    def __init__(self, at, *, of=("training", "frozen head"), stop=interrupt):
        super().__init__(quiet=True, clock=lambda: 0.0)
        self.left, self.of, self.stop = at, of, stop

    @contextmanager
    def task(self, title, total):
        """Count steps."""

        def advance(amount=1, note=""):
            if title.startswith(self.of):
                self.left -= 1
                if self.left == 0:
                    self.stop()

        yield advance


def content(folder):
    """Every file of a run folder with its bytes, the folder's own path and name taken out; locks are left out.

    So are the digests of such files in a ``trial.json`` and in ``finished.json``.
    """
    place, name = str(folder).encode(), folder.name.encode()

    def plain(path):
        found = path.read_bytes().replace(place, b"RUN").replace(name, b"RUN")
        return re.sub(rb'"[0-9a-f]{64}"', b"DIGEST", found) if path.name in ("trial.json", "finished.json") else found

    return {
        str(path.relative_to(folder)): plain(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def differing(one, other):
    """Files that are not in both folders, or not the same."""
    first, second = content(one), content(other)
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))


@contextmanager
def start_here(wanted, complaints):
    """A comparison's worker in this process, which spares a process's start; what it says is the same."""
    code, said = 0, StringIO()
    with redirect_stdout(said):
        try:
            worker.main(StringIO(wanted))
        except SystemExit as end:
            code = end.code
    yield SimpleNamespace(stdout=said.getvalue().splitlines(), wait=lambda: code)


def quick_compare(recipe, *, start=start_here, quiet=True):
    """Compare the methods of a recipe, all of them in this process, and draw no charts of it."""
    return compare(recipe, quiet=quiet, start=start, tell=lambda found, comparison: None)

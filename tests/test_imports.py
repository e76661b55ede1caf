"""What answers at once, or works where torch is not installed, imports nothing heavy."""

import json
import subprocess
import sys

import pytest

HEAVY = {"torch", "transformers", "numpy", "scipy", "sklearn", "matplotlib", "matplotlib.pyplot"}
HEAVY |= {"pandas", "polars", "datasets", "pyarrow"}

DONE = {
    "import lingraft": set(),
    "import runpy, sys; sys.argv[1:] = ['--help']; runpy.run_module('lingraft', run_name='__main__')": set(),
    "import lingraft.core.records, lingraft.results.run_files": set(),
    "from lingraft.data.memory import rows_of; rows_of([{'text': 'ada'}], 'train.memory')": set(),
    "from lingraft.cli.main import main; main(['cache', 'info'])": set(),
    "from lingraft.cli.main import main; main(['check', '/dev/null'])": set(),
    "import lingraft.results.findings": {"numpy"},
    "import lingraft.results.pages.run_report": {"numpy", "matplotlib"},
    "from lingraft.backbones import backbones; backbones.names()": {"numpy", "matplotlib", "torch"},
}
"""What is done, one after the other in one process, and what of the heavy may have been imported by then."""

PROGRAM = f"""
import contextlib, io, json, sys
for step in json.loads(sys.argv[1]):
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        exec(step)
    print(json.dumps(sorted(set(sys.modules) & set({sorted(HEAVY)}))))
"""


@pytest.fixture(scope="module")
def imported():
    """The heavy modules that a fresh process has imported after each of the steps."""
    command = [sys.executable, "-c", PROGRAM, json.dumps(list(DONE))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(zip(DONE, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("step", DONE)
def test_nothing_heavy_is_imported_before_it_is_needed(imported, step):
    """`--help` answers at once; yesterday's scores become a report without torch; backbones know no transformers."""
    assert set(imported[step]) <= DONE[step]

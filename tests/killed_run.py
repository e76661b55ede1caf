"""A process that runs a recipe and is killed at a step, the step before which was saved."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

from lingraft.recipe.parsing import read_recipe
from posix_only import signal_called
from quick_run import Stopping, run


def killed_run(path, *, step):
    """Run the recipe of a file in a process of its own, and kill that at a step."""
    number = signal_called("SIGKILL")
    command = [sys.executable, __file__, str(path), str(step)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == -number, done.stderr.decode()


if __name__ == "__main__":
    kill = partial(os.kill, os.getpid(), signal.SIGKILL)
    run(read_recipe(Path(sys.argv[1])), reporter=Stopping(int(sys.argv[2]), of="training", stop=kill), save_every=-1.0)

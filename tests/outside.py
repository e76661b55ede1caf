"""Packages of other people: installed into a folder, and used by a process that knows nothing else of them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def install(folder, module, groups):
    """Install a module of the tests as a distribution that registers itself under the entry-point groups."""
    folder.mkdir(exist_ok=True)
    shutil.copy(HERE / f"{module}.py", folder)
    about = folder / f"{module}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n", encoding="utf-8")
    entries = "".join(f"[{group}]\n{module} = {module}\n" for group in groups)
    (about / "entry_points.txt").write_text(entries, encoding="utf-8")
    return folder


def python(code, *arguments, packages, cache):
    """Run a program in a fresh process that finds the packages; what it printed.

    Args:
        code: The program.
        *arguments: What it is called with.
        packages: The folder that they are installed in.
        cache: Its cache of states.
    """
    path = os.pathsep.join(filter(None, [str(packages), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": path, "LINGRAFT_CACHE": str(cache)},
        cwd=packages,
    )
    assert not done.returncode, done.stderr
    return done.stdout

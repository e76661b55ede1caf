"""The door of the command line, also as ``python -m lingraft``: it is open before anything is imported.

Who presses Ctrl-C while Python still reads modules gets a line, as later on.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command that this process was started with."""
    try:
        from .cli.main import main as run_command

        run_command()
    except KeyboardInterrupt:  # once a command runs, it ends in order by itself
        sys.stderr.write("stopped before anything was begun\n")
        sys.exit(130)


if __name__ == "__main__":
    main()

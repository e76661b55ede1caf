"""``python -m lingraft`` is the command line."""

from .cli import main

main()

"""``python -m lingraft`` is the command line."""

from .cli.main import main

main()

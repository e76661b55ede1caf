"""What other libraries say of themselves while they load: bars and reports, not for users of a command of ours."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers' progress bars and load reports; what matters of them we check ourselves."""
    from transformers.utils import logging as verbose

    log: Any = verbose  # untyped
    verbosity, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        if bars:
            log.enable_progress_bar()


def silence_bitsandbytes() -> None:
    """Silence its word on a faster kernel that it would fetch from the Hub; said on import, which PEFT's is as well."""
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)

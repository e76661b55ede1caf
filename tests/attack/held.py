"""What must hold of every reading of something hostile: used, or refused in one line; cheaply, and nowhere else."""

import sys
import time
import traceback

from lingraft.core.errors import LingraftError

SECONDS = 60.0
"""Of processor time: what reads in more than linear time takes far longer, and a run that may go on is quick."""
BYTES = 500 * 10**6
"""Above what the process held before."""


def peak_bytes():
    """The most that this process has held."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def fault_of(read):
    """What was wrong with how ``read`` ended; an empty text where nothing was."""
    before, started = peak_bytes(), time.process_time()
    said = ""
    try:
        read()
    except LingraftError as error:
        if "\n" in str(error) or len(str(error)) > 2000:
            said = f"not one line: {str(error)[:300]!r}"
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        ours = [f for f in traceback.extract_tb(error.__traceback__) if "lingraft" in f.filename]
        where = ours[-1] if ours else place
        said = f"{type(error).__name__}: {str(error)[:150]} at {where.filename.rpartition('/')[2]}:{where.lineno}"
    spent, grown = time.process_time() - started, peak_bytes() - before
    if spent > SECONDS:
        said += f" took {spent:.1f} s"
    if grown > BYTES:
        said += f" took {grown / 1e6:.0f} MB"
    return said

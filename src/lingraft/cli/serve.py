"""``serve``: a trained run behind HTTP, with a page to try it."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Annotated

import typer

from .terminal import Quiet, RunFolder, TrainedOn, print_warning


def serve(
    folder: RunFolder,
    host: Annotated[str, typer.Option(help="Where to listen; by default for this machine alone.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8000,
    max_bytes: Annotated[int, typer.Option(help="Bytes of a request's body, at most.")] = 1_000_000,
    max_items: Annotated[int, typer.Option(help="Items of a request, at most.")] = 256,
    max_characters: Annotated[int, typer.Option(help="Characters of an item, at most.")] = 20_000,
    max_waiting: Annotated[int, typer.Option(help="Items that wait, of all requests together, at most.")] = 2_048,
    backbone: TrainedOn = None,
    quiet: Quiet = False,
) -> None:
    """Answer over HTTP with a trained run, and show a page to try it: until Ctrl-C, or SIGTERM.

    /predict and /explain take JSON, as /openapi.json says; /healthz and /metrics are for who looks after it.
    """
    import gc

    # Torch's oneDNN keeps a kernel for each of the last 1,024 shapes, and requests together have ever new ones: a
    # hundred megabytes that make nothing faster. Read when the first product is computed.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
    gc.disable()  # as for predict
    from ..core.counted import counted
    from ..core.errors import LingraftError
    from ..core.progress import Reporter
    from ..results.saved_trial import describe_saved
    from ..serving.loading import kind_at, load
    from ..serving.server.needs import check_installed

    check_installed()
    from ..serving.server.doors import is_local
    from ..serving.server.limits import Limits
    from ..serving.server.running import address_of, bind
    from ..serving.server.running import serve as answer

    reporter = Reporter(quiet=quiet)
    limits = Limits(body=max_bytes, items=max_items, characters=max_characters, waiting=max_waiting)
    kind_at(folder)
    bound = bind(host, port)
    adapted = load(folder, backbone=backbone)
    gc.freeze()
    gc.enable()
    if not is_local(bound.getsockname()[0]):
        print_warning(
            f"{address_of(bound)} is reached by whoever reaches this machine: they may ask, and see the mistakes on "
            "test texts; there is no password and no encryption",
            reporter.console,
        )
    with suppress(LingraftError):  # a remark, as predict has it
        if saved := describe_saved(folder.expanduser(), adapted.kind.words):
            reporter.say(f"the trial that answers: {saved}")
    begun = f"answering at {address_of(bound)} (Ctrl-C stops)"
    refused = answer(adapted, folder.expanduser(), bound, limits, lambda: reporter.say(begun))
    late = f"{counted(refused, 'request')} took longer than {limits.seconds:g} s, and were told to ask again (503)"
    reporter.say(f"stopped; {late if refused else 'what was asked has been answered'}")

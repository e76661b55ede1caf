"""A large file answered by many processes of a Ray cluster: shards of its rows, through Ray Data.

What goes out is the number of a shard; each process has a model of its own, reads the file itself, and gives back the
lines of its shard, which are written in order. A process that is killed is started again, and with it the shard that it
was at: nothing of that was written yet.
"""

from __future__ import annotations

import logging
import socket
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TextIO

from ..core.counted import counted
from ..core.errors import DataError, LingraftError, ServiceError, one_line
from ..core.files import digest_of
from ..core.terminal_text import naming_output
from ..core.written_recipe import read_written_recipe
from ..model.checkpoint import adaptation_path
from ..serving.answer_file import Opened, Request, open_file
from ..serving.inputs import Given
from .agreement import VERSION, refuse_other, work_in
from .cluster import cluster, describe_cluster, gpus_each, require_ray

SHARD = 2_048
"""Rows that are answered, or lost with a killed process, together."""

ATTEMPTS = 4
"""Times that a shard is tried at most, where its process is killed each time."""

RESTARTS = 100
"""Times that one of the processes is started again at most."""


class Write(Protocol):
    """Writes the answers of a file, and tells how many lines it has written."""

    def __call__(self, stream: TextIO, *, advance: Callable[[int], None]) -> None:
        """Write them."""
        ...


@dataclass(frozen=True)
class Asked:
    """What every process is told: the run, the file, and what both must be."""

    folder: Path
    file: Path
    request: Request
    digests: Mapping[str, str]
    working: str
    """The folder that relative paths begin in."""
    rows: int
    """Of a shard."""


def open_on_cluster(
    folder: Path, file: Path | None, request: Request, say: Callable[[str], None], *, rows: int = SHARD
) -> Write:
    """Return what answers a file on a Ray cluster, with the lines that one process would write, in their order.

    Args:
        folder: The run.
        file: What to answer; every node has it under this path.
        request: How it is to be answered.
        say: Told how the file is read, and what the cluster is.
        rows: Of a shard.

    Raises:
        CheckpointError: There is no finished run.
        DataError: The file cannot be read, its first row is not what the task takes, or there is none.
        ServiceError: Ray is not installed.
    """
    require_ray()
    if file is None:
        raise DataError("--ray answers a file, which every node reads for itself; standard input is only here")
    opened = open_file(folder, file, request, say)
    asked = Asked(folder, file, opened.request, digests_of(folder, file), str(Path.cwd()), rows)
    shards = -(-_count(opened) // rows)

    def write(stream: TextIO, *, advance: Callable[[int], None]) -> None:
        with cluster() as ray, closing(_answers(ray, asked, shards)) as answered:
            say(f"answering {counted(shards, 'shard')} on {describe_cluster(ray)}")
            _write_in_order(answered, stream, asked, advance)

    return write


def digests_of(folder: Path, file: Path) -> dict[str, str]:
    """Return the digests of what is read by every process."""
    return {**VERSION, str(folder): digest_of(adaptation_path(folder)), str(file): digest_of(file)}


def _count(opened: Opened) -> int:
    """Count rows; where one cannot be read it is the last, and whoever answers its shard says why."""
    rows = 0
    try:
        for _ in opened.given:
            rows += 1
    except LingraftError:
        rows += 1
    return rows


def _answers(ray: Any, asked: Asked, shards: int) -> Generator[Mapping[str, Any]]:
    """Yield what is to be written of each shard, in order.

    Raises:
        ServiceError: A shard was lost too often, or Ray failed.
    """
    data = import_module("ray.data")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    gpus = gpus_each(ray, str(read_written_recipe(asked.folder).get("device", "auto")))
    processes = max(1, int(ray.cluster_resources().get("GPU" if gpus else "CPU", 1)))
    numbers = data.from_items([{"shard": number} for number in range(shards)], override_num_blocks=shards)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the last two have no other place yet
        answered = numbers.map_batches(
            Answerer,
            fn_constructor_args=(asked,),
            batch_size=1,
            concurrency=min(processes, shards),
            num_cpus=1,
            num_gpus=gpus,
            max_restarts=RESTARTS,
            max_task_retries=ATTEMPTS - 1,
        )
    try:
        yield from answered.iter_rows()
    except ray.exceptions.RayError as error:
        last = one_line(str(error).strip().splitlines()[-1], 500)
        raise ServiceError(f"the cluster could not answer all of {asked.file}: {last}") from None


def _write_in_order(
    answered: Iterator[Mapping[str, Any]], stream: TextIO, asked: Asked, advance: Callable[[int], None]
) -> None:
    """Write the lines of each shard, and stop where something is wrong with a row.

    Raises:
        DataError: That is wrong with it; or rows have other columns than those of the first shard.
    """
    head, said = None, set[str]()
    for shard in answered:
        for line in shard["said"].splitlines():
            if line not in said:
                said.add(line)
                warnings.warn(line, stacklevel=2)
        if head is None:
            head = shard["head"]
        elif shard["lines"] and shard["head"] != head:
            raise DataError(
                f"{asked.file}: rows after the first {shard['shard'] * asked.rows:,} have other columns than those "
                "before, and the head of the CSV is written by now; write JSON lines, with --format jsonl"
            )
        with naming_output():
            stream.write((head if shard["shard"] == 0 else "") + shard["lines"])
            stream.flush()
        advance(shard["count"])
        if shard["error"]:
            raise DataError(shard["error"])


class Answerer:
    """A process with a model of its own, which answers one shard after the other."""

    def __init__(self, asked: Asked) -> None:
        self.asked, self.at, self.problem = asked, 0, ""
        self.given: Iterator[Given] = iter(())
        try:
            work_in(asked.working)
            refuse_other(asked.digests, digests_of(asked.folder, asked.file))
            self.write = self._open().answer()
        except (LingraftError, OSError) as error:
            self.problem = f"on {socket.gethostname()}: {error}"

    def _open(self) -> Opened:
        opened = open_file(self.asked.folder, self.asked.file, self.asked.request)
        self.given, self.at = opened.given, 0
        return opened

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Return the lines of a shard, how many answers they are, what was said, and what is wrong with a row."""
        number, lines, head, done, problem = int(batch["shard"][0]), StringIO(), StringIO(), [0], self.problem
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if not problem:
                try:
                    self.write(lines, given=self._rows(number), head=head, advance=done.append)
                except LingraftError as error:
                    problem, self.at = str(error), -1
        told = "\n".join(dict.fromkeys(one_line(str(one.message)) for one in caught if one.category is UserWarning))
        found = {"shard": number, "lines": lines.getvalue(), "head": head.getvalue(), "count": sum(done)}
        return {key: [value] for key, value in (found | {"said": told, "error": problem}).items()}

    def _rows(self, number: int) -> Iterator[Given]:
        """Yield the rows of a shard; the file is read on from where the last shard ended, if that was before it."""
        first = number * self.asked.rows
        if not 0 <= self.at <= first:
            self._open()
        for _ in islice(self.given, first - self.at):
            pass
        self.at = first
        for one in islice(self.given, self.asked.rows):
            self.at += 1
            yield one

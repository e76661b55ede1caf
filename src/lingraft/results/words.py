"""What pages call things in a kind of task: plain words, which a run writes beside its data.

The kind itself gives them (:class:`lingraft.tasks.kinds.Kind`), ``data.json`` keeps them, and the pages read them
there, so that no page needs to know which kinds there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..core.terminal_text import printable


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a kind of task; those that are not given are neutral."""

    example: str = "example"
    """One example; an ``s`` makes several."""
    shot: str = ""
    """What is counted as one shot; by default a labelled example."""
    per: str = ""
    """What shots are counted in, after their number: `` per label``."""
    baseline: str = "a linear head on the frozen model's last-layer states"
    """The frozen head."""
    pipeline_tag: str = ""
    """The Hugging Face Hub's name of the kind; none where it has none."""
    item: str = '"…"'
    """One item of ``predict``, as Python writes it."""
    file: str = "texts.txt"
    """A file of them, for ``lingraft predict``."""
    limit: str = ""
    """A sentence on what the model cannot answer."""
    wrong: str = "wrong"
    """What an answer is that is not right."""

    @property
    def labelled(self) -> str:
        """One shot: ``labelled question``, or ``shot`` where they are counted per label."""
        return self.shot or f"labelled {self.example}"

    @property
    def shots_title(self) -> str:
        """Title of a column with numbers of shots: ``Labelled questions``, ``Shots per label``."""
        return f"{self.labelled[:1].upper()}{self.labelled[1:]}s{self.per}"


NEUTRAL = Words()


def words_of(data: Mapping[str, Any]) -> Words:
    """Return the words that the content of a ``data.json`` has; neutral ones where it has none."""
    known = {field.name for field in fields(Words)}
    return Words(**{key: printable(str(value)) for key, value in (data.get("words") or {}).items() if key in known})

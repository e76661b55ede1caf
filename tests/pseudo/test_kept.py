"""Pseudo-data on disk."""

import pytest

from lingraft.core.errors import RunError
from lingraft.core.examples import PairExample
from lingraft.core.files import read_object, watch_writes
from lingraft.pseudo.generators import Generator
from lingraft.pseudo.kept import Lot, read_lots, refuse_others, write_lots
from lingraft.pseudo.making import make
from pseudo.sources import TARGET, classification_sources


def test_what_generators_record_and_drop_stands_beside_the_examples_and_is_read_again(tmp_path):
    """What was asked of a service, and what it cost."""

    def generate(sources):
        yield PairExample("1", "g", TARGET, "one", 0.5, text_a="omi", label="nature")
        sources.drop("too long")
        sources.record({"generator": "one", "calls": 3})

    made = make([Generator(generate)], [], classification_sources(), [], "here")
    write_lots(tmp_path / "pseudo.jsonl", {Lot(TARGET, 0): made})
    (lot,) = read_object(tmp_path / "pseudo.json")["lots"]
    assert (lot["records"], lot["dropped"], lot["made"]) == (
        [{"generator": "one", "calls": 3}],
        {"too long": 1},
        {"one": 1},
    )
    assert read_lots(tmp_path / "pseudo.jsonl", PairExample) == {Lot(TARGET, 0): made}


@pytest.fixture
def kept(tmp_path):
    """Where one example is kept."""
    path = tmp_path / "pseudo.jsonl"
    write_lots(path, {Lot(TARGET, 0): make([Generator(one_text)], [], classification_sources(), [], "here")})
    return path


def one_text(sources):
    """A generator's only example."""
    yield PairExample("1", "g", TARGET, "one", 0.5, text_a="omi", label="nature")


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".json", '{"lots": 3}'),
        (".json", '{"lots": ["one"]}'),
        (".json", '{"format": 99, "lots": []}'),
        (".json", '{"lots": [{"language": "yor-Latn", "draw": "first"}]}'),
        (".json", '{"lots": [{"lang'),
        (".jsonl", '{"language": "yor-Latn", "draw": "first"}'),
        (".jsonl", "[]"),
    ],
)
def test_damage_is_one_error_with_a_cure_that_mends_it(kept, suffix, text):
    """Running the recipe again would read the same file again."""
    kept.with_suffix(suffix).write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match=r"delete \S+pseudo.json and pseudo.jsonl, and both are made anew"):
        read_lots(kept, PairExample)


def test_files_of_somebody_else_are_not_written_over(kept, tmp_path):
    """Neither examples nor what stands beside them; what was kept here may be written again."""
    refuse_others(kept)
    refuse_others(tmp_path / "new.jsonl")
    for name in ("mine.jsonl", "other.json"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
        with pytest.raises(RunError, match=rf"{name} is there already"):
            refuse_others((tmp_path / name).with_suffix(".jsonl"))


def test_what_was_stopped_before_its_first_lot_is_known_for_ours(kept):
    """The examples are written before what says that they are finished."""
    (kept.with_suffix(".json")).unlink()

    def stop(stage, path, temporary):
        if stage == "rename" and path == kept:
            raise KeyboardInterrupt

    with watch_writes(stop), pytest.raises(KeyboardInterrupt):
        write_lots(kept, {Lot(TARGET, 0): make([Generator(one_text)], [], classification_sources(), [], "here")})
    refuse_others(kept)
    assert read_lots(kept, PairExample) == {}

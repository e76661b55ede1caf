"""Pseudo-data on disk."""

from lingraft.core.files import read_object
from lingraft.core.records import PairExample
from lingraft.pseudo.generators import Generator
from lingraft.pseudo.kept import Lot, read_lots, write_lots
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

"""A lexicon from the alignments of translated sentences."""

from lingraft.core.examples import PairExample
from lingraft.pseudo.aligned_lexicon import aligned_lexicon
from pseudo.sources import SOURCE, TARGET


def pairs(*texts, origin="gold"):
    """Translations."""
    return [
        (PairExample(str(i), str(i), SOURCE, text_a=source), PairExample(str(i), str(i), TARGET, origin, text_a=target))
        for i, (source, target) in enumerate(texts)
    ]


def in_order(texts):
    """The first word with the first, and so on."""
    return [[(i, i) for i in range(min(len(a), len(b)))] for a, b in texts]


TEXTS = [
    ("Water flows.", "Omi ń-sàn."),
    ("Clean water", "Mímọ́ omi!"),
    ("water is", "omi ni"),
    ("the water", "ọwọ́ odò"),
    ("clean the", "mímọ́ náà"),
    ("clean as", "mímọ́ bí"),
    *((f"flows {where}", f"omi {how}") for where, how in (("by", "kọjá"), ("on", "lọ"), ("fast", "yára"))),
    ("once only", "ẹ̀ẹ̀kan péré"),
]


def test_words_that_are_mostly_aligned_with_one_are_entries():
    """Water and clean three times. Flows, too, with omi, which is aligned with water as often, and first."""
    found = aligned_lexicon(pairs(*TEXTS), in_order)
    assert found.entries == {("water",): ("omi",), ("clean",): ("mímọ́",)}
    assert found.longest == {"water": 1, "clean": 1}


def test_copies_and_evaluation_texts_give_no_entries():
    """A copy is no translation; a word that is a test text stays unknown."""
    assert len(aligned_lexicon(pairs(*TEXTS, origin="code-switching"), in_order)) == 0
    test = [PairExample("t", "t", TARGET, text_a="Omi", label="nature")]
    assert aligned_lexicon(pairs(*TEXTS), in_order, test).entries == {("clean",): ("mímọ́",)}
    assert len(aligned_lexicon([], in_order)) == 0

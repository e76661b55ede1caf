"""Schemes of tags: seen by the tags, and read as the same spans."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.core.errors import DataError
from lingraft.core.examples import TaggedExample
from lingraft.results.metrics.spans import repair_tags, span_f1, spans_of
from lingraft.tasks.tag_schemes import find_scheme, fit_scheme, tag_reader


def sentence(tags):
    """A sentence with these tags."""
    tags = tuple(tags.split())
    return TaggedExample(" ".join(tags), "g", "eng-Latn", words=("w",) * len(tags), tags=tags)


def fitted(*training, scheme="auto"):
    """The labelling of a training set, and what was told."""
    told = []
    return fit_scheme(scheme)([sentence(tags) for tags in training], told.append), told


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["B-PER I-PER O", "O B-LOC"], "BIO"),
        (["B-PER I-PER", "I-PER O"], "BIO"),  # one slip makes no other scheme
        (["I-PER I-PER O", "I-LOC B-LOC"], "IOB1"),
        (["I-PER O"], "IOB1"),
        (["S-PER O", "B-PER I-PER E-PER"], "IOBES"),
        (["U-PER O", "B-PER I-PER L-PER"], "BILOU"),
        (["B M E S"], "BMES"),
        (["B-PER M-PER E-PER W-LOC"], "BMEWO"),
        (["B I O"], "BIO"),
        (["NOUN VERB", "DET NOUN"], "plain"),
        (["N V", "S E"], "plain"),
        (["N-sg V O"], "plain"),
        (["O O"], "plain"),
    ],
)
def test_a_scheme_is_seen_by_its_tags(tags, scheme):
    """By the letters, and by what spans begin with."""
    assert find_scheme(one.split() for one in tags) == scheme


@pytest.mark.parametrize(
    ("tags", "bio"),
    [
        ("S-PER O B-PER I-PER E-PER", "B-PER O B-PER I-PER I-PER"),
        ("U-PER U-PER B-LOC L-LOC O", "B-PER B-PER B-LOC I-LOC O"),
        ("I-PER I-PER B-PER I-LOC O", "B-PER I-PER B-PER B-LOC O"),
        ("B-PER E-PER I-PER O E-LOC", "B-PER I-PER B-PER O B-LOC"),  # a span that ended goes on no more
        ("B M E S", "B I I B"),
    ],
    ids=["IOBES", "BILOU", "IOB1", "slips", "untyped"],
)
def test_tags_are_converted_and_their_spans_stay(tags, bio):
    """What is learnt from is BIO, and scores are those of the spans."""
    assert repair_tags(tags.split()) == bio.split()
    assert spans_of(tags.split()) == spans_of(bio.split())
    assert span_f1([tags], [bio]) == 1.0


SPANS = st.lists(st.tuples(st.sampled_from(["PER", "LOC", ""]), st.integers(1, 3), st.integers(0, 1)), max_size=6)


@given(SPANS)
def test_all_schemes_mark_the_same_spans(spans):
    """Any spans, written in IOB2, IOBES and BILOU, are read alike."""
    written = {"IOB2": [], "IOBES": [], "BILOU": []}
    for type_, length, after in spans:
        for scheme, tags in written.items():
            last, single = {"IOB2": ("I", "B"), "IOBES": ("E", "S"), "BILOU": ("L", "U")}[scheme]
            letters = [single] if length == 1 else ["B", *["I"] * (length - 2), last]
            tags += [f"{letter}-{type_}" if type_ else letter for letter in letters] + ["O"] * after
    expected = written["IOB2"]
    assert [repair_tags(tags) for tags in written.values()] == [expected] * 3


def test_what_is_converted_is_said_once_and_each_split_by_its_own_tags():
    """Training in IOBES, a test set in BIO: both are read, the conversion is told."""
    labelling, told = fitted("S-PER O", "B-PER E-PER")
    assert dict(labelling.options) == {"scheme": "bio"}
    for _ in range(2):
        assert [e.tags for e in labelling.relabel([sentence("S-PER O")])] == [("B-PER", "O")]
    assert labelling.relabel([sentence("B-PER O")])[0].tags == ("B-PER", "O")
    assert told == ["tags: IOBES is read and converted to BIO; the spans stay the same"]


def test_tags_that_mark_no_spans_are_left_alone_and_said():
    """No setting is needed for parts of speech."""
    labelling, told = fitted("NOUN VERB", "DET NOUN")
    assert dict(labelling.options) == {"scheme": "plain"}
    assert labelling.relabel([sentence("NOUN")]) == [sentence("NOUN")]
    assert told == [
        "tags: DET, NOUN, VERB, … mark no spans, so they stand for themselves and are scored by tag accuracy"
    ]


def test_a_scheme_that_is_given_is_taken():
    """`plain` keeps what looks like spans."""
    labelling, told = fitted("S-PER O", scheme="plain")
    assert labelling.relabel([sentence("S-PER O")])[0].tags == ("S-PER", "O")
    assert (dict(labelling.options), told) == ({"scheme": "plain"}, [])


def test_the_first_file_says_what_all_are_read_by():
    """Where training marks spans, a tag that marks none is refused as its reader says."""
    read = tag_reader("auto")

    def file(tags):
        def of(check):
            for tag in tags.split():
                if check is not None:
                    check(tag)
            return [sentence(tags)]

        return of

    assert read(file("B-PER O"))[0].tags == ("B-PER", "O")
    with pytest.raises(DataError, match="'NOUN' is not a BIO tag"):
        read(file("NOUN"))

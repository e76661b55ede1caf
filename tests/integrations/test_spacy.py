"""A run as a component of a spaCy pipeline."""

from importlib.metadata import entry_points

import pytest

from answering import adapted_of
from lingraft.core.errors import CheckpointError, ConfigError

spacy = pytest.importorskip("spacy", reason="spaCy is not installed (pip install lingraft[spacy])")
from lingraft.integrations.spacy import Component, create  # noqa: E402

CODE = "yor-Latn"
TEXTS = ["ada beli, cora", "", "  \n ", "dune eli\nada (beli) cora"]


def documents(texts=TEXTS):
    """As spaCy parts them."""
    nlp = spacy.blank("xx")
    return [nlp.make_doc(text) for text in texts]


@pytest.mark.parametrize("kind", ["classification", "multilabel"])
def test_classes_come_with_their_probabilities(tiny_backbone, kind):
    """Those that the run gives for the whole text; what has no word has none; others' classes stay."""
    adapted, docs = adapted_of(tiny_backbone, kind), documents()
    docs[0].cats = {"other": 0.5}
    found = list(Component(adapted, CODE).pipe(docs, batch_size=2))
    assert [doc.text for doc in found] == TEXTS
    whole = adapted.predict_proba([TEXTS[0], TEXTS[3]], language=CODE)
    for doc, row in zip((found[0], found[3]), whole.values, strict=True):
        expected = dict(zip(whole.classes, row.tolist(), strict=True))
        assert {name: doc.cats[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert found[0].cats["other"] == 0.5
    assert found[1].cats == found[2].cats == {}


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_names_are_spans_of_spacys_tokens(tiny_backbone, seed):
    """Each entity that the run finds in these words, word for word."""
    adapted = adapted_of(tiny_backbone, "tagging", seed=seed)
    docs = list(Component(adapted, CODE).pipe(documents()))
    for doc in docs:
        words = [str(token) for token in doc if not token.is_space]
        entities = adapted.predict([{"words": words}], language=CODE)[0].entities if words else ()
        assert [(one.text.split(), one.label) for one in entities] == [
            ([str(token) for token in span if not token.is_space], span.label_) for span in doc.ents
        ]
    assert any(doc.ents for doc in docs)


def test_tags_of_words_are_tags_of_tokens(tiny_backbone):
    """Where they are no parts of names; blanks have none."""
    adapted = adapted_of(tiny_backbone, "tagging", labels=("ADJ", "NOUN"), kind_options={"scheme": "plain"})
    doc = Component(adapted, CODE)(documents()[3])
    words = [str(token) for token in doc if not token.is_space]
    assert [token.tag_ for token in doc if not token.is_space] == adapted.predict([{"words": words}], language=CODE)[
        0
    ].value.split()
    assert {token.tag_ for token in doc if token.is_space} == {""}


@pytest.mark.parametrize(
    ("kind", "known", "said"),
    [("span_qa", {}, "answers of span_qa"), ("classification", {"paired": True}, "answers of pairs of texts")],
)
def test_answers_without_a_place_are_refused(tiny_backbone, kind, known, said):
    """With what answers them."""
    with pytest.raises(CheckpointError, match=rf"{said}; use lingraft.load\(…\).predict"):
        Component(adapted_of(tiny_backbone, kind, **known))


def test_it_is_found_by_its_name():
    """As packages bring components; what is wrong with the run is said as everywhere."""
    (found,) = entry_points(group="spacy_factories", name="lingraft")
    assert found.load() is create
    nlp = spacy.blank("xx")
    with pytest.raises(CheckpointError, match=r"there is no nowhere/adaptation\.safetensors"):
        nlp.add_pipe("lingraft", config={"run": "nowhere"})
    with pytest.raises(ConfigError, match="run is missing; give the folder of one"):
        nlp.add_pipe("lingraft")

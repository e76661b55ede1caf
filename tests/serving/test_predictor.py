"""What is asked of a loaded run from Python: which iterables, which language, which answers."""

import warnings
from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow
import pytest
import torch

import lingraft
from answering import LABELS, adapted_of
from lingraft.backbones.walk import states_at
from lingraft.core.errors import CheckpointError, DataError
from lingraft.data.cells import Unreadable
from lingraft.data.character_model import CharacterModel
from lingraft.model.ensembles import LanguageEnsemble
from lingraft.model.heads.ngrams import fit_ngram_classifier
from lingraft.serving.items import HEAVIEST, LARGEST, chunks_of
from lingraft.serving.loading import load, needed_columns
from lingraft.serving.own_names import OwnNames

TEXTS = ["ada beli", "cora dune eli", "fara"]
ITEMS = {
    "classification": TEXTS,
    "tagging": TEXTS,
    "span_qa": [{"question": "ada", "context": text} for text in TEXTS],
    "choice": [{"text": text, "alternatives": ["ada", "beli"]} for text in TEXTS],
}


class Series:
    """Iterates values as a column of pandas does, and is no sequence."""

    def __init__(self, values):
        self.values = values

    def __iter__(self):
        return iter(self.values)

    def __len__(self):
        return len(self.values)


class Frame(Series):
    """Iterates names as a table of pandas does."""

    columns = ("text", "id")


@pytest.fixture(params=ITEMS)
def of_kind(request, tiny_backbone):
    """A loaded run of each kind, with items to ask."""
    return adapted_of(tiny_backbone, request.param), ITEMS[request.param]


@pytest.fixture
def adapted(tiny_backbone):
    """A loaded run for topics."""
    return adapted_of(tiny_backbone)


@pytest.mark.parametrize("form", [iter, tuple, np.array, Series, lambda texts: (text for text in texts)])
def test_any_iterable_of_texts_will_do(adapted, form):
    """A generator, an array or a column of a table gives what a list gives."""
    assert adapted.predict(form(TEXTS)) == adapted.predict(TEXTS)


def test_a_head_alone_asks_for_frozen_states_of_the_last_layer(of_kind):
    """Which whatever is on the same backbone may share; the answers are those of a walk through all layers."""
    (adapted, items), asked = of_kind, []

    def given_at(layer):
        def give(texts, stack, wanted, device):
            asked.append(wanted)
            return states_at(texts, stack, wanted if layer is None else layer, device)

        return replace(adapted, frozen=give)

    ours, theirs = given_at(None).predict(items), given_at(0).predict(items)
    assert [one.value for one in ours] == [one.value for one in theirs]
    assert [one.confidence for one in ours] == pytest.approx([one.confidence for one in theirs], abs=1e-5)
    assert {*asked} == {adapted.backbone.stack.num_layers}


def test_a_column_of_arrow_will_do(adapted):
    """Its cells are objects of their own."""
    column = pyarrow.chunked_array([["ada beli", None], ["fara"]])
    assert [bool(one.value) for one in adapted.predict(column)] == [True, False, True]
    assert adapted.predict(column.drop_null()) == adapted.predict(["ada beli", "fara"])


def test_any_iterable_of_items_of_any_kind_will_do(of_kind):
    """As long as it gives one item after the other."""
    adapted, items = of_kind
    assert adapted.predict(iter(items)) == adapted.predict(items)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (None, "expected an iterable of texts .*got None"),
        (5, "expected an iterable of texts .*got 5"),
        (np.array("a"), "expected an iterable of texts .*got array"),
        ("ada", "put it in brackets"),
        (b"ada", "put it in brackets"),
        ({"text": "ada"}, "put it in brackets"),
        (Frame(["text", "id"]), r"texts of a Frame: one column, as frame\['text'\]"),
        ([5], "text 1 of 1: topic takes one text, got 5"),
        (["Bei \ud83d ya"], "text 1 of 1 holds half a surrogate pair at position 5"),
        ([{"text": "\udc00"}], "text 1 of 1: column 'text' holds half a surrogate pair at position 1"),
        ([{"body": "ada"}], "text 1 of 1: there is no column 'text'.*its columns are body"),
        ([{"text": datetime(2024, 1, 2)}], "text 1 of 1: column 'text' holds the date 2024-01-02; expected text"),
        ([{"text": Unreadable("the error #N/A")}], r"column 'text' holds what cannot be read \(the error #N/A\)"),
        ([{"text": 5}], "text 1 of 1: column 'text' holds the number 5; expected text"),
    ],
)
@pytest.mark.parametrize("ask", ["predict", "predict_proba"])
def test_what_is_no_list_of_texts_is_one_clear_error(tiny_backbone, ask, given, told):
    """What came, and what would do."""
    with pytest.raises(DataError, match=told):
        getattr(adapted_of(tiny_backbone), ask)(given)


def test_of_a_stream_the_number_is_told(adapted):
    """Nobody knows of how many."""
    with pytest.raises(DataError, match="text 2: topic takes one text, got 5"):
        adapted.predict(text for text in ("ada", 5))


@pytest.mark.parametrize("kind", ["span_qa", "tagging", "choice"])
def test_half_a_character_is_refused_wherever_it_is(tiny_backbone, kind):
    """In a word, a context, an alternative: before the tokenizer sees it."""
    wrong = {
        "span_qa": {"question": "ada", "context": "be\ud83d"},
        "tagging": ["ada", "be\ud83d"],
        "choice": {"text": "ada", "alternatives": ["ada", "be\ud83d"]},
    }
    with pytest.raises(DataError, match=r"text 2 of 2.*half a surrogate pair at position 3"):
        adapted_of(tiny_backbone, kind).predict([ITEMS[kind][0], wrong[kind]])


def test_pairs_are_checked_too(tiny_backbone):
    """The second text as the first."""
    paired = adapted_of(tiny_backbone, paired=True)
    with pytest.raises(DataError, match="text 1 of 1 holds half a surrogate pair"):
        paired.predict([("ada", "be\ud83d")])


def test_a_text_of_a_pair_may_be_missing(tiny_backbone):
    """As in a row: without the first there is no answer, the second may be empty."""
    paired = adapted_of(tiny_backbone, paired=True)
    pairs = [(None, "ada"), (NAN, None), ("ada", NAN), ("ada", "")]
    rows = [{"text": first, "text_b": second} for first, second in pairs]
    found = paired.predict(pairs)
    assert found == paired.predict(rows)
    assert [bool(one.value) for one in found] == [False, False, True, True]


def test_rows_may_have_the_runs_own_column_names(tiny_backbone):
    """Or ours; the other columns do not matter."""
    adapted = adapted_of(tiny_backbone, names=OwnNames(fields={"text": "message", "label": "topic"}))
    rows = [{"id": 1, "message": TEXTS[0], "topic": "bird"}, {"text": TEXTS[1]}, {"message": None}]
    found = adapted.predict(rows)
    assert [one.value for one in found[:2]] == [one.value for one in adapted.predict(TEXTS[:2])]
    assert found[2].value == ""


NAN = float("nan")
"""What pandas has in the place of a text that is missing; in a column of numbers, Arrow and numpy as well."""

EMPTY = {
    "classification": ["", " \t", None, NAN, np.float32("nan"), {"text": ""}, {"text": None}, {"text": NAN}],
    "tagging": ["", [], None, NAN, np.array([]), {"words": []}, {"words": None}, {"words": NAN}, {"text": " "}],
    "span_qa": [
        {"question": "", "context": "ada"},
        {"question": "ada", "context": None},
        {"question": NAN, "context": "ada"},
        None,
    ],
    "choice": [{"text": " ", "alternatives": ["ada", "beli"]}, {"text": "ada", "alternatives": None}, NAN],
}


@pytest.mark.parametrize("kind", EMPTY)
def test_what_has_no_text_has_an_empty_answer_in_its_place(tiny_backbone, kind):
    """And what is beside it has the answer that it has alone."""
    adapted, item = adapted_of(tiny_backbone, kind), ITEMS[kind][0]
    (alone,) = adapted.predict([item])
    for empty in EMPTY[kind]:
        first, middle, last = adapted.predict([item, empty, item])
        assert (middle.value, middle.confidence) == ("", 0.0)
        assert first.value == last.value == alone.value
        assert [first.confidence, last.confidence] == pytest.approx([alone.confidence] * 2, abs=1e-6)


# ---- Language --------------------------------------------------------------------------------------


def language_of(adapted, language=None):
    """Which language a text is taken to be in, and what is said of it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        (found,) = adapted.predict(["ada"], language=language)
    return found.language, [str(warning.message) for warning in caught]


def test_the_only_target_is_the_default(tiny_backbone):
    """Without a word; of the recipe, if it has one, else of the adaptation."""
    assert language_of(adapted_of(tiny_backbone)) == ("yor-Latn", [])
    named = adapted_of(tiny_backbone, languages=("yor-Latn", "swh-Latn"), names=OwnNames(targets=("swh-Latn",)))
    assert language_of(named) == ("swh-Latn", [])


def test_of_several_targets_none_is_the_default(tiny_backbone):
    """The part that all share answers, and the targets are named."""
    code, said = language_of(adapted_of(tiny_backbone, languages=("yor-Latn", "swh-Latn")))
    assert code == "eng-Latn"
    assert said == [
        "no language given; answering with the part that all languages share (trained on English, Yoruba, Swahili); "
        "name one of Yoruba (yor-Latn), Swahili (swh-Latn)"
    ]


LETTERS = {
    "eng-Latn": CharacterModel.of_texts(["xyz xyy"]),
    "yor-Latn": CharacterModel.of_texts(["ada beli ada beli"]),
    "swh-Latn": CharacterModel.of_texts(["cora dune cora dune"]),
}
MIXED = ["cora dune", "", "ada beli", "dune cora dune"]


@pytest.fixture
def lettered(tiny_backbone):
    """A loaded run of two languages that are known by their letters, one of which answers by its n-grams."""
    adapted = replace(adapted_of(tiny_backbone, languages=("yor-Latn", "swh-Latn")), letters=LETTERS)
    texts = [" ".join(("cora", "dune", "fara")[n % 3 :]) + f" x{n}" for n in range(30)]
    classifier, _ = fit_ngram_classifier(texts, np.random.default_rng(0).dirichlet([1, 1, 1], 30))
    ensemble = LanguageEnsemble(torch.tensor([0.1, 5.0]), None, {"ngrams": classifier})
    adapted.model.adaptation.add_ensemble("swh-Latn", ensemble)
    return adapted


@pytest.mark.filterwarnings("ignore:no language given")
def test_texts_of_several_targets_are_answered_each_by_its_own_parts(lettered):
    """As if each had been asked for alone and with its language; one without text has none."""
    codes = ["swh-Latn", "", "yor-Latn", "swh-Latn"]
    found = lettered.predict(MIXED)
    assert [one.language for one in found] == codes
    alone = [lettered.predict([text], language=code)[0] for text, code in zip(MIXED, codes, strict=True) if text]
    texts = [one for one in found if one.value]
    assert [one.value for one in texts] == [one.value for one in alone]
    assert [one.confidence for one in texts] == pytest.approx([one.confidence for one in alone], abs=1e-6)
    wrong = lettered.predict([MIXED[0]], language="yor-Latn")[0]
    assert abs(wrong.confidence - found[0].confidence) > 1e-3  # the parts make a difference
    states = lettered.embed(MIXED)
    assert np.isnan(states[1]).all()
    expected = [lettered.embed([text], language="swh-Latn")[0] for text in (MIXED[0], MIXED[3])]
    assert states[[0, 3]] == pytest.approx(np.array(expected), abs=1e-5)
    assert lettered.explain(MIXED[0]).answer.language == "swh-Latn"


def test_that_languages_are_told_by_letters_is_said(lettered):
    """Once, with all that a text may be taken for; and a language that is given is not looked for."""
    assert language_of(lettered) == (
        "yor-Latn",
        ["no language given; each text is taken for the likeliest of English, Yoruba, Swahili by its letters"],
    )
    assert language_of(lettered, "sw") == ("swh-Latn", [])


def test_languages_are_not_told_apart_where_a_target_is_not_known(lettered):
    """Its texts would be taken for another's, so the part that all share answers."""
    some = {code: LETTERS[code] for code in ("eng-Latn", "yor-Latn")}
    code, (said,) = language_of(replace(lettered, letters=some))
    assert code == "eng-Latn"
    assert said.startswith("no language given; answering with the part that all languages share")


def test_a_run_for_one_language_needs_none(tiny_backbone):
    """Where there are no targets, all is in the language that was learnt from."""
    assert language_of(adapted_of(tiny_backbone, languages=())) == ("eng-Latn", [])


@pytest.mark.parametrize("targets", [(), ("yor-Latn",)])
def test_no_name_is_no_language(tiny_backbone, targets):
    """An empty one is as none at all."""
    one = adapted_of(tiny_backbone, languages=targets)
    assert language_of(one, "") == language_of(one)


@pytest.mark.parametrize("language", [["swh"], 5])
def test_a_language_is_a_name(tiny_backbone, language):
    """What is none is refused in one line."""
    with pytest.raises(DataError, match="language: expected the name of one language, got"):
        list(adapted_of(tiny_backbone).predict(["ada"], language=language))


def test_a_target_that_nothing_was_trained_for_says_what_was(tiny_backbone):
    """It had nothing to learn from; the shared part did, and in which languages."""
    adapted = adapted_of(tiny_backbone, names=OwnNames(targets=("yor-Latn", "swh-Latn")))
    code, (said,) = language_of(adapted, "sw")
    assert code == "swh-Latn"
    shared = "answering with the part that all languages share (trained on English, Yoruba)"
    assert said == f"this run had no translations or labels of Swahili to learn from; {shared}"
    assert language_of(adapted, "wo")[1] == [f"this run learnt no Wolof; {shared}"]


def test_a_language_in_an_overlapping_script_is_the_run_s(tiny_backbone):
    """Korean in Hangul is answered with what was learnt of Korean, and it is said."""
    adapted = adapted_of(tiny_backbone, languages=("kor-Kore",))
    assert language_of(adapted, "kor-Hang") == (
        "kor-Kore", ["kor-Hang is answered with what was trained for kor-Kore: the scripts overlap"]
    )  # fmt: skip
    assert (adapted.knows("kor-Hang"), adapted.knows("jpn-Hira")) == (True, False)


# ---- Probabilities and abstention ------------------------------------------------------------------


def test_probabilities_are_those_that_the_answer_is_chosen_by(adapted):
    """Rows sum to 1, the largest is the confidence of the answer; a text without characters has none."""
    found, answers = adapted.predict_proba([*TEXTS, ""]), adapted.predict(TEXTS)
    assert found.classes == LABELS["classification"]
    assert found.values.shape == (4, 3)
    assert found.values[:3].sum(1) == pytest.approx([1, 1, 1])
    assert found.values[:3].max(1) == pytest.approx([answer.confidence for answer in answers])
    assert [found.classes[best] for best in found.values[:3].argmax(1)] == [answer.value for answer in answers]
    assert np.isnan(found.values[3]).all()
    assert adapted.predict_proba([]).values.shape == (0, 3)


def test_alternatives_have_probabilities(tiny_backbone):
    """As many as an item has; 0 for those that it lacks."""
    adapted = adapted_of(tiny_backbone, "choice")
    items = [{"text": "ada", "alternatives": list(some)} for some in (("beli", "cora"), ("beli", "cora", "dune"))]
    found = adapted.predict_proba(items)
    assert found.classes == ("0", "1", "2")
    assert found.values.sum(1) == pytest.approx([1, 1])
    assert found.values[0, 2] == 0
    assert [str(best) for best in found.values.argmax(1)] == [one.value for one in adapted.predict(items)]


@pytest.mark.parametrize("kind", ["tagging", "span_qa"])
def test_what_chooses_among_no_classes_has_no_such_probabilities(tiny_backbone, kind):
    """It is said which kind of task it is."""
    with pytest.raises(CheckpointError, match=f"no probabilities of classes: the run is for {kind}"):
        adapted_of(tiny_backbone, kind).predict_proba(ITEMS[kind])


def test_answers_below_a_confidence_are_withheld(adapted):
    """They are empty and say so; the confidence stays, as do the other answers."""
    answers = adapted.predict(TEXTS)
    threshold = sorted(answer.confidence for answer in answers)[1]
    found = adapted.predict(TEXTS, abstain=threshold)
    assert sum(one.abstained for one in found) == 1
    for one, answer in zip(found, answers, strict=True):
        assert one.confidence == answer.confidence
        assert (one.value, one.abstained) == (("", True) if one.confidence < threshold else (answer.value, False))


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan"), "high", True, False, [0.5]])
def test_a_threshold_is_a_probability(adapted, threshold):
    """Nothing else can be compared with a confidence; that answers may be withheld at all is none."""
    with pytest.raises(DataError, match=r"^abstain: expected a probability from 0 to 1, got "):
        adapted.predict(TEXTS, abstain=threshold)


@pytest.mark.parametrize("folder", [None, 5, b"runs/mine", ["runs/mine"], {"folder": "runs/mine"}])
@pytest.mark.parametrize("ask", [lingraft.load, load, needed_columns])
def test_a_run_is_named_by_its_folder(ask, folder):
    """Whatever else is given, what would do is said."""
    with pytest.raises(CheckpointError, match="expected the folder of a run, as 'runs/my-run', got "):
        ask(folder)


def test_a_cell_that_cannot_be_read_says_why(tiny_backbone):
    """Also where it is one of several that hold the alternatives."""
    fields = {"text": "premise", "alternatives": ["one", "two"]}
    adapted = adapted_of(tiny_backbone, "choice", names=OwnNames(fields=fields))
    row = {"premise": "ada", "one": "beli", "two": "cora", "note": Unreadable("the error #REF!")}
    assert adapted.predict([row])[0].value in ("0", "1")
    for column in ("premise", "two"):
        with pytest.raises(DataError, match=r"text 1 of 1: column '\w+' holds what cannot be read \(the error #N/A\)"):
            adapted.predict([row | {column: Unreadable("the error #N/A")}])


# ---- Places ----------------------------------------------------------------------------------------


def test_an_answer_is_where_its_offsets_say(tiny_backbone):
    """In the context as it was given; none where it was withheld."""
    adapted = adapted_of(tiny_backbone, "span_qa")
    items = [{"question": "ada", "context": "  cora  dune, eli"}, {"question": "beli", "context": "fara"}]
    for item, answer in zip(items, adapted.predict(items), strict=True):
        assert item["context"][answer.start : answer.end] == answer.value != ""
    withheld = adapted.predict(items, abstain=1)[0]
    assert (withheld.value, withheld.start, withheld.end, withheld.abstained) == ("", None, None, True)


def test_tags_are_of_the_words_of_a_text(tiny_backbone):
    """Punctuation is a word; what is given as words is tagged as such; entities stand in the text."""
    adapted = adapted_of(tiny_backbone, "tagging")
    as_text, as_words = adapted.predict(["ada beli, cora.", ["ada", "beli", ",", "cora", "."]])
    assert as_text.words == as_words.words == ("ada", "beli", ",", "cora", ".")
    assert (as_text.value, as_text.scores) == (as_words.value, as_words.scores)
    assert [(one.label, one.score) for one in as_text.entities] == [(o.label, o.score) for o in as_words.entities] != []
    for entity in as_text.entities:
        assert "ada beli, cora."[entity.start : entity.end] == entity.text
    for entity in as_words.entities:
        assert "ada beli , cora ."[entity.start : entity.end] == entity.text


# ---- Streams ---------------------------------------------------------------------------------------


def test_the_first_answer_comes_before_the_last_item_is_read(adapted):
    """And never are more items held than are computed together, however many come."""
    read = 0

    def items():
        nonlocal read
        while read < 3 * LARGEST:
            read += 1
            yield f"line {read}", "ada"

    ahead = []
    for answered, _ in enumerate(adapted.answers(items()), start=1):
        ahead.append(read - answered)
    assert len(ahead) == 3 * LARGEST
    assert ahead[0] == 0
    assert max(ahead) < LARGEST


def test_long_texts_are_not_held_together():
    """However few: a chunk ends where enough characters are in it."""
    sizes = [HEAVIEST // 2, HEAVIEST // 2, 1, 1, 2 * HEAVIEST, 1]
    assert list(chunks_of(sizes, weigh=int)) == [sizes[:3], sizes[3:5], sizes[5:]]


def test_what_comes_before_a_mistake_is_answered(adapted):
    """Then the mistake is told."""
    found = []
    with pytest.raises(DataError, match="line 3: topic takes one text"):
        found.extend(adapted.answers([("line 1", "ada"), ("line 2", "beli"), ("line 3", 5), ("line 4", "cora")]))
    assert [one.value for one in found] == [one.value for one in adapted.predict(["ada", "beli"])]


def test_a_row_that_lacks_a_column_of_the_run_s_data_names_it(tiny_backbone):
    """One of several that hold the alternatives; there is no option to name another."""
    fields = {"text": "premise", "alternatives": ["choice1", "choice2"], "label": "label"}
    adapted = adapted_of(tiny_backbone, "choice", names=OwnNames(fields=fields))
    assert adapted.predict([{"premise": "ada", "choice1": "be", "choice2": "cora"}])[0].value in ("0", "1")
    with pytest.raises(DataError, match=r"no column 'choice2' \(for `alternatives`\); .*premise, choice1; add it"):
        adapted.predict([{"premise": "ada", "choice1": "be"}])


def test_a_loaded_run_prints_as_one_line(tiny_backbone):
    """Task, languages and checkpoint, not every parameter."""
    adapted = adapted_of(tiny_backbone)
    assert repr(adapted) == f"<Adapted: topic in eng-Latn, yor-Latn, on {tiny_backbone.name}>"
    saved = replace(adapted, trial="k5-draw0-seed2")
    assert repr(saved) == f"<Adapted: topic in eng-Latn, yor-Latn, on {tiny_backbone.name}, trial k5-draw0-seed2>"

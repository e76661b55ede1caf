"""Labels that a model gives a sentence, learnt as those of its translation."""

from collections import Counter
from dataclasses import replace

import pytest

from lingraft.core.examples import PairExample, TaggedExample
from lingraft.core.records import Prediction
from lingraft.pseudo.generators import generators
from lingraft.tasks.kinds import kind_of
from pseudo.sources import SOURCE, TARGET, classification_sources


def pair(number, source, target):
    """A translation from a file."""
    return tuple(
        PairExample(f"parallel/{number}", f"g{number}", language, text_a=text)
        for language, text in ((SOURCE, source), (TARGET, target))
    )


def projected(sources, **options):
    """What is made, and why the rest is not."""
    dropped = Counter()
    made = generators.build("label-projection", options).generate(
        replace(sources, drop=lambda why: dropped.update([why]))
    )
    return list(made), dropped


def said(**answers):
    """A model that knows some texts by heart: text to label and probability; it refuses the target language."""

    def predict(examples, language):
        assert language == SOURCE
        return [Prediction(e.id, language, *answers[e.texts[0]]) for e in examples]

    return predict


# ---- Classes ---------------------------------------------------------------------------------------

PAIRS = tuple(pair(i, f"s{i}", f"t{i}") for i in range(4))
ANSWERS = {"s0": ("nature", 0.9), "s1": ("nature", 0.8), "s2": ("sport", 0.3), "s3": ("nature", 0.7)}


def test_a_translation_gets_the_class_of_its_source_side_and_counts_by_its_probability():
    """The group is the pair's, so that nothing of it is on two sides of a split."""
    made, dropped = projected(classification_sources(pairs=PAIRS, predict=said(**ANSWERS)), top_share=1.0, weight=0.5)
    assert [(one.text_a, one.label, one.weight) for one in made] == [
        ("t0", "nature", 0.45),
        ("t1", "nature", 0.4),
        ("t2", "sport", 0.15),
        ("t3", "nature", 0.35),
    ]
    assert {(one.language, one.origin) for one in made} == {(TARGET, "label-projection")}
    assert made[0].group == "g0"
    assert not dropped


def test_of_each_class_the_surest_are_kept():
    """A class that the model is never sure of keeps its surest."""
    made, dropped = projected(classification_sources(pairs=PAIRS, predict=said(**ANSWERS)), top_share=0.6)
    assert [one.text_a for one in made] == ["t0", "t1", "t2"]
    assert dropped == {"the model is surer of others of its class": 1}


def test_a_label_that_people_gave_the_source_side_goes_before_what_a_model_says():
    """The model is not asked for it."""
    labelled = (PairExample("parallel/0", "g0", SOURCE, text_a="s0", label="sport"),)
    made, _ = projected(
        classification_sources(pairs=PAIRS[:1], labelled=labelled, predict=said()),
    )
    assert [(one.label, one.weight) for one in made] == [("sport", 1.0)]


def test_a_translation_of_one_sentence_is_no_example_of_a_task_that_compares_two():
    """It is counted."""
    labelled = (PairExample("train/1", "g", SOURCE, text_a="one", text_b="other", label="sport"),)
    made, dropped = projected(classification_sources(pairs=PAIRS, labelled=labelled, predict=said()))
    assert not made
    assert dropped == {"the task reads two texts, a translation is one": 4}


def test_a_copy_that_was_made_of_a_sentence_is_no_translation():
    """What code-switching left of a sentence has the original's label by itself."""
    source, target = PAIRS[0]
    copies = ((source, replace(target, origin="code-switching")),)
    assert projected(classification_sources(pairs=copies, predict=said())) == ([], {})


# ---- Tags ------------------------------------------------------------------------------------------


def tagging_sources(*pairs, answers, links, scheme="bio", labelled=()):
    """Sources of a tagging task; ``answers`` are tags and scores of source texts, ``links`` aligned words of all."""

    def predict(examples, language):
        assert language == SOURCE
        assert all(isinstance(example, TaggedExample) for example in examples)
        found = []
        for example in examples:
            tags, scores = answers[example.texts[0]]
            assert len(tags.split()) == len(example.words)
            found.append(Prediction(example.id, language, tags, 0.5, words=example.words, scores=scores))
        return found

    sources = classification_sources(pairs=pairs, labelled=labelled, predict=predict, align=lambda texts: links)
    kind = kind_of("tagging", ("B-LOC", "B-PER", "I-PER", "O"), {"scheme": scheme})
    return replace(sources, task=replace(sources.task, kind=kind))


KANO = pair(0, "Musa lives in Kano.", "A Kano, Musa yake.")
ANSWER = ("B-PER O O B-LOC O", (0.9, 0.99, 0.99, 0.8, 1.0))
LINKS = [(0, 3), (1, 4), (2, 0), (3, 1), (4, 5)]


def test_tags_follow_their_words_and_a_sentence_counts_by_the_tag_that_is_least_sure():
    """Punctuation is a word of its own, as in tagged corpora."""
    (made,), dropped = projected(tagging_sources(KANO, answers={"Musa lives in Kano .": ANSWER}, links=[LINKS]))
    assert made.words == ("A", "Kano", ",", "Musa", "yake", ".")
    assert made.tags == ("O", "B-LOC", "O", "B-PER", "O", "O")
    assert (made.weight, made.origin, made.group) == (0.8, "label-projection", "g0")
    assert not dropped


def test_a_sentence_whose_names_cannot_follow_is_dropped_whole_with_the_reason():
    """A name left out would be learnt as none."""
    made, dropped = projected(
        tagging_sources(KANO, KANO, answers={"Musa lives in Kano .": ANSWER}, links=[LINKS[:3], [(0, 3), (3, 3)]])
    )
    assert not made
    assert dropped == {"too little of a span is aligned": 1, "two spans share a word": 1}


def test_the_surest_sentences_are_kept_of_each_rarest_type_of_span():
    """Three sentences with a person and none with a place are not better than the one with both."""
    texts = ["Ada", "Bo", "Cy", "Di Oslo"]
    answers = {
        "Ada": ("B-PER", (0.9,)),
        "Bo": ("B-PER", (0.7,)),
        "Cy": ("B-PER", (0.8,)),
        "Di Oslo": ("B-PER B-LOC", (0.9, 0.2)),
    }
    pairs = [pair(i, text, text) for i, text in enumerate(texts)]
    links = [[(0, 0)], [(0, 0)], [(0, 0)], [(0, 0), (1, 1)]]
    made, dropped = projected(tagging_sources(*pairs, answers=answers, links=links))
    assert [one.words for one in made] == [("Ada",), ("Di", "Oslo")]
    assert dropped == {"the model is surer of others of its class": 2}


def test_a_sentence_without_names_competes_with_others_without_names():
    """Otherwise nothing but easy sentences without a name would be left."""
    answers = {"Ada": ("B-PER", (0.6,)), "is": ("O", (0.99,)), "was": ("O", (0.98,))}
    pairs = [pair(i, text, text) for i, text in enumerate(answers)]
    made, _ = projected(tagging_sources(*pairs, answers=answers, links=[[(0, 0)]] * 3))
    assert [one.words for one in made] == [("Ada",), ("is",)]


def test_parts_of_speech_need_half_of_the_words():
    """A word without one has a tag that is not learnt."""
    pairs = [pair(0, "dogs bark", "karnuka haushi"), pair(1, "dogs bark", "karnuka suna yin haushi")]
    answers = {"dogs bark": ("NOUN VERB", (0.9, 0.8))}
    made, dropped = projected(
        tagging_sources(*pairs, answers=answers, links=[[(0, 0)], [(0, 0)]], scheme="plain"), top_share=1.0
    )
    assert [one.tags for one in made] == [("NOUN", "_")]
    assert dropped == {"too few words are aligned": 1}


def test_tags_that_people_gave_the_source_side_go_before_what_a_model_says():
    """A task that is parallel gives its sentences as texts, too."""
    labelled = TaggedExample("train/1", "g0", SOURCE, words=("Mary-Ann", "sleeps"), tags=("B-PER", "O"))
    given = pair(0, "Mary-Ann sleeps", "Mary-Ann barci")
    (made,), _ = projected(
        tagging_sources(given, answers={}, links=[[(0, 0), (1, 1)]], labelled=(labelled,)),
    )
    assert (made.tags, made.weight) == (("B-PER", "O"), 1.0)


@pytest.mark.parametrize("blank", ["\u00a0", "\u3000", "\u2009", " "])
def test_a_word_with_a_blank_in_it_is_one_word(blank):
    """Universal Dependencies have "20 000" as a word; whoever aligns words gets them as they are."""
    asked = []
    words = (f"20{blank}000", "men", "of", f"New{blank}York", "left")
    labelled = TaggedExample("train/1", "g0", SOURCE, words=words, tags=("O", "O", "O", "B-LOC", "O"))
    sources = tagging_sources(
        pair(0, " ".join(words), "Maza dubu ashirin na Niyok sun tafi"), answers={}, links=[], labelled=(labelled,)
    )

    def align(texts):
        asked.extend(texts)
        return [[(0, 2), (1, 0), (2, 3), (3, 4), (4, 6)]]

    (made,), _ = projected(replace(sources, align=align))
    assert [tuple(source) for source, _ in asked] == [words]
    assert dict(zip(made.words, made.tags, strict=True))["Niyok"] == "B-LOC"
    assert made.tags.count("O") == 6


@pytest.mark.parametrize("option", ["top_share", "least_aligned"])
def test_shares_are_shares(option):
    """More than all cannot be kept."""
    assert generators.check("label-projection", {option: 1.5})
    assert not generators.check("label-projection", {option: 0.5})

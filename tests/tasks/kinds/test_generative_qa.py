"""Questions that a decoder answers in writing: prompts, what of the context a token shows, and answers."""

import logging

import pytest
import torch

from lingraft.core.errors import ConfigError
from lingraft.core.examples import Answer, PairExample, SpanExample
from lingraft.tasks.kinds.generative_qa import generative_qa_kind, kind_of_questions
from tiny import decoder_tokenizer

CONTEXT = "ada beli cora dune eli"
TEMPLATE = "{context}\nula {question}\nvero"


def asked(*answers, context=CONTEXT, unanswerable=False, id="1"):
    """A question about the context, with these answers."""
    found = tuple(Answer(text, context.index(text)) for text in answers)
    return SpanExample(id, id, "yor-Latn", question="fara", context=context, answers=found, unanswerable=unanswerable)


def encoded(examples, max_length=32, **options):
    """Their rows."""
    options = {"template": TEMPLATE, "max_answer_tokens": 5} | options
    return generative_qa_kind(**options).encode(examples, decoder_tokenizer(), max_length, "")


def test_prompts_are_the_same_with_and_without_an_answer():
    """The first of several answers is what is learnt from, with the end of the text behind it."""
    known, unknown = encoded([asked("beli cora", "eli"), asked()])

    prompt = tuple(decoder_tokenizer()(f"{CONTEXT}\nula fara\nvero")["input_ids"])
    answer = tuple(decoder_tokenizer()("beli cora", add_special_tokens=False)["input_ids"])
    assert known.asked == unknown.asked == unknown.input_ids == prompt
    assert (known.input_ids, known.target, unknown.target) == ((*prompt, *answer, 2), 3, None)
    assert known.offsets == ()


@pytest.mark.parametrize("template", [TEMPLATE, "{question} vero {context}", "vero\n{question}\n{context}\n"])
def test_tokens_show_the_characters_of_the_context_that_they_are(template):
    """Wherever it stands in the prompt; the question's words show nothing, though the context has them, too."""
    context = "ada fara  beli"
    (row,) = encoded([asked("beli", context=context)], template=template, within_context=True)

    shown = {place: context[slice(*span)] for place, span in enumerate(row.offsets) if span}
    tokens = decoder_tokenizer().convert_ids_to_tokens(row.input_ids)
    assert [tokens[place] for place in shown] == list(shown.values()) == ["ada", "fara", "beli"]
    assert len(row.offsets) == len(row.input_ids)
    assert row.offsets[-2:] == (None, None)


def test_a_context_that_is_too_long_loses_its_end():
    """The template and the question stay; what was read is what may be said."""
    long = " ".join(["ada", "beli", "cora"] * 6)
    (row,) = encoded([asked("ada beli", context=long)], max_length=16, within_context=True)

    prompt = decoder_tokenizer()("ada beli cora ada beli\nula fara\nvero")["input_ids"]
    assert row.asked == tuple(prompt)
    assert row.truncated == 13
    assert [long[slice(*span)] for span in row.offsets if span] == ["ada", "beli", "cora", "ada", "beli"]


def test_no_answer_is_the_end_alone():
    """Where that is an answer; the last token of the prompt is what it is said behind."""
    (row,) = encoded([asked(unanswerable=True)], within_context=True, unanswerable=True)

    assert (row.said, row.target, row.input_ids[-1]) == (1, 1, 2)
    assert row.nothing == len(row.asked) - 1
    (other,) = encoded([asked("eli")], within_context=True)
    assert other.nothing == 0


def test_a_piece_is_cut_from_the_context():
    """By the characters that a row names; without a last one there is no answer."""
    kind = generative_qa_kind(within_context=True, unanswerable=True)
    examples = [asked(id="1"), asked(id="2")]

    one, none = kind.decode(examples, [], [torch.tensor([0.25, 4.0, 13.0]), torch.tensor([0.5, 0.0, 0.0])])

    assert (one.value, one.confidence, one.start, one.end) == ("beli cora", 0.25, 4, 13)
    assert (none.value, none.confidence, none.start, none.end) == ("", 0.5, None, None)
    assert kind.details(one) == {"start": 4, "end": 13}


def test_scores_are_the_official_ones():
    """SQuAD's by default, MLQA's in the language of the context, SQuAD v2's where no answer is one."""
    examples = [asked("beli cora"), asked("eli")]
    f1 = generative_qa_kind().metrics["f1"]
    assert f1([one.gold for one in examples], ["The beli.", "ada"]) == pytest.approx((2 / 3 + 0) / 2)

    german = SpanExample("3", "3", "deu-Latn", question="x", context="der Fluss", context_language="deu-Latn")
    exact = generative_qa_kind(normaliser="mlqa").metrics_of(german)["exact_match"]
    assert exact([["der Fluss"]], ["Fluss"]) == 1.0
    assert generative_qa_kind(unanswerable=True).metrics["exact_match"]([[""]], [""]) == 1.0


def test_parallel_sentences_are_plain_text():
    """Read as they are, without the prompt."""
    pair = PairExample("1", "1", "yor-Latn", text_a="ada beli")
    assert encoded([pair])[0].input_ids == (1, 5, 6)


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{question}", r"expected \{context\} in it, once"),
        ("{context} {context} {question}", r"expected \{context\} in it, once"),
        ("{context} {text}", r"\{text\} is no field; there are \{question\}, \{context\}"),
    ],
)
def test_a_template_has_both_fields_once(template, problem):
    """And no other."""
    with pytest.raises(ConfigError, match=problem):
        generative_qa_kind(template=template)


def test_a_recipe_s_way_to_answer_chooses_the_kind():
    """The span head unless another is asked for; options that mean nothing there are refused by name."""
    assert kind_of_questions("span_head", {"stride": 3, "template": None}) == ("span_qa", {"stride": 3})
    given = {"template": "x", "stride": None}
    assert kind_of_questions("generation", given) == ("generative_qa", {"template": "x", "within_context": False})
    assert kind_of_questions("generated_span", {})[1] == {"within_context": True}
    with pytest.raises(ConfigError, match=r"task\.stride: goes with `answer_by: span_head`, and it is generation"):
        kind_of_questions("generation", {"stride": 3})
    with pytest.raises(ConfigError, match=r"task\.template: goes with `answer_by: generation`, and it is span_head"):
        kind_of_questions("span_head", {"template": "x"})


def test_a_text_that_is_cut_is_no_warning_of_the_tokenizer(caplog):
    """Which would say that more than its model takes leads to errors."""
    transformers = logging.getLogger("transformers")
    transformers.addHandler(caplog.handler)
    encoded([asked(context="ada beli " * 40)])
    transformers.removeHandler(caplog.handler)
    assert caplog.messages == []

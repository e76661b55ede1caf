"""Questions about paragraphs, and everything that can be wrong with them."""

import gzip
import json
import re
from collections import Counter, defaultdict

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lingraft.core.errors import DataError
from lingraft.core.examples import Answer, SpanExample
from lingraft.data.squad import answer_in, answers_in, read_squad, shared_groups, squad_examples

CONTEXT = "Ìlú Èkó 🦁 wà ní Nàìjíríà. Èkó tóbi."
"""The second "Èkó" begins at character 26; an emoji and many accents stand before it."""

XQUAD = ("ar", "de", "el", "en", "es", "hi", "ru", "vi", "zh")
MLQA = {
    "ar-ar": 517, "ar-en": 517, "de-de": 512, "de-en": 512, "en-ar": 517, "en-de": 512, "en-en": 1148, "en-es": 500,
    "en-vi": 511, "en-zh": 504, "es-en": 500, "es-es": 500, "vi-en": 511, "vi-vi": 511, "zh-en": 504, "zh-zh": 504,
}  # fmt: skip
"""Questions of each file, context language first."""


def question(key="q1", text="Èkó", start=4, **more):
    """A question as the file has it."""
    return {"id": key, "question": f"Kí ni {key}?", "answers": [{"text": text, "answer_start": start}], **more}


def article(*paragraphs, **more):
    """An article of paragraphs, each a list of questions about the one context."""
    return {"paragraphs": [{"context": CONTEXT, "qas": list(questions)} for questions in paragraphs], **more}


def write(folder, *articles, name="a.json"):
    """Write a file of articles, and return its path."""
    path = folder / name
    content = json.dumps({"version": "1.1", "data": list(articles)}).encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_a_question_with_its_answer(tmp_path, name):
    """All fields arrive, and the languages under their canonical codes."""
    path = write(tmp_path, article([question()], title="Eko"), name=name)
    assert squad_examples(path, language="sw", context_language="yo") == [
        SpanExample(
            id="q1",
            group="Eko/0",
            language="swh-Latn",
            question="Kí ni q1?",
            context=CONTEXT,
            context_language="yor-Latn",
            answers=(Answer("Èkó", 4),),
        )
    ]


def test_the_context_is_in_the_language_of_the_question_unless_given(tmp_path):
    """One language serves for both."""
    (example,) = squad_examples(write(tmp_path, article([question()])), language="yo")
    assert example.context_language == example.language == "yor-Latn"


def test_groups_are_paragraphs_or_articles(tmp_path):
    """Questions about one paragraph share a group, and paragraphs of one article if so asked."""
    path = write(
        tmp_path,
        article([question("a"), question("b")], [question("c")], title="Eko"),
        article([question("d")], title="Oyo"),
        article([question("e")], title="Eko"),
    )
    assert [e.group for e in squad_examples(path, language="yo")] == ["Eko/0", "Eko/0", "Eko/1", "Oyo/0", "Eko/2"]
    assert [e.group for e in squad_examples(path, language="yo", group="article")] == [
        "Eko", "Eko", "Eko", "Oyo", "Eko",
    ]  # fmt: skip


def test_without_a_title_a_paragraph_is_called_after_its_content(tmp_path):
    """The same paragraph is the same group in all files, whatever stands before it."""
    other = {"context": "Ìbàdàn", "qas": [question("b", "Ìbàdàn", 0)]}
    both = write(tmp_path, {"title": "", "paragraphs": [other, *article([question()])["paragraphs"]]})
    alone = write(tmp_path, article([question()]), name="b.json")
    first, second = squad_examples(both, language="yo", group="article")
    assert second.group == squad_examples(alone, language="yo")[0].group != first.group


def test_all_answers_are_kept(tmp_path):
    """Several gold answers arrive in order."""
    answers = [{"text": "Èkó", "answer_start": 26}, {"text": "Ìlú Èkó", "answer_start": 0}]
    (example,) = squad_examples(write(tmp_path, article([question() | {"answers": answers}])), language="yo")
    assert example.gold == ["Èkó", "Ìlú Èkó"]


def test_questions_that_have_no_answer_are_left_out_and_counted(tmp_path):
    """SQuAD v2 marks them; only what is marked is left out."""
    impossible = question("b", is_impossible=True) | {"answers": []}
    found = read_squad(write(tmp_path, article([question(is_impossible=False), impossible])), language="yo")
    assert ([e.id for e in found.examples], found.unanswerable) == (["q1"], 1)
    with pytest.raises(DataError, match="no question that has an answer, and 1 that have none"):
        read_squad(write(tmp_path, article([impossible])), language="yo")


def test_unanswerable_questions_may_be_kept(tmp_path):
    """Marked as impossible, or without an answer where each needs one; nothing is right of them."""
    asked = [question(), question() | {"id": "q2", "is_impossible": True, "answers": []}]
    asked.append(question() | {"id": "q3", "answers": []})
    path = write(tmp_path, article(asked))
    found = read_squad(path, language="yo", keep_unanswerable=True)
    assert [(e.id, e.unanswerable, e.gold) for e in found.examples[1:]] == [("q2", True, [""]), ("q3", True, [""])]
    assert (found.examples[0].unanswerable, found.unanswerable) == (False, 2)
    with pytest.raises(DataError, match=r"q3.*has no answer"):
        read_squad(path, language="yo")


@pytest.mark.parametrize("answers", [{}, {"answers": []}, {"answers": [{"text": "", "answer_start": 0}]}])
def test_answers_may_be_withheld(tmp_path, answers):
    """Test sets without answers are read if one says so; otherwise what to do is said."""
    path = write(tmp_path, article([{"id": "q1", "question": "Kí ni?"} | answers]))
    (example,) = squad_examples(path, language="yo", labelled=False)
    assert (example.answers, example.gold) == ((), None)
    with pytest.raises(DataError, match=r"qas\[0\].*(no `answers`|withheld)"):
        squad_examples(path, language="yo")


# ---- Offsets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "start", "cure"),
    [
        ("Èkó", 3, "which has ' Èk' there; it is found at 4; correct answer_start"),
        ("Èkó", 24, "it is found at 26"),
        ("Èkó", len(CONTEXT[:26].encode()), "the offset counts bytes of UTF-8; count characters (here 26)"),
        ("Èkó", 27, "the offset counts UTF-16 units; count characters (here 26)"),
        ("èkó", 4, "in another case, spacing or Unicode form"),
        ("Abuja", 4, "the context does not contain it"),
        ("tóbi. Ó", 32, "the context does not contain it"),
        ("Èkó", 10**30, "it is found at 26"),
        ("Èkó", -33, "has the start -33; expected the number of characters before it"),
        ("Èkó", True, "has the start True"),
        ("Èkó", "4", "has the start '4'"),
        (" ", 3, "the text of an answer is ' '"),
        (None, 3, "the text of an answer is None"),
    ],
)
def test_an_answer_that_is_not_where_it_says(tmp_path, text, start, cure):
    """File, place, question and the likely reason are told."""
    path = write(tmp_path, article([question("q0"), question("q1", text, start)]))
    with pytest.raises(DataError) as error:
        squad_examples(path, language="yo")
    assert str(error.value).startswith(f"{path}, data[0].paragraphs[0].qas[1], question 'q1': ")
    assert cure in str(error.value)


@st.composite
def pieces(draw):
    """A text, and where a piece of it begins and ends that is no blank."""
    context = draw(st.text(min_size=1))
    first = draw(st.integers(0, len(context) - 1))
    last = draw(st.integers(first + 1, len(context)))
    assume(context[first:last].strip())
    return context, first, last


@settings(max_examples=60, deadline=None)
@given(pieces())
def test_an_answer_is_taken_where_it_stands(piece):
    """Whatever the text, and however often the same piece stands elsewhere."""
    context, first, last = piece
    assert answer_in(context, context[first:last], first, "here") == Answer(context[first:last], first)


@settings(max_examples=60, deadline=None)
@given(pieces(), st.data())
def test_the_offset_that_is_offered_is_right(piece, data):
    """Where it does not stand, the cure names a place where it does."""
    context, first, last = piece
    text, start = context[first:last], data.draw(st.integers(0, len(context) + 2))
    assume(context[start : start + len(text)] != text)
    with pytest.raises(DataError, match=r"found at \d+|\(here \d+\)") as error:
        answer_in(context, text, start, "here")
    place = int(re.findall(r"(?:found at|\(here) (\d+)", str(error.value))[-1])
    assert context.startswith(text, place)


def test_answers_as_tables_have_them():
    """Lists of texts and starts are read as well, and must be as long as each other."""
    listed = {"text": ["Èkó", "Ìlú"], "answer_start": [26, 0]}
    assert answers_in(CONTEXT, listed, "here") == (Answer("Èkó", 26), Answer("Ìlú", 0))
    with pytest.raises(DataError, match="here: has 2 texts of answers and 1 starts"):
        answers_in(CONTEXT, listed | {"answer_start": [26]}, "here")
    with pytest.raises(DataError, match="here: `answers` is str 'Èkó'"):
        answers_in(CONTEXT, "Èkó", "here")


# ---- Shape -----------------------------------------------------------------------------------------


def without(key):
    """A question that lacks a key."""
    return {name: value for name, value in question().items() if name != key}


@pytest.mark.parametrize(
    ("articles", "message"),
    [
        ([article([question()], [without("id")])], r"data\[0\].paragraphs\[1\].qas\[0\]: has no `id`; its keys are"),
        ([article([question()]), article([without("question") | {"id": "q2"}])], r"data\[1\].*: has no `question`"),
        ([article([without("answers")])], r"qas\[0\]: has no `answers`"),
        ([{"paragraphs": [{"qas": []}]}], r"data\[0\].paragraphs\[0\]: has no `context`"),
        ([{"paragraphs": [{"context": " ", "qas": []}]}], r"paragraphs\[0\]: `context` has no text"),
        ([{"paragraphs": [{"context": "\ud83d", "qas": []}]}], "half a surrogate pair at position 1"),
        ([{"paragraphs": [{"context": CONTEXT}]}], r"paragraphs\[0\]: has no `qas`"),
        ([{"paragraphs": [CONTEXT]}], r"paragraphs\[0\]: is str, expected an object with `context`"),
        ([{"title": "Eko"}], r"data\[0\]: has no `paragraphs`; its keys are title"),
        ([[]], r"data\[0\]: is list, expected an object with `paragraphs`"),
        ([article([question()], [question("q2"), question()])],
         r"qas\[1\]: the id 'q1' occurs at data\[0\].paragraphs\[0\].qas\[0\] already"),
        ([article([question(None)])], "the id is None"),
        ([article([question() | {"answers": ["Èkó"]}])], r"answers\[0\]: is str, expected an object with `text`"),
        ([article([question() | {"answers": [{"text": "Èkó"}]}])], r"answers\[0\]: has no `answer_start`"),
        ([article([])], "has no questions; SQuAD v1.1 is"),
        ([], "has no questions"),
    ],
)  # fmt: skip
def test_the_wrong_shape_is_named_with_its_place(tmp_path, articles, message):
    """Article, paragraph and question are told, and the shape that is expected."""
    path = write(tmp_path, *articles)
    with pytest.raises(DataError, match=message) as error:
        squad_examples(path, language="yo")
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"[]", "is list, expected an object with `data`"),
        (b"\xff\xfe\xfd", "is not JSON"),
        (b"[" * 200_000, "is not JSON"),
        (b'{"id": 1}\n{"id": 2}\n', "this seems to be JSON Lines: name it .jsonl"),
        (b'{"data": {}}', "`data` is dict"),
        (b'{"data": ' + b"9" * 5000 + b"}", "is not JSON"),
    ],
)
def test_what_is_no_squad_is_called_so(tmp_path, content, message):
    """Bytes of any kind give one clear line."""
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        squad_examples(path, language="yo")


TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(str.strip)


@st.composite
def paragraphs(draw):
    """A paragraph with spans in it."""
    context = draw(TEXT)
    spans = st.tuples(st.integers(0, len(context) - 1), st.integers(1, 5))
    cut = [(context[start : start + length], start) for start, length in draw(st.lists(spans, min_size=1, max_size=3))]
    return context, [(text, start) for text, start in cut if text.strip()]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(TEXT, st.lists(paragraphs(), max_size=3)), min_size=1, max_size=3))
def test_what_is_written_is_read(tmp_path_factory, articles):
    """A generated file comes back as it was: each answer, in order, in its context."""
    expected, data = [], []
    for title, items in articles:
        data.append({"title": title, "paragraphs": []})
        for context, spans in items:
            qas = [question(f"q{len(expected) + i}", text, start) for i, (text, start) in enumerate(spans)]
            data[-1]["paragraphs"].append({"context": context, "qas": qas})
            expected += [(one["id"], one["question"], context, span) for one, span in zip(qas, spans, strict=True)]
    path = write(tmp_path_factory.mktemp("squad"), *data)
    if not expected:
        with pytest.raises(DataError, match="has no questions"):
            squad_examples(path, language="yo")
        return
    found = squad_examples(path, language="yo")
    assert [(e.id, e.question, e.context, (e.answers[0].text, e.answers[0].start)) for e in found] == expected


# ---- Parallel files --------------------------------------------------------------------------------


def asked(*pairs):
    """Examples with these ids and groups."""
    return [SpanExample(id=key, group=group, language="yor-Latn") for key, group in pairs]


def named(found):
    """The groups of each file."""
    return {key: [e.group for e in examples] for key, examples in found.items()}


def test_parallel_articles_become_one_group():
    """A shared question joins its articles, with all that is asked of them."""
    files = {
        "en": asked(("1", "Cell"), ("2", "Cell"), ("3", "Lion")),
        "de": asked(("3", "Löwe"), ("2", "Zelle")),
        "es": asked(("1", "Célula"), ("9", "Oso")),
    }
    assert named(shared_groups(files)) == {
        "en": ["Cell", "Cell", "Lion"],
        "de": ["Lion", "Cell"],
        "es": ["Cell", "Oso"],
    }


def test_the_order_of_files_does_not_name_the_groups():
    """The name that sorts first is taken, wherever it comes from."""
    files = {"a": asked(("1", "Z")), "b": asked(("1", "M"), ("2", "M")), "c": asked(("2", "A"))}
    assert named(shared_groups(dict(reversed(files.items())))) == named(shared_groups(files))
    assert {group for groups in named(shared_groups(files)).values() for group in groups} == {"A"}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 5)), max_size=6), max_size=3))
def test_groups_are_joined_as_far_as_they_must_and_no_further(files):
    """As a slow closure has it: joined exactly where a chain of shared ids and groups leads."""
    by_file = {n: asked(*((str(key), f"g{group}") for key, group in pairs)) for n, pairs in enumerate(files)}
    before = [e for examples in by_file.values() for e in examples]
    after = [e for examples in shared_groups(by_file).values() for e in examples]
    for first, start in zip(before, after, strict=True):
        reached = {first.id, first.group}
        for _ in before:
            reached |= {name for e in before if {e.id, e.group} & reached for name in (e.id, e.group)}
        for other, end in zip(before, after, strict=True):
            assert (start.group == end.group) == (other.group in reached)


# ---- The public data -------------------------------------------------------------------------------


@pytest.mark.shared
def test_xquad_is_parallel(shared_data):
    """1,190 questions in each language, with the same ids and groups in the same order."""
    files = {code: squad_examples(shared_data / "xquad" / f"xquad.{code}.json.gz", language=code) for code in XQUAD}
    assert {len(examples) for examples in files.values()} == {1190}
    assert len({tuple((e.id, e.group) for e in examples) for examples in files.values()}) == 1
    assert len({e.group for e in files["hi"]}) == 240
    assert shared_groups(files) == files


@pytest.mark.shared
def test_mlqa_articles_are_groups_in_all_languages(shared_data):
    """The counts of the README; 520 articles in all files together, each of which keeps its questions."""
    files = {}
    for pair in MLQA:
        context, asked_in = pair.split("-")
        path = shared_data / "mlqa" / f"dev-context-{context}-question-{asked_in}.json.gz"
        files[pair] = squad_examples(path, language=asked_in, context_language=context, group="article")
    assert {pair: len(examples) for pair, examples in files.items()} == MLQA
    found = shared_groups(files)
    of_id = defaultdict(set)
    for examples in found.values():
        for example in examples:
            of_id[example.id].add(example.group)
    assert len(of_id) == 1148
    assert all(len(groups) == 1 for groups in of_id.values())
    assert len(set.union(*of_id.values())) == len({e.group for e in files["en-en"]}) == 520


@pytest.mark.shared
def test_squad_and_tydiqa_are_read(shared_data):
    """The counts of the READMEs; XQuAD's contexts are in neither."""
    found = {
        path.name: squad_examples(path, language=language)
        for path, language in [
            (shared_data / "squad_en" / "squad-v1.1-17articles.json.gz", "en"),
            (shared_data / "squad_en" / "squad-v1.1-random.json.gz", "en"),
            (shared_data / "tydiqa_goldp" / "tydiqa.goldp.en.train.json.gz", "en"),
            (shared_data / "tydiqa_goldp" / "tydiqa.goldp.sw.train.json.gz", "sw"),
        ]
    }
    assert list(map(len, found.values())) == [3939, 3678, 3696, 2755]
    assert [len({e.group for e in examples}) for examples in found.values()][:2] == [773, 3369]
    assert all(Counter(len(e.answers) for e in examples).keys() == {1} for examples in found.values())

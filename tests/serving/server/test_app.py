"""A server: the answers are those of ``lingraft predict``, and what cannot be answered is refused in one line."""

import io
import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from threading import Event
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from answering import adapted_of
from lingraft.backbones.loading import load_backbone
from lingraft.data.character_model import CharacterModel
from lingraft.serving.answer_lines import answer_columns, write_answers
from lingraft.serving.inputs import Given
from lingraft.serving.server.app import create_app
from lingraft.serving.server.asking import AskedAnswers, compute, read_items
from lingraft.serving.server.batching import Batcher
from lingraft.serving.server.limits import Limits
from lingraft.serving.server.metrics import build_metrics
from lingraft.serving.server.page import build_page
from lingraft.serving.server.running import application
from served import alike, ask, running, served, wait_until
from tiny import decoder_tokenizer, random_model, save_checkpoint

TEXTS = ["ada beli", "cora dune eli", "", "fara", "cora cora dune fara eli beli ada"]
ROWS = {
    "classification": [{"text": text} for text in TEXTS],
    "multilabel": [{"text": text} for text in TEXTS],
    "regression": [{"text": text} for text in TEXTS],
    "tagging": [*({"text": text} for text in TEXTS), {"words": ["ada", "beli"]}],
    "span_qa": [{"question": "ada", "context": text} for text in TEXTS],
    "choice": [{"text": text, "alternatives": ["ada", "beli", "cora dune"]} for text in TEXTS],
}
PROBABLE = ("classification", "multilabel", "choice")


@pytest.fixture(scope="module")
def adapted(tiny_backbone):
    """A loaded run for topics."""
    return adapted_of(tiny_backbone)


@pytest.fixture(scope="module")
def address(adapted):
    """Where it is served."""
    with served(adapted, body=10_000, items=8, characters=200, words=5) as at:
        yield at


def lines(adapted, rows, **options):
    """What ``lingraft predict`` adds to rows."""
    stream = io.StringIO()
    write_answers(stream, [Given(f"line {n}", row, {}) for n, row in enumerate(rows, 1)], adapted, "jsonl", **options)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_freed_memory_goes_back_after_every_fiftieth_batch(adapted):
    """Two times in a hundred and nine requests, one after the other."""
    limits, released = Limits(), []
    with (
        application(adapted, None, limits=limits, release=lambda: released.append(True)) as app,
        running(app, limits) as (at, _),
    ):
        for number in range(1, 110):
            assert ask(at, "/predict", {"items": ["ada beli"]}).status == 200
            assert len(released) == number // 50


@pytest.mark.parametrize("kind", ROWS)
def test_answers_of_every_kind_are_those_of_predict(tiny_backbone, kind):
    """As rows, and as texts where an item is one; withheld ones and probabilities too."""
    adapted, rows = adapted_of(tiny_backbone, kind), ROWS[kind]
    with served(adapted) as at:
        for options in ({}, {"abstain": None if kind == "regression" else 0.45}, {"probabilities": kind in PROBABLE}):
            found = ask(at, "/predict", {"items": rows, **options})
            expected = {"language": "yor-Latn", "remarks": [], "answers": lines(adapted, rows, **options)}
            assert alike(found.json, expected), (found.json, expected)
        if kind in ("classification", "multilabel", "regression", "tagging"):
            assert alike(ask(at, "/predict", {"items": TEXTS}).json["answers"], lines(adapted, rows)[: len(TEXTS)])


@pytest.mark.parametrize("kind", ROWS)
def test_requests_that_are_computed_together_get_what_each_gets_alone(tiny_backbone, kind):
    """Their items have the same numbers."""
    adapted = adapted_of(tiny_backbone, kind)
    asked = [AskedAnswers(items=rows) for rows in (ROWS[kind][:2], ROWS[kind][3:], ROWS[kind][1:2])]
    read = [read_items(adapted, one, Limits()).examples for one in asked]

    def computed(examples):
        found = compute(adapted, ("predict", "yor-Latn"), examples)
        options = {"probabilities": kind in PROBABLE}
        return [answer_columns(one, adapted.kind, adapted.identity.labels, options) for one in found]

    alone = [one for examples in read for one in computed(examples)]
    together = computed([one for examples in read for one in examples])
    assert alike(together, alone), (together, alone)


def test_what_a_decoder_writes_is_what_it_writes_for_predict(tmp_path):
    """Answers that are no classes, and a kind that asks for two texts."""
    backbone = load_backbone(str(save_checkpoint(tmp_path, random_model("llama", speaking=True), decoder_tokenizer())))
    for kind, rows in (("generation", [{"text": "ada beli"}, {"text": ""}]), ("generative_qa", ROWS["span_qa"][:2])):
        adapted = adapted_of(backbone, kind, kind_options={"max_answer_tokens": 6})
        with served(adapted) as at:
            found = ask(at, "/predict", {"items": rows})
            assert found.status == 200, found.text
            refused = ask(at, "/predict", {"items": rows, "probabilities": True})
        assert alike(found.json["answers"], lines(adapted, rows)), found.text
        assert "there are no probabilities of classes" in refused.json["error"]


def test_a_pair_is_a_list_of_two_texts(tiny_backbone):
    """JSON has no other word for it."""
    adapted = adapted_of(tiny_backbone, paired=True)
    rows = [{"text": "ada", "text_b": "beli"}, {"text": "cora", "text_b": ""}, {"text": "", "text_b": "ada"}]
    with served(adapted) as at:
        found = ask(at, "/predict", {"items": [list(row.values()) for row in rows], "language": "English"})
    assert found.json["language"] == "eng-Latn"
    assert alike(found.json["answers"], lines(adapted, rows, language="eng"))


def test_many_at_the_same_time_get_what_one_gets(adapted, address):
    """Of two languages, in requests of different sizes, from eight clients."""
    asked = [
        {"items": TEXTS[: 1 + n % 5], "language": ("yor", "eng")[n % 2], "probabilities": n % 3 == 0} for n in range(48)
    ]
    alone = [ask(address, "/predict", one).json for one in asked]
    with ThreadPoolExecutor(8) as pool:
        assert alike(list(pool.map(lambda one: ask(address, "/predict", one).json, asked)), alone)


def test_an_explanation_is_that_of_the_run(adapted, address):
    """The answer with all probabilities, and each word with what it adds."""
    found = ask(address, "/explain", {"item": "cora dune eli"}).json
    expected = adapted.explain("cora dune eli")
    answer = answer_columns(expected.answer, adapted.kind, adapted.identity.labels, {"probabilities": True})
    assert alike(found["answer"], answer)
    assert [(one["text"], one["start"], one["score"]) for one in found["words"]] == [
        (one.text, one.start, pytest.approx(one.score, abs=1e-6)) for one in expected.words
    ]


def test_what_has_to_be_said_of_the_language_is_said(tiny_backbone):
    """Where predict warns; and the shared part answers."""
    adapted = adapted_of(tiny_backbone, languages=("yor-Latn", "swh-Latn"))
    with served(adapted) as at:
        found = ask(at, "/predict", {"items": ["ada"]}).json
        other = ask(at, "/predict", {"items": ["ada"], "language": "wo"}).json
    assert found["language"] == "eng-Latn"
    assert found["remarks"][0].startswith("no language given; answering with the part that all languages share")
    assert other["remarks"] == [
        "this run learnt no Wolof; answering with the part that all languages share (trained on English, Yoruba, "
        "Swahili)"
    ]


def test_items_in_several_languages_say_which_each_is_in(tiny_backbone):
    """Where none is given and the run knows its languages by their letters; as predict writes it."""
    letters = {
        "yor-Latn": CharacterModel.of_texts(["ada beli ada beli"]),
        "swh-Latn": CharacterModel.of_texts(["cora dune cora dune"]),
    }
    adapted = replace(adapted_of(tiny_backbone, languages=tuple(letters)), letters=letters)
    with served(adapted) as at:
        found = ask(at, "/predict", {"items": ["cora dune", "ada", ""]}).json
        explained = ask(at, "/explain", {"item": "cora dune"}).json
    assert found["language"] is None
    assert [one["language"] for one in found["answers"]] == ["swh-Latn", "yor-Latn", ""]
    assert found["remarks"] == [
        "no language given; each text is taken for the likeliest of Yoruba, Swahili by its letters"
    ]
    with pytest.warns(UserWarning, match="no language given"):
        assert alike(found["answers"], lines(adapted, [{"text": "cora dune"}, {"text": "ada"}, {"text": ""}]))
    assert explained["language"] == "swh-Latn"


# ---- What is refused -------------------------------------------------------------------------------

WRONG = {
    "no JSON": ("{", 422, "expected a JSON object, but at character 2 of the body"),
    "nothing": (b"", 422, "expected a JSON object and the header Content-Type: application/json, got nothing"),
    "a list": ([1], 422, r"expected a JSON object .*got \[1\]"),
    "no text": (b"\xff\xfe\xff", 400, "the body cannot be read as JSON"),
    "too deep for Python": ("[" * 9_000, 400, "nested too deeply"),
    "too deep for an item": ('{"items": [' + "[" * 900 + "]" * 900 + "]}", 422, "nested too deeply|one text, got"),
    "a long number": ('{"items": [' + "9" * 9_000 + "]}", 400, "a number of too many digits"),
    "no items": ({}, 422, "items: is not there; add it"),
    "items that are none": ({"items": "ada"}, 422, "items: expected a list, got 'ada'"),
    "an empty list": ({"items": []}, 422, "items: expected 1 to 8 of them, got 0; give at least one"),
    "too many items": ({"items": ["ada"] * 9}, 422, "items: expected 1 to 8 of them, got 9; ask for the rest"),
    "a number": ({"items": ["ada", 5]}, 422, "item 2 of 2: topic takes one text, got 5"),
    "another key": ({"items": ["ada"], "temperature": 1}, 422, "'temperature': no such key; there are language, items"),
    "a long text": ({"items": ["a" * 201]}, 422, "item 1 of 1 has 201 characters; expected at most 200: shorten"),
    "half a character": ({"items": ["be\ud83d"]}, 422, "item 1 of 1 holds half a surrogate pair at position 3"),
    "no language": ({"items": ["ada"], "language": "klingonish-9"}, 422, "unknown language 'klingonish-9'"),
    "a language that is a number": ({"items": ["ada"], "language": 5}, 422, "language: expected text, got 5"),
    "a long language": ({"items": ["a"], "language": "x" * 101}, 422, "language: expected at most 100 characters"),
    "a high threshold": ({"items": ["ada"], "abstain": 1.5}, 422, "abstain: expected a number of at most 1, got 1.5"),
    "no threshold": ({"items": ["ada"], "abstain": "high"}, 422, "abstain: expected a number, got 'high'"),
    "a threshold that is no number": ('{"items": ["ada"], "abstain": NaN}', 422, "abstain: expected a number"),
    "another pair": ({"items": [["ada", "beli"]]}, 422, "item 1 of 1: topic takes one text, got"),
    "another column": ({"items": [{"body": "ada"}]}, 422, "there is no column 'text'.*; call it 'text', or say"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_malformed_request_is_refused_in_one_line(address, wrong):
    """What was expected, and what came."""
    body, status, told = WRONG[wrong]
    found = ask(address, "/predict", body, method="POST")
    assert (found.status, list(found.json)) == (status, ["error"]), found.text
    assert re.search(told, found.json["error"]), found.text
    assert "\n" not in found.json["error"]


@pytest.mark.parametrize(
    ("path", "more", "status", "told"),
    [
        ("/answers", {}, 404, "there is nothing at '/answers'; there are /, /predict, /explain"),
        ("/docs", {}, 404, "there is nothing"),
        ("/predict/", {"body": {"items": ["ada"]}}, 404, "there is nothing at '/predict/'"),
        ("/predict", {}, 405, "'/predict' does not take 'GET'"),
        ("/healthz", {"method": "DELETE"}, 405, "'/healthz' does not take 'DELETE'"),
        ("/healthz", {"Host": "evil.example"}, 400, "the header Host is 'evil.example'; expected localhost or 127.0.0"),
        ("/predict", {"body": "ada", "Content_Type": "text/plain"}, 422, "Content-Type: application/json, got 'ada'"),
        ("/predict", {"body": b"x" * 10_001}, 413, "the body has 10,001 bytes; expected at most 10,000"),
        ("/predict", {"body": b"x" * 1_000_000}, 413, "the body has more than "),
        ("/predict", {"body": iter([b"x" * 9_000] * 2)}, 413, "the body has 18,000 bytes"),
        ("/explain", {"body": {"item": " "}}, 422, "the text is empty"),
        ("/explain", {"body": {"item": "a b c d e f"}}, 422, "the text has 6 words.*expected at most 5"),
        ("/explain", {"body": {"item": ["ada", "beli"]}}, 422, "the text: topic takes one text"),
    ],
)
def test_what_is_asked_in_the_wrong_way_is_refused_in_one_line(address, path, more, status, told):
    """Where, how, from whom, how much."""
    found = ask(address, path, **more)
    assert found.status == status, found.text
    assert re.search(told, found.json["error"]), found.text


@pytest.mark.parametrize("kind", ["tagging", "span_qa"])
def test_what_a_kind_of_task_does_not_have_is_said(tiny_backbone, kind):
    """Probabilities of classes, and explanations."""
    with served(adapted_of(tiny_backbone, kind)) as at:
        probable = ask(at, "/predict", {"items": ROWS[kind][:1], "probabilities": True})
        why = ask(at, "/explain", {"item": ROWS[kind][0]})
    assert (probable.status, why.status) == (422, 422)
    assert "there are no probabilities of classes" in probable.json["error"]
    assert f"the run is for {kind}; what speaks for an answer" in why.json["error"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
BODIES = st.fixed_dictionaries({"items": st.lists(VALUES, max_size=3) | VALUES}, optional={"language": VALUES})


@settings(max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(body=BODIES)
def test_whatever_is_sent_is_answered_or_refused(address, body):
    """And it is never the server's fault."""
    found = ask(address, "/predict", json.dumps(body))
    assert found.status == 200 or 400 <= found.status < 500, found.text
    assert ("error" in found.json) == (found.status != 200)


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01 no HTTP at all\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nx" + b"y" * 99_999]
)
def test_what_is_no_http_is_refused(address, sent):
    """And the server goes on."""
    place = urlsplit(address)
    with closing(socket.create_connection((place.hostname, place.port), 60)) as to:
        to.sendall(sent)
        assert to.recv(99).startswith(b"HTTP/1.1 4")
    assert ask(address, "/healthz").status == 200


def test_a_body_that_does_not_come_is_not_waited_for(adapted):
    """Who sends half of it is told."""
    with served(adapted, seconds=0.5) as at:
        place = urlsplit(at)
        with closing(socket.create_connection((place.hostname, place.port), 60)) as to:
            to.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{")
            assert to.recv(99).startswith(b"HTTP/1.1 408")


# ---- When there is too much, or something breaks -----------------------------------------------------


def app_on(adapted, compute, limits):
    """An application that computes with something else, and what batches for it."""
    batcher = Batcher(compute, largest=512, waiting=limits.waiting)
    page = build_page(adapted, None, limits)
    return create_app(adapted, batcher, build_metrics(), page, limits=limits), batcher


def test_when_too_many_wait_others_are_told_to_come_again(adapted):
    """With 503; those that wait are answered."""
    begun, may, limits = Event(), Event(), Limits(items=2, waiting=2)

    def wait(key, examples):
        begun.set()
        assert may.wait(60)
        return adapted.predict_examples(examples, "yor-Latn", probabilities=True)

    app, batcher = app_on(adapted, wait, limits)
    with running(app, limits) as (at, _), closing(batcher), ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, at, "/predict", {"items": ["ada"]})
        assert begun.wait(60)
        second = pool.submit(ask, at, "/predict", {"items": ["ada", "beli"]})
        wait_until(lambda: batcher.waiting == 2)
        assert "lingraft_waiting_items 2.0" in ask(at, "/metrics").text
        refused = ask(at, "/predict", {"items": ["cora"]})
        assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
        assert "2 items wait already, and at most 2 may" in refused.json["error"]
        may.set()
        assert [first.result(60).status, second.result(60).status] == [200, 200]


def test_what_takes_too_long_at_the_end_is_told_to_come_again(adapted):
    """With 503 after the seconds that there are for it; how many were refused is known."""
    begun, may, limits = Event(), Event(), Limits(seconds=1)

    def wait(key, examples):
        begun.set()
        assert may.wait(60)
        return adapted.predict_examples(examples, "yor-Latn", probabilities=True)

    app, batcher = app_on(adapted, wait, limits)
    with closing(batcher), ThreadPoolExecutor(1) as pool:
        with running(app, limits) as (at, server):
            asked = pool.submit(ask, at, "/predict", {"items": ["ada"]})
            assert begun.wait(60)
        refused = asked.result(60)
        may.set()
    assert (refused.status, refused.headers["Retry-After"], server.refused) == (503, "1", 1)
    assert refused.json["error"] == "the server is stopping; ask again when it is back"


def test_a_fault_of_the_servers_own_is_a_500_that_says_no_more(adapted):
    """It is counted, and the server goes on."""

    def break_down(key, examples):
        raise RuntimeError("of no use to others")

    limits = Limits()
    app, batcher = app_on(adapted, break_down, limits)
    with running(app, limits) as (at, _), closing(batcher):
        found = ask(at, "/predict", {"items": ["ada"]})
        assert (found.status, list(found.json)) == (500, ["error"])
        assert "no use" not in found.text
        assert 'lingraft_requests_total{path="/predict",status="500"} 1.0' in ask(at, "/metrics").text


# ---- For who looks after it --------------------------------------------------------------------------


def test_requests_and_items_are_counted(adapted):
    """In Prometheus' text format; paths that are none are one."""
    with served(adapted) as at:
        ask(at, "/predict", {"items": ["ada", "beli"]})
        ask(at, "/predict", {"items": ["ada", "", None]})
        ask(at, "/predict", {})
        ask(at, "/1")
        ask(at, "/2")
        found = ask(at, "/metrics")
    assert found.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = found.text.splitlines()
    for line in (
        'lingraft_requests_total{path="/predict",status="200"} 2.0',
        'lingraft_requests_total{path="/predict",status="422"} 1.0',
        'lingraft_requests_total{path="other",status="404"} 2.0',
        "lingraft_request_seconds_count 5.0",
        "lingraft_items_total 3.0",
        "lingraft_batch_items_sum 3.0",
        "lingraft_waiting_items 0.0",
    ):
        assert line in lines


def test_explanations_do_not_wait_for_each_other(adapted):
    """Each is a batch of its own, whenever it comes."""
    with served(adapted) as at, ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: ask(at, "/explain", {"item": "ada beli"}).json, range(8)))
        lines = ask(at, "/metrics").text.splitlines()
    assert alike(found, found[:1] * 8)
    assert {"lingraft_batch_items_count 8.0", "lingraft_batch_items_sum 8.0"} <= set(lines)


def test_health_says_what_answers(address):
    """Also without a body."""
    found = ask(address, "/healthz")
    assert found.json["status"] == "ok"
    assert (found.json["kind"], found.json["labels"]) == ("classification", ["bird", "river", "stone"])
    assert found.json["languages"] == ["yor-Latn"]
    assert ask(address, "/healthz", method="HEAD").status == 200


def test_health_of_a_run_in_one_language_names_it(tiny_backbone):
    """It is the source, and nothing was transferred."""
    with served(adapted_of(tiny_backbone, languages=())) as at:
        found = ask(at, "/healthz").json
    assert found["languages"] == [found["source_language"]]


def test_the_description_has_every_path(address):
    """With what is asked, what is answered, and what is refused."""
    found = ask(address, "/openapi.json").json
    assert set(found["paths"]) == {"/predict", "/explain", "/healthz", "/metrics"}
    predict = found["paths"]["/predict"]["post"]
    assert set(predict["responses"]) == {"200", "400", "408", "413", "422", "503"}
    assert set(found["paths"]["/metrics"]["get"]["responses"]) == {"200"}
    for path, (described,) in ((path, methods.values()) for path, methods in found["paths"].items()):
        assert described["operationId"] == path.strip("/")
    assert set(found["components"]["schemas"]["AskedAnswers"]["properties"]) == {
        "items", "language", "probabilities", "abstain",
    }  # fmt: skip


def test_answers_are_for_who_asked_alone(address):
    """No page may show, keep or guess them."""
    for path in ("/healthz", "/nothing"):
        headers = ask(address, path).headers
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert (headers["X-Content-Type-Options"], headers["Cache-Control"]) == ("nosniff", "no-store")

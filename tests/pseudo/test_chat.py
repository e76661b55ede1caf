"""A language model behind an address."""

import json
import socket
import threading
import time
from contextlib import contextmanager, suppress
from types import SimpleNamespace

import pytest

from lingraft.core.errors import ConfigError, ServiceError
from lingraft.pseudo.chat import Chat
from lingraft.pseudo.kept_answers import KeptAnswers
from pseudo.fake_model import serving

HELLO = [{"role": "user", "content": "Hello"}]


def chat(model, folder, **options):
    """A chat with a served model, which waits for nothing."""
    values = {"key": None, "timeout": 10.0, "wait": lambda seconds: None}
    return Chat(model.url, "small", kept=KeptAnswers(folder), **values | options)


@contextmanager
def trickling(beginning):
    """A server that sends a beginning, and then a space every twentieth of a second until nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def send():
            with suppress(OSError), server.accept()[0] as connection:
                connection.sendall(beginning)
                while True:
                    connection.sendall(b" ")
                    time.sleep(0.05)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        yield SimpleNamespace(url=f"http://127.0.0.1:{server.getsockname()[1]}/v1")
        sender.join(10)
        assert not sender.is_alive()  # the connection was closed


def test_an_answer_is_asked_for_once_and_kept_with_model_and_cost(tmp_path):
    """Another number, temperature or text is another question."""
    with serving(lambda messages: messages[-1]["content"].upper()) as model:
        first = chat(model, tmp_path).ask(HELLO, 1.0)
        assert (first.text, first.model, first.completion_tokens) == ("HELLO", "small-0701", 5)
        assert chat(model, tmp_path).ask(HELLO, 1.0) == first
        assert len(model.asked) == 1
        for changed in ((HELLO, 0.5), (HELLO, 1.0, 1), ([*HELLO, *HELLO], 1.0)):
            chat(model, tmp_path).ask(*changed)
        assert len(model.asked) == 4
        assert model.asked[0] == {"model": "small", "messages": HELLO, "temperature": 1.0}
    assert chat(model, tmp_path).ask(HELLO, 1.0) == first  # with no server at all


def test_the_key_is_sent_and_written_nowhere(tmp_path, monkeypatch):
    """Neither on disk nor into what is said of a refusal."""
    monkeypatch.setenv("THE_KEY", "s3cret")
    answers = iter(["yes", (401, {}, json.dumps({"error": {"message": "wrong key"}}))])
    with serving(lambda messages: next(answers)) as model:
        asking = chat(model, tmp_path, key="THE_KEY")
        asking.ask(HELLO, 1.0)
        with pytest.raises(
            ServiceError, match=r"refused with status 401 \('wrong key'\); set the .* THE_KEY"
        ) as caught:
            asking.ask(HELLO, 0.0)
        assert model.keys == ["Bearer s3cret"] * 2
    written = "".join(file.read_text() for file in tmp_path.rglob("*.json"))
    assert "s3cret" not in written + str(caught.value) + repr(asking)


def test_a_key_that_is_not_set_is_named_before_anything_is_sent(tmp_path, monkeypatch):
    """With what to do."""
    monkeypatch.delenv("THE_KEY", raising=False)
    with serving(lambda messages: "yes") as model, pytest.raises(ConfigError, match="variable THE_KEY is not set"):
        chat(model, tmp_path, key="THE_KEY").ask(HELLO, 1.0)
    assert model.asked == []


def test_a_busy_server_is_waited_for_as_long_as_it_asks_within_bounds(tmp_path):
    """And given up in the end."""
    waited = []
    answers = iter([(503, {}, ""), (429, {"Retry-After": "30"}, ""), (500, {"Retry-After": "9999"}, ""), "yes"])
    with serving(lambda messages: next(answers)) as model:
        assert chat(model, tmp_path, wait=waited.append).ask(HELLO, 1.0).text == "yes"
    assert waited == [1.0, 30.0, 60.0]
    with serving(lambda messages: (429, {}, '{"error": "too many"}')) as model:
        with pytest.raises(ServiceError, match=r"status 429 \('too many'\); .*answers so far are kept"):
            chat(model, tmp_path / "other").ask(HELLO, 1.0)
        assert len(model.asked) == 4


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((200, {}, "<html>hello</html>"), r"answered '<html>hello</html>', where a chat completion was expected"),
        ((200, {}, "[]"), "is it an OpenAI-compatible address"),
        ((200, {}, '{"choices": []}'), "is it an OpenAI-compatible address"),
        ((200, {}, '{"choices": [{"message": {"content": ["x"]}}]}'), "is it an OpenAI-compatible address"),
        ((200, {}, '{"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": "many"}}'), "compatible"),
        ((200, {}, " " * (1 << 24) + "1"), r"answered with more than 16 MB; is it an OpenAI-compatible address"),
        ((200, {}, "[" * 100_000), "is it an OpenAI-compatible address"),
        ((404, {}, "no such model"), r"status 404 \('Not Found'\); mend `url`"),
        ((307, {"Location": "http://127.0.0.1:9/elsewhere"}, ""), "status 307"),
    ],
)
def test_whatever_else_comes_ends_in_one_line_and_is_not_kept(tmp_path, answer, why):
    """A redirection is not followed: the key would go along."""
    with serving(lambda messages: answer) as model, pytest.raises(ServiceError, match=why) as caught:
        chat(model, tmp_path).ask(HELLO, 1.0)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.rglob("*.json")) == []


def test_no_answer_in_time_and_no_server_at_all_end_in_one_line(tmp_path):
    """The first says how to give more time."""

    def slowly(messages):
        time.sleep(1)
        return "late"

    with serving(slowly) as model, pytest.raises(ServiceError, match=r"did not answer within 0\.2 seconds.*`timeout`"):
        chat(model, tmp_path, timeout=0.2).ask(HELLO, 1.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        model.url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(ServiceError, match=r"cannot be reached \(.*\); start the server, or mend `url`"):
        chat(model, tmp_path).ask(HELLO, 1.0)


def test_an_answer_that_trickles_ends_when_its_time_is_over(tmp_path):
    """The timeout is not that of each byte, be it of the headers, the body or what is said of a refusal."""
    beginnings = (
        b"HTTP/1.0 200 OK\r\nX: ",
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    )
    for beginning in beginnings:
        with trickling(beginning) as model, pytest.raises(ServiceError, match=r"did not answer within 0\.3 seconds"):
            chat(model, tmp_path, timeout=0.3).ask(HELLO, 1.0)
    with trickling(b"HTTP/1.0 400 Too bad\r\n\r\n") as model, pytest.raises(ServiceError, match=r"400 \('Too bad'\)"):
        chat(model, tmp_path, timeout=0.3).ask(HELLO, 1.0)


@pytest.mark.parametrize("key", ["s3cret\nX: y", "s3cret\u6f22", "s3cr\u00e9t", "s3cret\x00"])
def test_a_key_that_no_header_can_hold_is_refused_by_the_name_of_its_variable(tmp_path, monkeypatch, key):
    """And never by its value."""
    monkeypatch.setattr("os.environ", {"THE_KEY": key})  # the real one holds no NUL
    with (
        serving(lambda messages: "yes") as model,
        pytest.raises(ConfigError, match="THE_KEY holds is no key") as caught,
    ):
        chat(model, tmp_path, key="THE_KEY").ask(HELLO, 1.0)
    assert "s3cr" not in str(caught.value)
    assert model.asked == []


def test_tokens_that_nobody_counted_are_none(tmp_path):
    """Some servers write null where others leave the key out."""
    usage = {"prompt_tokens": None, "completion_tokens": 7}
    body = json.dumps({"choices": [{"message": {"content": None}}], "usage": usage})
    with serving(lambda messages: (200, {}, body)) as model:
        reply = chat(model, tmp_path).ask(HELLO, 1.0)
    assert (reply.text, reply.prompt_tokens, reply.completion_tokens) == ("", 0, 7)


@pytest.mark.parametrize("url", ["http://[::1/v1", "http://127.0.0.1:1/\u00fc", "http://a..b/v1"])
def test_an_address_that_no_server_has_ends_in_one_line(tmp_path, url):
    """Also where nobody has checked it."""
    asking = Chat(url, "small", None, 1.0, KeptAnswers(tmp_path))
    with pytest.raises(ServiceError, match=r"cannot be reached .* mend `url`"):
        asking.ask(HELLO, 1.0)

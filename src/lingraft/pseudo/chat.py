"""A language model behind an address that speaks as OpenAI's does: ``POST URL/chat/completions``.

vLLM, llama.cpp, Ollama and most hosted models do. Each answer is kept on disk under a digest of the question, so a job
that was stopped pays for nothing twice; the key is read from the environment when it is sent, and written nowhere.
"""

from __future__ import annotations

import json
import os
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException
from typing import IO, Any
from urllib.error import HTTPError

import pydantic_core

from ..core.errors import ConfigError, ServiceError, shown
from .kept_answers import KeptAnswers
from .timed_http import opener

WAITS = (1.0, 4.0, 16.0)
"""Seconds before each further attempt, where a server is busy or stumbles."""

LONGEST_WAIT = 60.0
"""However long a server asks to be left alone."""

BUSY = (408, 409, 429, 500, 502, 503, 504)
"""States that pass."""

MOST_BYTES = 1 << 24
"""Of an answer: that to any question here has a hundredth of them."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered, what it calls itself, and what that cost in tokens."""

    text: str
    model: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Chat:
    """Asks one model.

    Args:
        url: What stands before ``/chat/completions``.
        model: As the server calls it.
        key: Name of the environment variable with the key; None where the server wants none.
        timeout: Seconds for one answer, to its end.
        kept: Where answers are found and kept.
        wait: Waits so many seconds.
    """

    url: str
    model: str
    key: str | None
    timeout: float
    kept: KeptAnswers
    wait: Callable[[float], None] = time.sleep

    def ask(
        self,
        messages: Sequence[Mapping[str, str]],
        temperature: float,
        number: int = 0,
        is_useful: Callable[[str], object] = lambda text: True,
    ) -> Reply:
        """Return what the model answers, from the disk where it was asked the same before.

        Args:
            messages: With ``role`` and ``content``.
            temperature: 0 for the likeliest answer.
            number: Tells apart the same question that is asked several times.
            is_useful: Whether anything can be made of an answer; what is not is asked for again the next time.

        Raises:
            ServiceError: The server cannot be reached, refuses, or answers something else.
            ConfigError: The key is not in the environment.
        """
        body = {"model": self.model, "messages": list(messages), "temperature": temperature}
        asked = {"url": self.url, "number": number, **body}
        found = self.kept.find(asked)
        if found is None or not is_useful(found["text"]):
            found = self._read(self._post(json.dumps(body).encode()))
            if is_useful(found["text"]):
                self.kept.keep(asked, found)
        return Reply(**found)

    def _post(self, body: bytes) -> bytes:
        """Return the body of the answer; what passes by itself is waited for."""
        for pause in (*WAITS, None):
            try:
                with opener.open(self._request(body), timeout=self.timeout) as answer:
                    return self._whole(answer)
            except HTTPError as error:
                if error.code not in BUSY or pause is None:
                    raise ServiceError(self._refused(error)) from None
                self.wait(max(pause, _asked_to_wait(error.headers)))
            except TimeoutError:
                raise ServiceError(
                    f"{self.url} did not answer within {self.timeout:g} seconds; answers so far are kept, so give it "
                    "more time (`timeout`), or ask it for less at once, and run the same command again"
                ) from None
            except (OSError, HTTPException, ValueError) as error:  # the last of an address that is none
                reason = getattr(error, "reason", error)
                if isinstance(reason, TimeoutError):
                    reason = f"it did not answer within {self.timeout:g} seconds"
                raise ServiceError(
                    f"{self.url} cannot be reached ({shown(str(reason))}); start the server, or mend `url`"
                ) from None
        raise AssertionError("the last attempt returns or raises")

    def _whole(self, answer: IO[bytes]) -> bytes:
        """Return the body of an answer that ends.

        Raises:
            ServiceError: It is longer than any chat completion.
        """
        body = answer.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            raise ServiceError(
                f"{self.url} answered with more than {MOST_BYTES >> 20} MB; is it an OpenAI-compatible address?"
            )
        return body

    def _request(self, body: bytes) -> urllib.request.Request:
        headers = {"Content-Type": "application/json"}
        if self.key is not None:
            if not (secret := os.environ.get(self.key, "").strip()):
                raise ConfigError([f"key: the environment variable {self.key} is not set; put the key into it"])
            if not (secret.isascii() and secret.isprintable()):
                raise ConfigError(
                    [
                        f"key: what the environment variable {self.key} holds is no key: it has an end of a line, or a "
                        "letter outside ASCII; put the key into it again, and nothing else"
                    ]
                )
            headers["Authorization"] = f"Bearer {secret}"
        return urllib.request.Request(f"{self.url.rstrip('/')}/chat/completions", body, headers)

    def _refused(self, error: HTTPError) -> str:
        cures = {
            401: f"set the environment variable {self.key}" if self.key else "say `key: NAME_OF_A_VARIABLE`",
            403: "the key may not use this model",
            404: "mend `url` (it often ends in /v1) or `model`",
        }
        cure = cures.get(error.code, "see what it says, and run the same command again: answers so far are kept")
        return f"{self.url} refused with status {error.code} ({_said(error)}); {cure}"

    def _read(self, body: bytes) -> dict[str, Any]:
        """Return the fields of a :class:`Reply`."""
        try:
            answer = pydantic_core.from_json(body)
            text = answer["choices"][0]["message"]["content"]
            usage = answer.get("usage") or {}
            counts = [usage.get(name) or 0 for name in ("prompt_tokens", "completion_tokens")]
            if not isinstance(text, str | None) or not all(type(count) is int for count in counts):
                raise TypeError
        except (ValueError, LookupError, TypeError, AttributeError):
            came = shown(body.decode(errors="replace"), 120)
            raise ServiceError(
                f"{self.url} answered {came}, where a chat completion was expected "
                '({"choices": [{"message": {"content": …}}], …}); is it an OpenAI-compatible address?'
            ) from None
        model = str(answer.get("model") or self.model)
        return {"text": text or "", "model": model, "prompt_tokens": counts[0], "completion_tokens": counts[1]}


def _asked_to_wait(headers: Message) -> float:
    """Return the seconds of ``Retry-After``, as far as we go along."""
    seconds = headers.get("Retry-After", "")
    return min(float(seconds), LONGEST_WAIT) if seconds.isdecimal() else 0.0


def _said(error: HTTPError) -> str:
    """Return what a server says of its refusal."""
    try:
        body = error.read(MOST_BYTES)
        found = json.loads(body).get("error")
        return shown(found.get("message") if isinstance(found, dict) else found, 160)
    except (ValueError, AttributeError, OSError, HTTPException, RecursionError):
        return shown(error.reason, 160)

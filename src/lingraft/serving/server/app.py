"""The paths of a server, and what each answers."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Hashable, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from ...core.errors import LingraftError, problems_of, shown
from ...core.examples import Example
from ...core.json_text import to_json
from ...core.version import __version__
from ..explaining import Explanation
from ..predictor import Adapted
from .asking import (
    Asked,
    AskedAnswers,
    AskedExplanation,
    describe_answers,
    describe_explanation,
    read_items,
    read_text,
)
from .batching import Batcher, BusyError
from .body import limit_body
from .doors import add_headers, check_host, refuse_at_the_end
from .limits import Limits
from .metrics import Metrics, count_requests
from .page import Page
from .refusals import JSON, RefusedError, describe_wrong_body

PATHS = ("/", "/predict", "/explain", "/healthz", "/metrics", "/openapi.json")
ASKED: dict[str, type[Asked]] = {"/predict": AskedAnswers, "/explain": AskedExplanation}
"""What a path takes."""
REFUSALS = {
    400: "The body is no text in JSON, or another server is meant.",
    408: "The body came too slowly.",
    413: "The body is too large.",
    422: "The request is not what the run takes.",
    503: "Too much waits already; ask again later.",
}


class Refusal(BaseModel):
    """One line that says what was expected, what came, and what to do."""

    error: str


class Answers(BaseModel):
    """An answer for each item, in order, as ``lingraft predict`` writes it.

    Where no language was given and each item has one of its own, ``language`` is null and stands in the answers.
    """

    language: str | None
    remarks: list[str]
    answers: list[dict[str, Any]]


class Explained(BaseModel):
    """An answer, and the words and character n-grams that speak for it, or against."""

    language: str
    remarks: list[str]
    answer: dict[str, Any]
    words: list[dict[str, Any]]
    ngrams: list[dict[str, Any]]


def create_app(
    adapted: Adapted,
    batcher: Batcher[Example, Any],
    metrics: Metrics,
    page: Page,
    *,
    limits: Limits,
    hosts: Collection[str] = (),
) -> FastAPI:
    """Return the application that answers with a trained run.

    Args:
        adapted: The run.
        batcher: Computes, see :func:`~lingraft.serving.server.asking.compute`.
        metrics: Counts.
        page: At ``/``.
        limits: Of what is asked.
        hosts: That may be asked by; none means any.
    """
    app = FastAPI(
        title=f"lingraft: {adapted.identity.task}",
        version=__version__,
        docs_url=None,  # both pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.path.strip("/"),
    )
    app.add_middleware(limit_body, limits=limits)
    app.add_middleware(refuse_at_the_end)
    app.add_middleware(check_host, hosts=tuple(hosts))
    app.add_middleware(add_headers)
    app.add_middleware(count_requests, metrics=metrics, paths=PATHS)
    _add_refusals(app)

    refusals: dict[int | str, dict[str, Any]] = {
        status: {"description": said, "model": Refusal} for status, said in REFUSALS.items()
    }

    async def computed(key: Hashable, examples: Sequence[Example]) -> list[Any]:
        found = batcher.submit(key, examples)
        metrics.items.inc(len(examples))
        return await asyncio.wrap_future(found)

    @app.post("/predict", response_model=Answers, responses=refusals, summary="Answer items")
    async def predict(asked: AskedAnswers) -> Response:
        read = read_items(adapted, asked, limits)
        found = await computed(("predict", read.code), read.examples)
        return Response(to_json(describe_answers(adapted, asked, read, found)), media_type=JSON)

    @app.post(
        "/explain",
        response_model=Explained,
        responses=refusals,
        summary="Say what speaks for the answer of a text",
    )
    async def explain(asked: AskedExplanation) -> Response:
        read = read_text(adapted, asked, limits)
        alone = object()  # there is nothing to gain together, and the first would wait for the last
        found: list[Explanation] = await computed(("explain", read.code, alone), read.examples)
        return Response(to_json(describe_explanation(adapted, read, found[0])), media_type=JSON)

    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz", summary="Say that the server answers, and with what")
    async def healthz() -> dict[str, Any]:
        identity = adapted.identity
        return {
            "status": "ok",
            "task": identity.task,
            "kind": adapted.kind.name,
            "labels": list(identity.labels),
            "languages": list(adapted.targets or [identity.source_language]),  # or all is in one
            "source_language": identity.source_language,
            "lingraft": __version__,
        }

    @app.get("/metrics", response_class=PlainTextResponse, summary="Counters in the text format of Prometheus")
    async def counters() -> Response:
        metrics.waiting.set(batcher.waiting)
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.api_route("/", methods=["GET", "HEAD"], response_class=HTMLResponse, include_in_schema=False)
    async def look() -> Response:
        return HTMLResponse(page.html, headers={"Content-Security-Policy": page.policy})

    return app


def _add_refusals(app: FastAPI) -> None:
    """Make every error an answer of one line."""

    @app.exception_handler(RequestValidationError)
    async def wrong_body(request: Request, error: RequestValidationError) -> Response:
        known = ASKED[request.url.path].model_fields
        return RefusedError(422, describe_wrong_body(error.errors(), known)).response

    @app.exception_handler(LingraftError)
    async def wrong_item(request: Request, error: LingraftError) -> Response:
        return RefusedError(422, "; ".join(problems_of(error))).response

    @app.exception_handler(BusyError)
    async def busy(request: Request, error: BusyError) -> Response:
        return RefusedError(503, str(error), {"Retry-After": "1"}).response

    @app.exception_handler(HTTPException)
    async def wrong_request(request: Request, error: HTTPException) -> Response:
        path = shown(request.url.path)
        said = {
            HTTPStatus.NOT_FOUND: f"there is nothing at {path}; there are {', '.join(PATHS)}",
            HTTPStatus.METHOD_NOT_ALLOWED: f"{path} does not take {shown(request.method)}; /predict and /explain take "
            "POST, the others GET",
            HTTPStatus.BAD_REQUEST: "the body cannot be read as JSON: it is nested too deeply, has a number of too "
            "many digits, or is not UTF-8; send an object as /openapi.json describes it",
        }
        return RefusedError(
            error.status_code, said.get(HTTPStatus(error.status_code), str(error.detail)), error.headers
        ).response

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        return RefusedError(500, "something went wrong in the server, which says more in its log").response

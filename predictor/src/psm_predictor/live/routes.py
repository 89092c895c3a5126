"""POST /feedback: ordinary FastAPI, with a body that is read here, so that nobody can send more than is allowed."""

from collections.abc import Sequence
from typing import Any, Final, Literal

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from psm_predictor import findings
from psm_predictor.body import BodyReader, ClientGoneError
from psm_predictor.errors import RequestError
from psm_predictor.live.feedback import ONE, Feedback, Result, several
from psm_predictor.live.layout import Outcome
from psm_predictor.live.live import Live
from psm_predictor.settings import RequestLimits
from psm_predictor.telemetry import Recorder

_HEADERS: Final = {503: {"retry-after": "1"}, 408: {"connection": "close"}, 413: {"connection": "close"}}

Word = Literal["counted", "duplicate", "unknown", "ambiguous", "other_version"]


class FeedbackAnswer(BaseModel):
    """What became of one label."""

    outcome: Word = Field(description="counted, or duplicate: it was counted before.")
    correct: bool | None = Field(description="Whether the label was predicted; null for a duplicate.")


class FeedbackItem(BaseModel):
    """What became of one label of a list."""

    request_id: str
    index: int | None
    outcome: Word


class FeedbackList(BaseModel):
    """What became of a list of labels, in its order."""

    counted: int = Field(description="How many count, duplicates left out.")
    results: list[FeedbackItem]


def router(live: Live, limits: RequestLimits, recorder: Recorder) -> APIRouter:
    """The route over the given state."""
    routes = APIRouter()
    desk = _Desk(live, limits, recorder)

    @routes.post(
        "/feedback",
        tags=["prediction"],
        summary="What baskets turned out to be",
        responses={200: {"model": FeedbackAnswer | FeedbackList}, **_REFUSALS},
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": _content(limits)}}},
    )
    async def feedback(request: Request) -> Response:
        """Takes one label or a list; finds the prediction in this pod, or takes the one that was sent along.

        A single label answers 404, 409 or 422 where it matches nothing; a list answers 200 and says it item by item.
        """
        answer = await desk.take(request)
        return Response(answer.model_dump_json(), media_type="application/json")

    return routes


def _content(limits: RequestLimits) -> dict[str, Any]:
    item = Feedback.model_json_schema()
    several_items = {"type": "array", "items": item, "minItems": 1, "maxItems": limits.instances}
    known = {"request_id": "9f0c62a41b7e-1", "label": "MM"}
    return {
        "schema": {"anyOf": [item, several_items]},
        "examples": {
            "one basket": {"value": known},
            "a basket of several": {"value": {**known, "index": 3}},
            "with the prediction": {"value": {**known, "predicted": "UM", "model_version": 7}},
            "several baskets": {"value": [known, {"request_id": "9f0c62a41b7e-2", "label": "LA"}]},
        },
    }


_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "No prediction is known by that request_id; send predicted and model_version along."},
    408: {"description": "The body did not arrive in time."},
    409: {"description": "Another version of the model made the prediction."},
    413: {"description": "The body is too large."},
    415: {"description": "The body has a content encoding."},
    422: {"description": "Fields are missing or wrong, or the request had several baskets and index names none."},
    503: {"description": "Not ready, or too many large bodies are under way; with Retry-After."},
}


class _Desk:
    """Takes bodies in, and answers; they may fill as much memory as those of predictions."""

    def __init__(self, live: Live, limits: RequestLimits, recorder: Recorder) -> None:
        self._live = live
        self._recorder = recorder
        self._several = several(limits.instances)
        self._bodies = BodyReader(limits)

    async def take(self, request: Request) -> FeedbackAnswer | FeedbackList:
        """Answers one request; errors are those of predictions, in FastAPI's words."""
        try:
            return await self._take(request)
        except RequestError as err:
            if err.kind:
                self._recorder.rejected(err.kind)
            if err.status == 413:  # noqa: PLR2004  # the code is the clearest name
                await self._bodies.discard(request.receive)
            raise HTTPException(err.status, err.detail, _HEADERS.get(err.status)) from err
        except ClientGoneError as err:
            raise HTTPException(499, "the client went away") from err

    async def _take(self, request: Request) -> FeedbackAnswer | FeedbackList:
        if not self._live.has_model:
            raise RequestError(503, "the model is not loaded yet", "not_ready")
        self._bodies.admit(dict(request.headers.raw))
        body = await self._bodies.read(request.receive)
        with self._bodies.held(len(body)):
            is_list = body.lstrip()[:1] == b"["
            items = self._parsed(self._several, body) if is_list else [self._parsed(ONE, body)]
            results = await self._live.feedback(items)
        return _list_answer(results) if is_list else _answer(results[0])

    def _parsed(self, adapter: TypeAdapter[Any], body: bytes) -> Any:
        try:
            return adapter.validate_json(body)
        except ValidationError as err:
            found = [
                findings.finding(fault["type"], fault["loc"], fault["msg"], _shown(fault["input"]))
                for fault in err.errors(include_url=False, include_context=False)[: findings.MOST_FINDINGS]
            ]
            raise RequestError(422, found, "validation") from err


def _answer(result: Result) -> FeedbackAnswer:
    item = result.item
    match result.outcome:
        case Outcome.COUNTED | Outcome.DUPLICATE:
            correct = None if result.predicted is None else result.predicted == item.label
            return FeedbackAnswer(outcome=result.outcome.word, correct=correct)
        case Outcome.UNKNOWN:
            text = (
                f"this pod knows no prediction of request {item.request_id}: another pod answered, or it was long "
                "ago; send predicted and model_version of the answer along"
            )
            raise RequestError(404, text, "")
        case Outcome.OTHER_VERSION:
            raise RequestError(409, f"version {item.model_version} is not served here; GET /model says which is", "")
        case Outcome.AMBIGUOUS:
            text = f"must name one of the {result.baskets} baskets of the request, from 0"
            raise RequestError(422, [findings.finding("index", ("index",), text, item.index)], "validation")


def _shown(value: Any) -> Any:
    """What was sent; a body that is not JSON by its size."""
    return f"{len(value)} bytes" if isinstance(value, bytes) else value


def _list_answer(results: Sequence[Result]) -> FeedbackList:
    items = [
        FeedbackItem(request_id=result.item.request_id, index=result.item.index, outcome=result.outcome.word)
        for result in results
    ]
    return FeedbackList(counted=sum(result.outcome is Outcome.COUNTED for result in results), results=items)

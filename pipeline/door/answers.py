"""The door's answers, as JSON: what was accepted, or what is wrong and what mends it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from pipeline.door.preview import Preview


class Answer(web.Response):
    """A response that knows the code of what is wrong.

    Attributes:
      code: as it stands in the body; None where nothing is wrong.
    """

    code: str | None = None


class Refused(Exception):  # noqa: N818 - a verdict on a request, not a fault of ours
    """A request that is answered with an error; nothing of it is stored."""

    def __init__(self, status: int, reason: str, said: str, retry_after: int | None = None) -> None:
        super().__init__(reason)
        self._answer = (status, reason, said, retry_after)

    def response(self) -> web.Response:
        """The answer."""
        status, reason, said, retry_after = self._answer
        return refusal(status, reason, said, retry_after=retry_after)


def answer(preview: Preview, status: int) -> web.Response:
    """The answer to a body: what it held, or, where it could not be read, what is wrong."""
    if status != web.HTTPOk.status_code:
        first = preview.problems[0]
        return answer_failure(preview, status, first["reason"], first["detail"])
    if preview.mixpanel is not None:
        return json_answer({"action": preview.mixpanel, "status": "success"})
    return json_answer(preview.answer())


def answer_failure(
    preview: Preview, status: int, reason: str, said: str, retry_after: int | None = None
) -> web.Response:
    """The answer to a body that is not stored, in the form that its platform expects."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    if preview.mixpanel is not None:
        error = {"message": f"{reason}: {said}", "code": status}
        answer = {"action": preview.mixpanel, "status": "failure", "error": error}
        return json_answer(answer, status, headers, reason)
    if retry_after is not None:
        return refusal(status, reason, said, headers)
    return json_answer(preview.answer(), status, headers, reason)


def refusal(
    status: int,
    reason: str,
    said: str,
    headers: Mapping[str, str] | None = None,
    retry_after: int | None = None,
) -> web.Response:
    """An error."""
    more = {} if retry_after is None else {"Retry-After": str(retry_after)}
    problems = [{"place": "request", "reason": reason, "detail": said}]
    content = {"accepted": 0, "problems": problems}
    return json_answer(content, status, {**(headers or {}), **more}, reason)


def json_answer(
    content: Mapping[str, Any],
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    reason: str | None = None,
) -> web.Response:
    """Any content as JSON; of a refusal, with its reason for `reason_of`."""
    made = Answer(
        body=orjson.dumps(content),
        status=status,
        headers={"Content-Type": "application/json", **(headers or {})},
    )
    made.code = reason
    return made


def reason_of(response: web.StreamResponse) -> str:
    """The code that says why a request was refused, for whoever counts."""
    code = response.code if isinstance(response, Answer) else None
    return str(code or response.reason)

"""A webhook: messages posted one after the other, beside whatever else is under way."""

from __future__ import annotations

import json
import logging
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Hashable
from http.client import HTTPException, HTTPMessage
from typing import IO, Any

TIMEOUT_SECONDS = 10.0
_log = logging.getLogger(__name__)


class Webhook:
    """Posts ``{"text": …}`` as Slack and those after its example take it.

    Its address is a secret: it is in no log, and no redirect is followed with it.

    Args:
      url: where to.
      timeout_seconds: for each message.
    """

    def __init__(self, url: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._opener = urllib.request.build_opener(_NoRedirect)
        self._queue: queue.Queue[tuple[Hashable, str]] = queue.Queue()
        self._ended: queue.Queue[tuple[Hashable, bool]] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._failing = False

    def __repr__(self) -> str:
        return "Webhook(…)"

    def post(self, key: Hashable, text: str) -> None:
        """Posts a message soon; `ended` tells of it under the same key."""
        self._queue.put((key, text))
        if self._thread is None:
            # A daemon: a server that hangs does not keep the job from ending.
            self._thread = threading.Thread(target=self._work, name="webhook", daemon=True)
            self._thread.start()

    def ended(self) -> list[tuple[Hashable, bool]]:
        """Messages that were posted since this was last asked, and whether they arrived."""
        found = []
        while not self._ended.empty():
            found.append(self._ended.get())
        return found

    def _work(self) -> None:
        while True:
            key, text = self._queue.get()
            problem = self._try(text)
            if problem and not self._failing:
                _log.error(
                    "the webhook of alerts cannot be reached (%s); alerts are posted once it can",
                    problem,
                )
            self._failing = bool(problem)
            self._ended.put((key, not problem))

    def _try(self, text: str) -> str:
        """Posts; returns what went wrong, without the address, or nothing."""
        request = urllib.request.Request(  # noqa: S310 - the destination allows http and https only
            self._url,
            data=json.dumps({"text": escaped(text)}).encode(),
            headers={"Content-Type": "application/json", "User-Agent": "outreach-activation"},
        )
        try:
            with self._opener.open(request, timeout=self._timeout_seconds) as answer:
                answer.read()
        except urllib.error.HTTPError as refused:
            refused.close()
            return f"it answered {refused.code}"
        except urllib.error.URLError as trouble:
            return type(trouble.reason).__name__
        except (OSError, HTTPException, ValueError) as trouble:
            return type(trouble).__name__
        return ""


def escaped(text: str) -> str:
    """As Slack wants text that is no markup: an audience's name must not call a channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> Any:  # noqa: ANN401 - None, for which the base class has no type
        del req, fp, code, msg, headers, newurl
        return None

"""Bulk actions: batches that change the same attributes of many records, some time later.

As Outreach's API reference has them, and as rude: where neither ids nor a filter are named, the
action is for every record of the org. What Outreach does not say of them is decided here and told
in `docs/sandbox.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

import orjson

from pipeline.sandbox.api.batch import (
    CANCELED,
    CONFIRMING,
    FAILED,
    FINISHED,
    OPEN,
    PENDING,
    RUNNING,
    Batch,
    resource,
)
from pipeline.sandbox.api.records import Collection
from pipeline.sandbox.auth.tokens import TokenGrant
from pipeline.sandbox.faults import Faults
from pipeline.sandbox.fields import ResourceKind
from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.request_log import RequestLog
from pipeline.sandbox.responses import (
    JSON_API,
    ApiRequest,
    ApiResponse,
    bad_request,
    document,
    error,
    missing_scope,
    not_found,
    refusal,
    unsupported_media_type,
)

MOST_IDS: Final = 100_000
"""Records that one request may name (seen by a client; Outreach documents no limit)."""
_DAY = 86_400.0

Refused = Callable[[ResourceKind, Mapping[str, object]], ApiResponse | None]
_ACTIONS: Mapping[str, ResourceKind] = {
    "prospectsBulkModify": "prospect",
    "accountsBulkModify": "account",
}


class Batches:
    """Answers what is asked of batches, and carries them out as time passes.

    Args:
      collections: the records.
      refused: the refusal that attributes earn; None where a record could take them.
      forbidden: records that nobody may change.
      options: how long batches take, and how much a day.
      faults: what goes wrong.
      log: for violations.
    """

    def __init__(
        self,
        collections: Mapping[ResourceKind, Collection],
        refused: Refused,
        forbidden: frozenset[int],
        options: SandboxOptions,
        faults: Faults,
        log: RequestLog,
    ) -> None:
        self.all: dict[int, Batch] = {}
        self._collections = collections
        self._refused = refused
        self._forbidden = forbidden
        self._options = options
        self._faults = faults
        self._log = log
        self._spent: list[tuple[float, int]] = []

    def answer(  # noqa: PLR0911 - one return a route
        self, asked: ApiRequest, rest: Sequence[str], grant: TokenGrant, now: float
    ) -> ApiResponse:
        """Answers a request under ``/batches``; `rest` are the path's parts behind that."""
        self.advance(now)
        scope = "batches.read" if asked.method == "GET" else "batches.write"
        if scope not in grant.scopes:
            return missing_scope(scope)
        match (asked.method, list(rest)):
            case ("GET", []):
                return self._list(asked.query)
            case ("GET", [given]):
                batch = self._batch(given)
                return document(200, {"data": resource(batch)}) if batch else _missing(given)
            case ("POST", ["actions", action]) if action in _ACTIONS:
                return self._create(asked, _ACTIONS[action], grant, now)
            case ("POST", [given, "actions", ("confirm" | "cancel") as action]):
                batch = self._batch(given)
                if batch is None:
                    return _missing(given)
                return (
                    self._cancel(batch, now)
                    if action == "cancel"
                    else self._confirm(batch, asked, now)
                )
            case _:
                return not_found(f"No route matches {asked.method} {asked.path}.")

    def answer_items(self, asked: ApiRequest, grant: TokenGrant, now: float) -> ApiResponse:
        """Answers ``GET /batchItems``: no item says which prospect it is of."""
        self.advance(now)
        if "batches.read" not in grant.scopes:
            return missing_scope("batches.read")
        query = dict(parse_qsl(asked.query))
        batch = self._batch(query.get("filter[batchId]", ""))
        failed = query.get("filter[failed]", "true") == "true"
        found = list(batch.failed.items()) if batch and failed else []
        items = [
            {
                "type": "batchItem",
                "id": place + 1,
                "attributes": {"failed": True, "state": FAILED, "info": why, "data": None},
            }
            for place, (_, why) in enumerate(found)
        ]
        return document(200, {"data": items})

    def advance(self, now: float) -> None:
        """Carries out what should have happened by now."""
        for batch in self.all.values():
            if batch.state == PENDING and now >= batch.created_at + self._options.batch_seconds / 5:
                batch.state = CONFIRMING
                if batch.skip_confirmation:
                    self._start(batch, now)
            if batch.state == RUNNING and batch.fault != "batch_hangs":
                self._carry_out(batch, now)

    def writes(self, kind: ResourceKind, record_id: int, names: Iterable[str]) -> bool:
        """Whether a batch that runs is to write one of these attributes of a record."""
        wanted = set(names)
        return any(
            batch.kind == kind
            and batch.state == RUNNING
            and wanted & batch.attributes.keys()
            and record_id in batch.members
            for batch in self.all.values()
        )

    def _create(  # noqa: PLR0911 - one return a refusal
        self, asked: ApiRequest, kind: ResourceKind, grant: TokenGrant, now: float
    ) -> ApiResponse:
        if f"{kind}s.write" not in grant.scopes:
            return missing_scope(f"{kind}s.write")
        records = self._collections[kind]
        if asked.content_type != JSON_API:
            return unsupported_media_type()
        try:
            attributes = dict(orjson.loads(asked.body)["data"]["attributes"])
        except (ValueError, KeyError, TypeError):
            return bad_request("The request body is not a bulk action's document.")
        ids = attributes.pop("ids", None) or []
        if not all(type(each) is int for each in ids):
            return bad_request("ids must be a list of integers.")
        if len(ids) > MOST_IDS:
            return refusal(422, error("validationError", "Validation Error", "Too many ids."))
        refused = self._refused(kind, attributes)
        if refused is not None:
            return refused
        everyone = not ids and "filter" not in asked.query
        if everyone:
            self._log.violate("everybody", "a bulk action without ids", grant.user, now)
        targets = [each for each in dict.fromkeys(ids) if each in records]
        if everyone:
            targets = list(records.after(0))
        if not self._affords(len(targets), now):
            detail = "You have exceeded the daily limit of batch items."
            return refusal(422, error("batchLimitExceeded", "Batch Limit Exceeded", detail))
        number = len(self.all) + 1
        batch = Batch(
            number,
            grant.user,
            kind,
            attributes,
            targets,
            everyone,
            now,
            self._faults.of_batch(number) or "",
            ("actionParams[skipConfirmation]", "true") in parse_qsl(asked.query),
        )
        self.all[number] = batch
        return document(200, {"data": resource(batch)})

    def _confirm(self, batch: Batch, asked: ApiRequest, now: float) -> ApiResponse:
        if batch.state != CONFIRMING:
            return _not_now(f"Batch {batch.id} is {batch.state}.")
        said = dict(parse_qsl(asked.query)).get("actionParams[confirmedCount]")
        if said != str(batch.confirm_count):
            return _not_now(f"confirmedCount must be {batch.confirm_count}.")
        self._start(batch, now)
        return document(200, {"data": resource(batch)})

    def _cancel(self, batch: Batch, now: float) -> ApiResponse:
        if batch.state not in OPEN:
            return _not_now(f"Batch {batch.id} is {batch.state}.")
        if batch.state == RUNNING and batch.fault != "batch_hangs":
            part = (now - batch.confirmed_at) / max(1e-9, self._options.batch_seconds)
            self._write(batch, int(len(batch.ids) * min(1.0, part)), now)
        batch.state, batch.canceled_at, batch.finished_at = CANCELED, now, now
        return document(200, {"data": resource(batch)})

    def _start(self, batch: Batch, now: float) -> None:
        batch.state, batch.confirmed_at = RUNNING, now
        self._spent.append((now, len(batch.ids)))

    def _carry_out(self, batch: Batch, now: float) -> None:
        if now < batch.confirmed_at + self._options.batch_seconds:
            return
        count = len(batch.ids)
        if batch.fault == "batch_fails":
            self._write(batch, count // 2, now)
        elif batch.fault == "batch_skips":
            self._write(batch, count - max(1, count // 10), now)
        else:
            self._write(batch, count, now)
        batch.state = FAILED if batch.fault == "batch_fails" else FINISHED
        batch.finished_at = now

    def _write(self, batch: Batch, count: int, now: float) -> None:
        """Changes the first so many of a batch's records."""
        records = self._collections[batch.kind]
        for record_id in batch.ids[:count]:
            if record_id not in records:
                batch.failed[record_id] = "The record is gone."
            elif batch.kind == "prospect" and record_id in self._forbidden:
                batch.failed[record_id] = "You are not authorized to change this record."
            else:
                records.update(record_id, batch.attributes, now)
        batch.done = count

    def _affords(self, count: int, now: float) -> bool:
        self._spent = [each for each in self._spent if each[0] > now - _DAY]
        used = sum(items for _, items in self._spent)
        return used + count <= self._options.batch_items_per_day

    def _list(self, query: str) -> ApiResponse:
        wanted = dict(parse_qsl(query))
        states = wanted.get("filter[state]", "").split(",") if "filter[state]" in wanted else None
        ids = wanted.get("filter[id]", "").split(",") if "filter[id]" in wanted else None
        found = [
            resource(batch)
            for batch in self.all.values()
            if (states is None or batch.state in states) and (ids is None or str(batch.id) in ids)
        ]
        return document(200, {"data": found, "links": {}})

    def _batch(self, given: str) -> Batch | None:
        return self.all.get(int(given)) if given.isdecimal() else None


def _missing(given: str) -> ApiResponse:
    return not_found(f"Could not find 'batch' with ID '{given}'.")


def _not_now(detail: str) -> ApiResponse:
    return refusal(422, error("validationError", "Validation Error", detail))

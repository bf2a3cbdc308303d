"""Every answer that is known, in one table; and any other, which may not raise."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.outreach.answers import HEADERS, NOW, TOO_MANY, error, errors
from transforms.outreach.error_body import read_error_body
from transforms.outreach.responses import Classification, Fate, classify, read_limits

thoroughly = settings(derandomize=True, deadline=None, max_examples=300)
GATEWAY = orjson.dumps({"error": "Invalid JWT token.", "description": "The token has expired."})
PAGE = b"<!DOCTYPE html>\n<html><head><title>Attention\n Required!</title></head></html>"
TABLE = [
    (200, b'{"data":{}}', Fate.ACCEPTED, ""),
    (202, b"", Fate.ACCEPTED, ""),
    (204, b"", Fate.ACCEPTED, ""),
    (400, errors(error("badRequest")), Fate.REFUSED, "bad_request"),
    (401, GATEWAY, Fate.UNAUTHENTICATED, "unauthenticated"),
    (401, b"", Fate.UNAUTHENTICATED, "unauthenticated"),
    (403, errors(error("unauthorizedOauthScope")), Fate.PAUSE, "scope_missing"),
    (403, errors(error("unauthorizedRequest")), Fate.REFUSED, "forbidden"),
    (403, b"", Fate.REFUSED, "forbidden"),
    (403, PAGE, Fate.PAUSE, "misconfigured"),
    (404, errors(error("resourceNotFound")), Fate.REFUSED, "not_found"),
    (404, b"", Fate.REFUSED, "not_found"),
    (404, PAGE, Fate.PAUSE, "misconfigured"),
    (404, errors(error("routeNotFound")), Fate.PAUSE, "misconfigured"),
    (410, b"", Fate.REFUSED, "not_found"),
    (413, b"", Fate.REFUSED, "bad_request"),
    (414, b"", Fate.REFUSED, "bad_request"),
    (451, b"", Fate.REFUSED, "forbidden"),
    (415, errors({"id": "unsupportedMediaType", "details": "no"}), Fate.PAUSE, "misconfigured"),
    (301, b"", Fate.PAUSE, "misconfigured"),
    (302, b"", Fate.PAUSE, "misconfigured"),
    (304, b"", Fate.PAUSE, "misconfigured"),
    (402, b"", Fate.PAUSE, "misconfigured"),
    (405, b"", Fate.PAUSE, "misconfigured"),
    (407, PAGE, Fate.PAUSE, "misconfigured"),
    (418, b"", Fate.PAUSE, "misconfigured"),
    (422, errors(error("validationError")), Fate.FIELD_REFUSED, "field_refused"),
    (422, errors(error("validationDuplicateValueError")), Fate.FIELD_REFUSED, "field_refused"),
    (422, errors(error("validationDataTooLongError")), Fate.FIELD_REFUSED, "field_refused"),
    (422, b"", Fate.FIELD_REFUSED, "field_refused"),
    (429, TOO_MANY, Fate.THROTTLED, "throttled"),
    (429, b"Retry later\n", Fate.THROTTLED, "throttled"),
    (503, errors(error("scheduledServerMaintenance")), Fate.MAINTENANCE, "unavailable"),
    (503, b"", Fate.TROUBLE, "unavailable"),
    (500, PAGE, Fate.TROUBLE, "unavailable"),
    (502, PAGE, Fate.TROUBLE, "unavailable"),
    (504, b"", Fate.TROUBLE, "unavailable"),
    (408, b"", Fate.TROUBLE, "unavailable"),
    (409, errors(error("conflict")), Fate.TROUBLE, "unavailable"),
    (423, b"", Fate.TROUBLE, "unavailable"),
    (425, b"", Fate.TROUBLE, "unavailable"),
    (0, b"", Fate.TROUBLE, "unavailable"),
    (999, b"", Fate.TROUBLE, "unavailable"),
]


@pytest.mark.parametrize(("status", "body", "fate", "reason"), TABLE)
def test_each_known_answer_has_its_fate(status: int, body: bytes, fate: Fate, reason: str) -> None:
    verdict = classify(status, HEADERS, body, NOW)
    assert (verdict.fate, verdict.reason, verdict.status) == (fate, reason, status)
    assert bool(verdict.detail) == (fate is not Fate.ACCEPTED)
    assert bool(verdict.remedy) == (fate is Fate.PAUSE)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 422, 500, 502, 503])
def test_the_budgets_reset_is_no_time_to_wait_for_unless_the_budget_is_spent(status: int) -> None:
    assert classify(status, HEADERS, TOO_MANY, NOW).retry_at is None


def test_a_spent_budget_is_waited_for_until_the_reset() -> None:
    assert classify(429, HEADERS, b"", NOW).retry_at == NOW + 3600
    assert classify(429, {}, TOO_MANY, NOW).retry_at == NOW + 1800
    assert classify(429, {}, b"Retry later\n", NOW).retry_at is None


def test_announced_maintenance_is_waited_for() -> None:
    body = errors(error("scheduledServerMaintenance", "Back at 2026-01-01T02:00:00Z."))
    told = {"Retry-After": "2026-01-01T01:00:00Z", **HEADERS}
    assert classify(503, told, body, NOW).retry_at == NOW + 3600
    assert classify(503, HEADERS, body, NOW).retry_at == NOW + 7200


def test_trouble_that_says_when_to_come_back_is_believed() -> None:
    assert classify(503, {"Retry-After": "7"}, b"", NOW).retry_at == NOW + 7


@pytest.mark.parametrize(
    ("pointers", "fields"),
    [
        (["/data/attributes/custom4"], ("custom4",)),
        (["/data/attributes/custom4", "/data/attributes/firstName"], ("custom4", "firstName")),
        (["/data/attributes/custom4", "/data/attributes/custom4"], ("custom4",)),
        (["/data/attributes/tags/0"], ("tags",)),
        (["/data/attributes/a~1b~0c"], ("a/b~c",)),
        (["/data/relationships/owner", None, "/data/attributes/custom4"], ("custom4",)),
        (["/data/relationships/account"], ("account_domain",)),
        (["/data/relationships/account/data/id"], ("account_domain",)),
        (["/data/relationships/accounts"], ()),
        (["/data/attributes/", "/data/id", "", None], ()),
    ],
)
def test_a_refused_value_is_named_by_its_pointer(
    pointers: list[str | None], fields: tuple[str, ...]
) -> None:
    body = errors(*(error("validationError", pointer=pointer) for pointer in pointers))
    assert classify(422, {}, body, NOW).fields == fields


def test_a_missing_scope_is_named_with_what_mends_it() -> None:
    body = errors(error("unauthorizedOauthScope", "You are missing scope 'prospects.write'."))
    verdict = classify(403, {}, body, NOW)
    assert verdict.scope == "prospects.write"
    assert verdict.remedy == "connect the user again and grant the scope prospects.write"


def test_a_404_that_is_not_outreachs_says_so() -> None:
    hint = "is outreach.base_url right?"
    assert hint in classify(404, {}, PAGE, NOW).detail
    assert hint not in classify(404, {}, errors(error("resourceNotFound")), NOW).detail


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (errors(error("a", "One.")), "A Title: One."),
        (errors(error("a", "One."), error("b", "Two.")), "A Title: One.; A Title: Two."),
        (errors(error("a", "One."), error("a", "One.")), "A Title: One."),
        (errors({"id": "unsupportedMediaType", "details": "Not that."}), "Not that."),
        (GATEWAY, "Invalid JWT token.: The token has expired."),
        (b'{"error":"invalid_grant","error_description":"Bad."}', "invalid_grant: Bad."),
        (b"Retry later\n", "Retry later"),
        (PAGE, "Attention Required!"),
        (b"<html><body>no title", ""),
        (b'"Forbidden"', "Forbidden"),
        (b'["One.", {"detail": "Two."}, 3]', "One.; Two."),
        (b"\xff\xfe\x00", "\ufffd\ufffd"),
        (b"", ""),
        (b"{}", ""),
        (errors(error("a", "One\nline\t\x07only")), "A Title: One line only"),
    ],
)
def test_people_read_what_the_body_says_on_one_line(body: bytes, text: str) -> None:
    assert read_error_body(body).text == text


def test_what_a_stranger_says_is_cut() -> None:
    text = read_error_body(errors(error("a", "so long " * 100))).text
    assert len(text) == 300
    assert text.endswith("…")


@pytest.mark.parametrize(
    "saying",
    [
        "Invalid token eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJzM2NyM3QifQ.s3cr3t-signature",
        "Authorization: Bearer s3cr3t",
        '{"refresh_token": "s3cr3t"}',
        "bad request: client_secret=s3cr3t&grant_type=refresh_token",
        "code: s3cr3t",
        f"key {'s3cr3t' * 7}",
        "x" * 290 + " Bearer s3cr3t",
    ],
)
def test_nothing_that_looks_like_a_token_is_repeated(saying: str) -> None:
    for body in (saying.encode(), errors(error("a", saying)), orjson.dumps({"error": saying})):
        for status in (400, 401, 403, 404, 415, 422, 429, 503):
            assert "s3cr3t" not in repr(classify(status, {}, body, NOW))


def test_a_prospects_id_and_a_request_id_are_no_tokens() -> None:
    detail = "Prospect 1234567890 (request 5114d758-ce71-43ba-b53e-e2a91d67b67f) is gone."
    assert read_error_body(errors(error("a", detail))).text.endswith(detail)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["errors", "id", "title", "detail", "source", "pointer", "error"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
bodies = st.one_of(st.binary(max_size=100), json_values.map(orjson.dumps))
header_values = st.one_of(
    st.text(max_size=30),
    st.integers().map(str),
    st.floats().map(str),
    st.datetimes().map(str),
    st.datetimes().map(lambda at: f"{at:%a, %d %b %Y %H:%M:%S} GMT"),
)


@thoroughly
@given(
    st.integers(-1, 1000) | st.sampled_from([400, 403, 422, 429, 503]),
    st.dictionaries(st.sampled_from([*HEADERS, "Retry-After", "date"]), header_values),
    bodies,
)
def test_no_answer_raises_and_none_is_left_without_words(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    verdict = classify(status, headers, body, NOW)
    assert isinstance(verdict, Classification)
    assert len(verdict.detail) <= 400
    assert verdict.detail.isprintable()
    assert (verdict.fate is Fate.ACCEPTED) == (200 <= status < 300)
    for number in read_limits(headers):
        assert number is None or number >= 0


def test_a_body_nested_without_end_raises_nothing() -> None:
    assert classify(400, {}, b"[" * 100_000, NOW).fate is Fate.REFUSED
    assert classify(400, {}, b'{"errors":' * 50_000, NOW).fate is Fate.REFUSED

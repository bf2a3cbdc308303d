"""Each stage of `WriteToOutreach` taken alone, and all of them one after the other."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import pytest
from apache_beam.transforms.window import TimestampedValue

from pipeline.sandbox import Sandbox, SandboxOptions, running_sandbox
from tests.support.data.changes import change
from tests.support.data.three_audiences import SEGMENTS
from tests.support.data.trace import flat_lines, profile
from tests.transforms.connector.writing import (
    AUDIENCES,
    OPS,
    PLAN,
    _kept,
    keep,
    reasons,
    run,
    write,
)
from transforms import (
    Attribute,
    AttributeChange,
    Audience,
    BudgetTerms,
    CoalesceChanges,
    Delivery,
    IssueReceipts,
    MapToFields,
    OutreachUser,
    ParseAudienceChanges,
    PatchProspects,
    Plan,
    WriteToOutreach,
)

pytestmark = pytest.mark.real


def test_the_stages_one_after_the_other_come_to_what_all_in_one_do(sandbox: Sandbox) -> None:
    lines = list(flat_lines(200, 30, [*SEGMENTS, "nobody's"]))
    given = [TimestampedValue(line, place + 1) for place, line in enumerate([*lines, "{"])]

    _kept.clear()
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        parsed = pipeline | beam.Create(given) | ParseAudienceChanges(["jobTitle"])
        mapped = (parsed.memberships, parsed.attributes) | beam.Flatten() | MapToFields(PLAN)
        merged = mapped.changes | CoalesceChanges()
        sent = merged.patches | PatchProspects(sandbox.url, [OPS])
        ended = (mapped.outcomes, merged.outcomes, sent.outcomes) | "Ended" >> beam.Flatten()
        issued = ended | IssueReceipts()
        for name, collection in (
            ("receipts", issued.receipts),
            ("unread", parsed.dead_letters),
            ("refused", issued.dead_letters),
        ):
            _kept[name] = []
            collection | name >> beam.Map(keep, name)
    apart = dict(_kept)

    with running_sandbox(SandboxOptions(prospects=60)) as other:
        at_once = run(beam.Create(given), write(other, attributes=PLAN.attributes))
        assert sandbox.prospects() == other.prospects()

    assert sorted(each[:7] for each in apart["receipts"]) == sorted(
        each[:7] for each in at_once["receipts"]
    )
    assert reasons(apart["unread"]) == reasons(at_once["dead_letters"]) == [("parse", "not_json")]
    assert apart["refused"] == []


def test_parse_gives_memberships_attributes_and_dead_letters() -> None:
    text = profile(7, {"seg": ("exited", "2026-01-02T03:04:05Z")}, jobTitle="Engineer", city="Ulm")

    came = run([text, "no"], ParseAudienceChanges(attributes=["jobTitle"]))

    (membership,) = came["memberships"]
    assert membership[1:5] == (7, "ups", "seg", "exited")
    (attribute,) = came["attributes"]
    assert attribute[1:4] == (7, "jobTitle", '"Engineer"')
    assert reasons(came["dead_letters"]) == [("parse", "not_json")]


def test_a_value_that_its_field_cannot_hold_ends_in_mapping() -> None:
    plan = Plan("Oid", (), (Attribute("tags", "title"),), (OutreachUser("ops", 1),))
    given = [AttributeChange("a", 1, "tags", '["x","y"]', None, 0)]

    came = run(given, MapToFields(plan))

    assert came["changes"] == []
    assert [each.reason for each in came["outcomes"]] == ["value_invalid"]


def test_changes_of_a_prospect_become_one_patch() -> None:
    given = [change(1, "custom4", "old", time=1), change(1, "custom4", "new", time=2)]
    given += [change(1, "custom5", "b"), change(2, "custom4", "c")]

    came = run(given, CoalesceChanges())

    patches = {each.outreach_id: [one.value for one in each.changes] for each in came["patches"]}
    assert patches == {1: ['"new"', '"b"'], 2: ['"c"']}
    assert [each.outcome for each in came["outcomes"]] == ["superseded"]


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: WriteToOutreach(users=[OPS]), "nothing is mapped"),
        (lambda: WriteToOutreach(users=[], audiences=AUDIENCES), "no user by whose requests"),
        (lambda: WriteToOutreach(users=[OPS, OPS], audiences=AUDIENCES), "named 'ops'"),
        (lambda: WriteToOutreach(users=[OPS], audiences=AUDIENCES * 2), "is mapped twice"),
        (
            lambda: WriteToOutreach(
                users=[OPS], audiences=[Audience.of("a", 4), Audience.of("b", 4)]
            ),
            "custom4 is written by two",
        ),
        (
            lambda: WriteToOutreach(users=[OPS], attributes=[Attribute("jobTitle", "titel")]),
            "'titel' is no prospect field that can be written; did you mean 'title'",
        ),
        (
            lambda: WriteToOutreach(users=[OPS], attributes=[Attribute("site", "account_domain")]),
            "account_domain needs a ledger",
        ),
        (
            lambda: WriteToOutreach(users=[OPS], audiences=AUDIENCES, hold_seconds=-1),
            "hold_seconds is -1",
        ),
        (
            lambda: WriteToOutreach(users=[OPS], audiences=AUDIENCES, base_url="http://api.x.io"),
            "not encrypted",
        ),
        (lambda: Audience.of("a", 151), "mapping_id 151 is not from 1 to 150"),
        (lambda: Audience.of("a", 4, {"left": "x"}), "no status 'left'"),
        (lambda: Audience.of("a", 4, {"exited": {1}}), "cannot be written to a field"),
        (lambda: ParseAudienceChanges(identity=""), "identity is empty"),
        (lambda: CoalesceChanges(remember_seconds=-1), "remember_seconds is -1"),
        (lambda: PatchProspects("https://api.outreach.io", []), "give at least one"),
        (lambda: PatchProspects("api.outreach.io", [OPS]), "must be a web address"),
        (lambda: PatchProspects("https://me:pw@x.io", [OPS]), "without user"),
        (lambda: BudgetTerms(10, 60, 10), "leaves none to send"),
        (lambda: Delivery(in_flight=0), "in flight"),
    ],
)
def test_what_is_wrong_is_said_when_a_transform_is_made(make: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        make()

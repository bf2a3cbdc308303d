"""What a file is refused for in what it maps: with its line, its value and a remedy."""

from pathlib import Path

import pytest

from pipeline.destination.file import load_destination
from tests.pipeline.destination.refusing import (
    AUDIENCE,
    GOOD,
    USER,
    assert_refused,
    edited,
    refusals,
)


def test_the_file_that_these_tests_spoil_is_good(tmp_path: Path) -> None:
    path = tmp_path / "destination.yaml"
    path.write_text(GOOD, encoding="utf-8")
    assert load_destination(str(path)).name == "Enterprise audiences"


MAPPING_ID = "must be a whole number from 1 to 150"
ONE_LINE = "must be one line, neither empty nor with spaces around it"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        # A mapping_id that names no custom field.
        ("mapping_id: 4", "mapping_id: 0", f"11: audiences[0].mapping_id: {MAPPING_ID} (0); use"),
        ("mapping_id: 4", "mapping_id: 151", f"11: audiences[0].mapping_id: {MAPPING_ID} (151)"),
        ("mapping_id: 4", "mapping_id: -4", f"11: audiences[0].mapping_id: {MAPPING_ID} (-4)"),
        ("mapping_id: 4", "mapping_id: 4.0", f"11: audiences[0].mapping_id: {MAPPING_ID} (4.0)"),
        ("mapping_id: 4", "mapping_id: true", f"11: audiences[0].mapping_id: {MAPPING_ID} (true)"),
        ("mapping_id: 4", "mapping_id: four", f"11: audiences[0].mapping_id: {MAPPING_ID} (four)"),
        ("mapping_id: 4", "mapping_id: '04'", f"11: audiences[0].mapping_id: {MAPPING_ID} (04)"),
        ("mapping_id: 4", "mapping_id: [4]", f"11: audiences[0].mapping_id: {MAPPING_ID}; use"),
        ("    mapping_id: 4\n", "", "9: audiences[0].mapping_id: required and missing; add it"),
        # Two entries that claim the same thing.
        (
            AUDIENCE,
            f"{AUDIENCE}  - segment: bbbb-2222\n    mapping_id: 4\n",
            (
                "15: audiences[1].mapping_id: custom4 is already taken by audiences[0].mapping_id"
                " on line 11 (4); give each audience a field of its own"
            ),
        ),
        (
            AUDIENCE,
            f'{AUDIENCE}  - segment: bbbb-2222\n    mapping_id: "4"\n',
            "15: audiences[1].mapping_id: custom4 is already taken",
        ),
        (
            AUDIENCE,
            f"{AUDIENCE}  - segment: aaaa-1111\n    mapping_id: 5\n",
            (
                "14: audiences[1].segment: already mapped by audiences[0].segment on line 9"
                " (aaaa-1111); remove one of the two, or give each its own namespace"
            ),
        ),
        (
            AUDIENCE,
            f"{AUDIENCE}  - segment: aaaa-1111\n    namespace: ups\n    mapping_id: 5\n",
            "14: audiences[1].segment: already mapped by audiences[0].segment on line 9",
        ),
        (
            USER,
            f"{USER}  - name: ops\n    auth: {{type: bearer, token_env: B}}\n",
            "8: users[1].name: already taken by users[0].name on line 3 (ops); name each user",
        ),
        (
            "outreach:",
            "  - source: person.nickname\n    target: firstName\noutreach:",
            (
                "18: attributes[1].target: already taken by attributes[0].target on line 16"
                " (firstName); write each attribute to a field of its own"
            ),
        ),
        # Attributes that cannot be written.
        (
            "target: firstName",
            "target: fristName",
            (
                "16: attributes[0].target: is not a prospect field (fristName);"
                " did you mean firstName?"
            ),
        ),
        (
            "target: firstName",
            "target: zzzzzz",
            "16: attributes[0].target: is not a prospect field (zzzzzz); docs/destination-file.md",
        ),
        (
            "target: firstName",
            "target: custom151",
            "16: attributes[0].target: is not a prospect field (custom151); did you mean custom",
        ),
        (
            "target: firstName",
            "target: name",
            (
                "16: attributes[0].target: is a prospect field that Outreach itself sets (name);"
                " did you mean nickname?"
            ),
        ),
        (
            "target: firstName",
            "target: emails",
            (
                "16: attributes[0].target: cannot be written by this tool: Outreach answers changes"
                " to it by refusing the whole request as a duplicate (emails); leave"
            ),
        ),
        (
            "target: firstName",
            "target: custom4",
            (
                "16: attributes[0].target: belongs to the audience of audiences[0].mapping_id on"
                " line 11 (custom4); write the attribute to another field"
            ),
        ),
        # Keys that there are none of.
        ("name: Enterprise a", "nam: Enterprise a", "1: nam: unknown key; did you mean name?"),
        ("mapping_id: 4", "mappingId: 4", "11: audiences[0].mappingId: unknown key; did you mean "),
        ("requests: 10000", "request: 10000", "6: users[0].budget.request: unknown key; did you"),
        (
            "outreach:",
            "zzz:\noutreach:",
            "17: zzz: unknown key; the keys here are name, description, outreach, users,",
        ),
        ("outreach:", "7: x\noutreach:", "17: 7: unknown key; the keys here are name, description"),
        (
            "type: bearer, ",
            "type: bearer, tokenenv: A, ",
            "4: users[0].auth.tokenenv: unknown key; did you mean token_env?",
        ),
        (
            "realized: In",
            "realised: In",
            "13: audiences[0].values.realised: unknown key; did you mean realized?",
        ),
        # What YAML does not read as text.
        (
            "realized: In",
            "realized: true",
            (
                "13: audiences[0].values.realized: must be text, and YAML reads this as true or"
                " false (true); put it in quotes"
            ),
        ),
        (
            "realized: In",
            "realized: 1.50",
            (
                "13: audiences[0].values.realized: must be text, and YAML reads this as a number"
                " (1.50); put it in quotes"
            ),
        ),
        (
            "segment: aaaa-1111",
            "segment: 5114e758",
            "9: audiences[0].segment: must be text, and YAML reads this as a number (5114e758);",
        ),
        (
            "realized: In",
            "realized: [In]",
            "13: audiences[0].values.realized: must be text, not a list; write one value",
        ),
        (
            "realized: In",
            f"realized: {'x' * 32_001}",
            f"13: audiences[0].values.realized: must have at most 32,000 characters ({'x' * 80}…)",
        ),
        # Shapes.
        ("name: ops", "name: ''", f'3: users[0].name: {ONE_LINE} ("");'),
        ("name: ops", "name: ' ops'", f"3: users[0].name: {ONE_LINE} ( ops);"),
        ("name: ops", 'name: "a\\nb"', f"3: users[0].name: {ONE_LINE} (a␣b);"),
        ("name: ops", 'name: "\\e[31mops"', f"3: users[0].name: {ONE_LINE} (␣[31mops);"),
        (
            "outreach:\n  base_url: https://api.outreach.io",
            "outreach: https://api.outreach.io",
            (
                "17: outreach: must be a group of keys (https://api.outreach.io); indent its keys"
                " below it: base_url"
            ),
        ),
        (
            "  - source: person.name.firstName\n    target: firstName",
            "  source: person.name.firstName\n  target: firstName",
            "14: attributes: must be a list; begin each entry with a dash",
        ),
        (
            "  - source: person.name.firstName\n    target: firstName",
            "  - firstName",
            (
                "15: attributes[0]: must be a group of keys (firstName); indent its keys below it:"
                " source, target"
            ),
        ),
    ],
)
def test_what_is_wrong_is_said_once_with_its_line_its_value_and_a_remedy(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert_refused(tmp_path, edited(old, new), said)


def test_one_segment_may_be_mapped_once_in_each_of_two_namespaces(tmp_path: Path) -> None:
    text = edited("name: Enterprise intent", "namespace: ups").replace(
        AUDIENCE,
        f"{AUDIENCE}  - segment: aaaa-1111\n    namespace: custom\n    mapping_id: 5\n",
    )
    path = tmp_path / "destination.yaml"
    path.write_text(text, encoding="utf-8")
    assert [a.namespace for a in load_destination(str(path)).audiences] == ["ups", "custom"]


def test_everything_wrong_is_said_at_once_from_top_to_bottom(tmp_path: Path) -> None:
    text = (
        GOOD.replace("name: ops", "name: ''")
        .replace("requests: 10000", "requests: ten")
        .replace("mapping_id: 4", "mapping_id: 4\n    mapping_id: 200")
        .replace("target: firstName", "target: custom4")
        .replace("https:", "http:")
    )
    numbers = [int(line.partition(":")[0]) for line in refusals(tmp_path, text)]
    assert numbers == [3, 6, 12, 17, 19]


def test_without_users_or_anything_mapped_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert refusals(tmp_path, "name: Enterprise audiences\n") == [
        "1: nothing is mapped; add audiences, each with segment and mapping_id",
        (
            '1: users: required and missing; add it, for example users: [{"name": "ops", "auth":'
            ' {"type": "bearer", "token_env": "OUTREACH_TOKEN"}}]'
        ),
    ]
    lines = refusals(tmp_path, "name: a\nusers: []\naudiences: [{segment: a, mapping_id: 1}]\n")
    assert lines == ["2: users: must have at least one entry; add a user with name and auth"]

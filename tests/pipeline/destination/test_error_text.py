"""Each thing a destination file is refused for, with its line and what is said."""

from pathlib import Path

import pytest

from pipeline.destination.file import load_destination
from transforms.errors import ConfigurationError

GOOD = """\
name: Enterprise audiences
users:
  - name: ops
    auth: {type: bearer, token_env: OUTREACH_TOKEN}
    budget:
      requests: 10000
      reserve: 500
audiences:
  - segment: aaaa-1111
    name: Enterprise intent
    mapping_id: 4
    values:
      realized: In
attributes:
  - source: person.name.firstName
    target: firstName
outreach:
  base_url: https://api.outreach.io
"""

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"  # gitleaks:allow - of no key


def refusals(folder: Path, text: str) -> list[str]:
    """What is said about `text`, without the file's name before each line's number."""
    path = folder / "destination.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        load_destination(str(path))
    lines = str(refused.value).splitlines()
    assert all(line.startswith(f"{path}:") for line in lines)
    return [line.removeprefix(f"{path}:") for line in lines]


def edited(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


def test_the_file_that_these_tests_spoil_is_good(tmp_path: Path) -> None:
    path = tmp_path / "destination.yaml"
    path.write_text(GOOD, encoding="utf-8")
    assert load_destination(str(path)).name == "Enterprise audiences"


MAPPING_ID = "must be a whole number from 1 to 150"
ONE_LINE = "must be one line, neither empty nor with spaces around it"
AUDIENCE = "values:\n      realized: In\n"
USER = "      reserve: 500\n"


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
        # Numbers.
        (
            "reserve: 500",
            "reserve: 10000",
            (
                "7: users[0].budget.reserve: leaves nothing to spend: the reserve is 10,000 of"
                " 10,000 requests (10000); write a reserve smaller than requests"
            ),
        ),
        (
            "requests: 10000\n      reserve: 500",
            "requests: 500",
            "5: users[0].budget.reserve: leaves nothing to spend: the reserve is 500 of 500",
        ),
        ("requests: 10000", "requests: 0", "6: users[0].budget.requests: must be at least 1 (0);"),
        ("reserve: 500", "reserve: -1", "7: users[0].budget.reserve: must be at least 0 (-1);"),
        (
            "reserve: 500",
            "reserve: '500'",
            "7: users[0].budget.reserve: must be a whole number (500);",
        ),
        (
            "reserve: 500",
            "per_seconds: 0",
            "7: users[0].budget.per_seconds: must be more than 0 (0); for example per_seconds:",
        ),
        (
            "reserve: 500",
            "per_seconds: .nan",
            "7: users[0].budget.per_seconds: must be a number (.nan)",
        ),
        (
            "outreach:",
            "delivery: {in_flight: 2.5}\noutreach:",
            "17: delivery.in_flight: must be a whole number (2.5); for example in_flight: 16",
        ),
        (
            "outreach:",
            "delivery: {hold_seconds: 90000}\noutreach:",
            "17: delivery.hold_seconds: must be at most 86,400 (90000)",
        ),
        # Lanes that could send nothing.
        (
            "outreach:",
            "delivery: {lanes: 0}\noutreach:",
            "17: delivery.lanes: must be at least 1 (0); for example lanes: 4",
        ),
        (
            "outreach:",
            "delivery: {lanes: 17}\noutreach:",
            (
                "17: delivery.lanes: leaves a lane without a request under way: in_flight is 16"
                " (17); write no more lanes than in_flight"
            ),
        ),
        (
            "reserve: 500",
            "reserve: 9993\ndelivery: {lanes: 8}",
            (
                "8: delivery.lanes: leaves a lane without a request: the budget of users[0] on line"
                " 3 has 7 (8); write fewer lanes"
            ),
        ),
        (
            "outreach:",
            "guard: {max_exit_percent: 101}\noutreach:",
            "17: guard.max_exit_percent: must be at most 100 (101)",
        ),
        # Credentials and addresses.
        (
            "type: bearer",
            "type: baerer",
            "4: users[0].auth.type: unknown type of credential (baerer); did you mean bearer?",
        ),
        (
            "type: bearer",
            "type: saml",
            "4: users[0].auth.type: unknown type of credential (saml); the types here are bearer,",
        ),
        (
            "{type: bearer, token_env: OUTREACH_TOKEN}",
            "{token_env: OUTREACH_TOKEN}",
            "4: users[0].auth: has no type; add type: bearer, type: oauth or type: s2s",
        ),
        (
            "token_env: OUTREACH_TOKEN",
            "token_env: OUTREACH_TOKEN, token_file: t",
            (
                "4: users[0].auth.token_file: users[0].auth.token_env on line 4 is in its place;"
                " write one of the two"
            ),
        ),
        (
            "token_env: OUTREACH_TOKEN",
            "token_file: projects/p/secrets/t/versions/3",
            (
                "4: users[0].auth.token_file: must be projects/PROJECT/secrets/SECRET, as Google"
                " Secret Manager names secrets (value hidden); the latest version is read;"
            ),
        ),
        (
            "{type: bearer, token_env: OUTREACH_TOKEN}",
            "{type: oauth, client_id: a, token_store: t.json}",
            (
                "4: users[0].auth.client_secret_env: required and missing; add it, for example"
                " client_secret_env: OUTREACH_CLIENT_SECRET"
            ),
        ),
        (
            "type: bearer, token_env: OUTREACH_TOKEN",
            "type: oauth, client_id: a, client_secret_env: S",
            (
                "4: users[0].auth.token_store: required and missing; add it, for example"
                " token_store: ops-token.json"
            ),
        ),
        (
            "https://api",
            "http://api",
            "18: outreach.base_url: must be encrypted (http://api.outreach.io); write https://;",
        ),
        (
            "https://api.outreach.io",
            "http://localhost.example.com",
            "18: outreach.base_url: must be encrypted (http://localhost.example.com)",
        ),
        ("https://api", "api", "18: outreach.base_url: must be a web address (api.outreach.io);"),
        (
            "https://api.outreach.io",
            "https://api.outreach.io:port",
            "18: outreach.base_url: must be a web address (https://api.outreach.io:port)",
        ),
        (
            "https://api.outreach.io",
            "https://api.outreach.io/?a=b",
            "18: outreach.base_url: must be the start of an address (https://api.outreach.io…);",
        ),
        (
            "outreach:",
            "alerts: {webhook: http://hooks.example.com/T0/hush}\noutreach:",
            "17: alerts.webhook: must be encrypted (http://hooks.example.com…); write https://",
        ),
    ],
)
def test_what_is_wrong_is_said_once_with_its_line_its_value_and_a_remedy(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    lines = refusals(tmp_path, edited(old, new))
    assert [line for line in lines if line.startswith(said)], lines
    # Where a key is misspelled, the right one is missing too.
    others = [line for line in lines if not line.startswith(said)]
    assert all("required and missing" in line for line in others), lines


def test_one_segment_may_be_mapped_once_in_each_of_two_namespaces(tmp_path: Path) -> None:
    text = edited("name: Enterprise intent", "namespace: ups").replace(
        AUDIENCE,
        f"{AUDIENCE}  - segment: aaaa-1111\n    namespace: custom\n    mapping_id: 5\n",
    )
    path = tmp_path / "destination.yaml"
    path.write_text(text, encoding="utf-8")
    assert [a.namespace for a in load_destination(str(path)).audiences] == ["ups", "custom"]


def test_two_users_may_not_keep_their_tokens_in_one_file(tmp_path: Path) -> None:
    oauth = "{type: oauth, client_id: a, client_secret_env: S, token_store: ops.json}"
    text = edited("{type: bearer, token_env: OUTREACH_TOKEN}", oauth)
    text = text.replace(USER, f"{USER}  - name: second\n    auth: {oauth}\n")
    assert refusals(tmp_path, text) == [
        (
            "9: users[1].auth.token_store: already taken by users[0].auth.token_store on line 4"
            " (ops.json); give each user a file of its own"
        )
    ]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("token_env: OUTREACH_TOKEN", "token: s3cr3t-t0ken", 4),
        ("token_env: OUTREACH_TOKEN", f"token_env: {JWT}", 4),
        ("token_env: OUTREACH_TOKEN", f"{JWT}: x", 4),
        ("token_env: OUTREACH_TOKEN", "token_env: s3cr3t-t0ken", 4),
        ("token_env: OUTREACH_TOKEN", "token_env: s3cr3tAs3cr3tBs3cr3tCs3cr3t", 4),
        ("token_env: OUTREACH_TOKEN", f"token_env: s3cr3t_A{'s3cr3t' * 6}", 4),
        ("token_env: OUTREACH_TOKEN", "token_file: s3cr3tAs3cr3t-Bs3cr3tCs3cr3t", 4),
        ("token_env: OUTREACH_TOKEN", "token_env: OUTREACH_TOKEN, clientSecret: s3cr3t", 4),
        ("token_env: OUTREACH_TOKEN", "token_env: OUTREACH_TOKEN, password: {is: s3cr3t}", 4),
        ("{type: bearer, token_env: OUTREACH_TOKEN}", "s3cr3t-t0ken", 4),
        ("{type: bearer, token_env: OUTREACH_TOKEN}", JWT, 4),
        ("type: bearer", f"type: {JWT}", 4),
        ("name: ops", f"name: {JWT}", 3),
        ("name: ops", "name: Bearer s3cr3tAs3cr3tBs3cr3t", 3),
        ("type: bearer", "access_token: s3cr3t, type: bearer", 4),
        ("      reserve: 500", "    private_key: |\n      -----BEGIN KEY\n      s3cr3t", 7),
        ("https://api.outreach.io", "https://ops:s3cr3t@api.outreach.io", 18),
        ("https://api.outreach.io", "https://s3cr3t@api.outreach.io", 18),
        ("https://api.outreach.io", "https:/ops:s3cr3t@api.outreach.io", 18),
        ("https://api.outreach.io", "http://api.outreach.io/?token=s3cr3t", 18),
        ("outreach:", "alerts: {webhook: 'http://hooks.example.com/s3cr3t'}\noutreach:", 17),
    ],
)
def test_a_secret_in_the_file_is_refused_and_never_repeated(
    tmp_path: Path, old: str, new: str, line: int
) -> None:
    lines = refusals(tmp_path, edited(old, new))
    assert [said for said in lines if said.startswith(f"{line}: ")], lines
    assert not [said for said in lines if "s3cr3t" in said.lower() or JWT[:12] in said], lines


@pytest.mark.parametrize(
    "name",
    [
        "T",
        "_t0",
        "OUTREACHPRODUCTIONACCESSTOKEN",
        "MyCompany_Outreach_Token_2",
        "OUTREACH_TOKEN_OF_THE_OPERATIONS_USER_IN_EU_1",
    ],
)
def test_the_name_of_a_variable_is_not_taken_for_a_secret(tmp_path: Path, name: str) -> None:
    path = tmp_path / "destination.yaml"
    path.write_text(edited("OUTREACH_TOKEN", name), encoding="utf-8")
    assert load_destination(str(path)).secrets({name: "s"})


def test_a_key_that_asks_for_a_secret_is_answered_with_where_to_put_it(tmp_path: Path) -> None:
    lines = refusals(tmp_path, edited("type: bearer, ", "type: bearer, token: abc, "))
    assert lines == [
        (
            "4: users[0].auth.token: a secret must not stand in this file (value hidden); withdraw"
            " it if the file was shared, and name an environment variable instead: token_env or"
            " client_secret_env"
        )
    ]


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

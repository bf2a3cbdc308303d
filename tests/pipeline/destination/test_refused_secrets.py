"""A secret in the file is refused and never repeated, and it is said where to put it."""

from pathlib import Path

import pytest

from pipeline.destination.file import load_destination
from tests.pipeline.destination.refusing import JWT, edited, refusals


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

"""`make lint` asks after vulnerabilities: a finding fails it, the lack of a network does not."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from importlib.util import find_spec

import pytest
from aiohttp import web

from tests.support.processes.program import ROOT
from tests.support.servers.wire import serving

pytestmark = pytest.mark.real

AUDIT = ROOT / ".ci" / "audit"

if find_spec("pip_audit") is None and not os.environ.get("REQUIRE_REAL"):
    pytest.skip("pip-audit is not installed", allow_module_level=True)


def audit(url: str) -> tuple[int, str]:
    """Asks a service that speaks as osv.dev does."""
    ended = subprocess.run(
        [sys.executable, AUDIT, "--vulnerability-service=osv", f"--osv-url={url}"],
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stderr


async def knows_of_nothing(_: web.Request) -> web.Response:
    return web.json_response({})


async def knows_of_aiohttp(request: web.Request) -> web.Response:
    name = (await request.json())["package"]["name"]
    if name != "aiohttp":
        return web.json_response({})
    ends = [{"introduced": "0"}, {"fixed": "99.1"}]
    affected = {
        "package": {"name": name, "ecosystem": "PyPI"},
        "ranges": [{"type": "ECOSYSTEM", "events": ends}],
    }
    known = {"id": "PYSEC-2026-1", "details": "It answers back.", "affected": [affected]}
    return web.json_response({"vulns": [known]})


async def is_unwell(_: web.Request) -> web.Response:
    return web.Response(status=503)


def test_a_finding_fails_and_is_named() -> None:
    with serving(knows_of_aiohttp) as url:
        status, said = audit(url)
    assert status == 1
    assert "aiohttp" in said
    assert "PYSEC-2026-1, mended in 99.1" in said


def test_no_finding_is_said_with_how_many_were_asked_after() -> None:
    with serving(knows_of_nothing) as url:
        status, said = audit(url)
    assert status == 0
    assert "packages, none known to be vulnerable" in said


def test_a_service_that_cannot_be_reached_is_said_and_does_not_fail() -> None:
    status, said = audit("http://127.0.0.1:1")
    assert status == 0
    assert "skipped, since the vulnerability service cannot be reached" in said
    assert "127.0.0.1" in said


def test_a_service_that_is_unwell_is_said_and_does_not_fail() -> None:
    with serving(is_unwell) as url:
        status, said = audit(url)
    assert status == 0
    assert "503" in said


def test_an_index_that_knows_no_package_is_no_good_news() -> None:
    judge = runpy.run_path(str(AUDIT))["judge"]
    unknown = [{"name": name, "skip_reason": f"{name} not found"} for name in ("aiohttp", "yarl")]
    status, said = judge(json.dumps({"dependencies": unknown}), "")
    assert status == 0
    assert "skipped, since the service knows none of 2 packages: aiohttp not found" in said


def test_an_audit_that_breaks_fails() -> None:
    judge = runpy.run_path(str(AUDIT))["judge"]
    assert judge("", "python: No module named pip_audit\n") == (
        1,
        "pip-audit failed: python: No module named pip_audit",
    )

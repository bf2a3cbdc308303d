"""What is posted to a door, and by whom."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from tests.support.in_process.door import SECRETS, Answer, OpenDoor, post

BEARER = {"Authorization": "Bearer aep-token"}
FLAT = {"outreach_id": 1, "segment": "vip", "status": "realized"}


def basic(username: str, password: str) -> dict[str, str]:
    return {
        "Authorization": f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"
    }


def to_aep(door: OpenDoor, body: Any, **headers: str) -> Answer:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return post(f"{door.url}/changes/aep", body, {**BEARER, **named})


def signed(body: bytes, secret: str = SECRETS["SEGMENT_SECRET"]) -> dict[str, str]:
    return {"X-Signature": hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()}


BODY = json.dumps(FLAT).encode()

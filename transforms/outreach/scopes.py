"""What a token is allowed, as far as it says so.

Outreach's scopes do not include one another (its API documentation): ``prospects.write``
does not imply ``prospects.read``. Only ``prospects.all`` is all of a kind.
"""

from __future__ import annotations

from collections.abc import Collection

import orjson


def read_scopes(tokens: bytes) -> frozenset[str] | None:
    """The scopes in a token endpoint's answer; None where it does not say.

    Args:
      tokens: the answer as it came, and as a token store keeps it.
    """
    try:
        scope = orjson.loads(tokens).get("scope")
    except (ValueError, AttributeError):
        return None
    return frozenset(scope.split()) if isinstance(scope, str) and scope.strip() else None


def allows(granted: Collection[str], scope: str) -> bool:
    """Whether the granted scopes have one such as ``prospects.write`` among them."""
    return scope in granted or f"{scope.partition('.')[0]}.all" in granted

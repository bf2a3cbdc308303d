"""How what waits for its account spelled the account's name, so that it can be asked for by it."""

from __future__ import annotations

from typing import Final

SQL: Final = """
ALTER TABLE unresolved ADD COLUMN spelling TEXT NOT NULL DEFAULT '';
"""

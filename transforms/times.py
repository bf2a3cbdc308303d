"""Instants, between the spellings people send and microseconds since the epoch.

Both functions run once for each change of a million, so the common spelling takes the
shortest way and the rare ones pay for themselves.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

from transforms.text import shown

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_WITHOUT_ZONE: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - to subtract from its like
_DAY: Final = 86_400
_MILLION: Final = 1_000_000

_SECONDS_BELOW: Final = 10**10
_MILLIS_BELOW: Final = 10**13
_MICROS_BELOW: Final = 10**16
"""Each number below has one reading, because nothing after 2286 is believed.

As seconds, 10**10 is 2286-11-20; as milliseconds it is 1970-04-26, before any
change this tool can meet.
"""

_NUMBER: Final = re.compile(r"([0-9]{1,16})(?:\.([0-9]{1,9}))?", re.ASCII)
_SCIENTIFIC: Final = re.compile(r"[0-9](?:\.[0-9]{1,16})?[eE]\+?[0-9]{1,2}", re.ASCII)
"""As BigQuery's REST answers write seconds: ``1.767323045E9``."""
_ZONE_APART: Final = re.compile(
    r"([0-9-]{10}[T ][0-9:.]{8,20}) (UTC|Z|[+-][0-9]{2}:?[0-9]{2})", re.IGNORECASE
)
"""As BigQuery's exports and Snowflake write it: ``2026-01-02 03:04:05.000 UTC``."""
_LEAP_SECOND: Final = re.compile(r"(.{10}.[0-9]{2}:[0-9]{2}):60(.*)", re.DOTALL)

_MINUTES: Final = tuple(f"{m // 60:02}:{m % 60:02}:" for m in range(1440))
_SECONDS: Final = tuple(f"{s:02}" for s in range(60))
_THOUSAND: Final = tuple(f"{n:03}" for n in range(1000))


def parse_time(value: object) -> int:
    """Reads an instant.

    Args:
      value: an RFC 3339 date-time (``Z`` or an offset, with or without its colon; a
        blank or a lower-case ``t`` for the ``T``; any number of decimals, those beyond
        the microsecond cut off), or a number of seconds, milliseconds or microseconds
        since the epoch, told apart by their size, as a number or a string of digits (also
        ``1.767323045E9``). A zone may stand apart, as ``UTC``, ``Z`` or an offset.
        A date-time without a zone is taken as UTC.

    Returns:
      Microseconds since the epoch, UTC.

    Raises:
      ValueError: it is anything else, or lies before 1970 or after 2286-11-20, where
        it would outlive every later change.
    """
    if type(value) is str:
        try:
            instant = datetime.fromisoformat(value)
            # `fromisoformat` lets any character stand between date and time, and reads
            # `20260102` as a date, where here it is a count of seconds.
            if value[10] in "T t" and value[7] == "-":
                since = instant - (_EPOCH_WITHOUT_ZONE if instant.tzinfo is None else _EPOCH)
                micros = (since.days * _DAY + since.seconds) * _MILLION + since.microseconds
                if 0 <= micros < _MICROS_BELOW:
                    return micros
        except (ValueError, IndexError):
            pass
        return _parse_unusual(value)
    if type(value) is int:
        return _scale(value)
    if type(value) is float:
        if 0 <= value < _MICROS_BELOW:  # false for NaN too
            return round(value * _unit(value))
        raise _refusal(value)
    raise _refusal(value)


def format_time(micros: int) -> str:
    """Writes an instant as RFC 3339 in UTC, with no more decimals than it has.

    Args:
      micros: microseconds since the epoch, from the year 1 to 9999.

    Returns:
      Such as ``2026-01-02T03:04:05Z``, with three or six decimals where they say
      something. `parse_time` gives the same number back.

    Raises:
      OverflowError: the year is not one of 1 to 9999.
    """
    seconds, fraction = divmod(micros, _MILLION)
    day, second = divmod(seconds, _DAY)
    whole = f"{_date(day)}{_MINUTES[second // 60]}{_SECONDS[second % 60]}"
    if not fraction:
        return whole + "Z"
    millis, micros = divmod(fraction, 1000)
    if not micros:
        return f"{whole}.{_THOUSAND[millis]}Z"
    return f"{whole}.{_THOUSAND[millis]}{_THOUSAND[micros]}Z"


@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    return f"{date(1970, 1, 1) + timedelta(days=day)}T"


def _parse_unusual(value: str) -> int:
    number = _NUMBER.fullmatch(value)
    if number is not None:
        whole, decimals = number.groups()
        micros = _scale(int(whole))
        if decimals:
            unit = _unit(int(whole))
            micros += int(decimals) * unit // 10 ** len(decimals)
        return micros
    scientific = _SCIENTIFIC.fullmatch(value)
    if scientific is not None:
        return parse_time(f"{Decimal(value):f}")
    zoned = _ZONE_APART.fullmatch(value)
    if zoned is not None:
        return parse_time(f"{zoned[1]}{'Z' if zoned[2].upper() in ('UTC', 'Z') else zoned[2]}")
    if value[-1:] == "z":
        return parse_time(value[:-1] + "Z")
    leap = _LEAP_SECOND.fullmatch(value)
    if leap is not None:
        # RFC 3339 has a 61st second; POSIX time counts it as the next minute's first.
        return parse_time(f"{leap[1]}:59{leap[2]}") + _MILLION
    raise _refusal(value)


def _scale(number: int) -> int:
    if 0 <= number < _MICROS_BELOW:
        return number * _unit(number)
    raise _refusal(number)


def _unit(number: float) -> int:
    if number < _SECONDS_BELOW:
        return _MILLION
    return 1000 if number < _MILLIS_BELOW else 1


def _refusal(value: object) -> ValueError:
    return ValueError(
        f"{shown(value)} is not a time between 1970 and 2286; write RFC 3339, such as "
        "2026-01-02T03:04:05Z, or seconds or milliseconds since the epoch"
    )

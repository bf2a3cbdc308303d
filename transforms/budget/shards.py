"""Lanes: one user's queue and budget over several keys, where one key has too much to hold.

Every prospect goes by one lane, so its requests keep their order; every lane owns a share of
what the user may spend, and all shares together are the whole, to the request. Nothing passes
between lanes, so that a runner may serve them on as many machines.
"""

from __future__ import annotations

from hashlib import blake2b


def share(whole: int, lane: int, lanes: int) -> int:
    """What one of some lanes has of a whole number; all of them together have all of it."""
    return whole // lanes + (lane < whole % lanes)


def share_left(left: int, lane: int, lanes: int) -> int:
    """How much of what the server says is left one lane may take before it hears again.

    Of all lanes that hear the same, none counts on another's share. But where something is
    left, one request is anybody's: else the last few would be nobody's, though they may well
    be those that this lane has yet to spend. Where fewer are left than there are lanes, and
    not even these are ours, up to `lanes` - 1 requests meet a 429.
    """
    return left if left < 1 else max(1, share(left, lane, lanes))


def lane_of(outreach_id: int, lanes: int) -> int:
    """The one lane by which a prospect goes, from 0: the same in every run, on every machine.

    It has nothing to do with the user that the prospect goes by, so every user's lanes are
    equally long.
    """
    if lanes == 1:
        return 0
    digest = blake2b(str(outreach_id).encode(), digest_size=8, person=b"lane").digest()
    return int.from_bytes(digest) % lanes


def key_of(user: str, lane: int, lanes: int) -> str:
    """What a lane's state is kept under; a single lane's is the user's name.

    The number of lanes is in it: where that is changed, no lane takes another's state for
    its own, of which half may be of prospects that go by other lanes now.
    """
    return user if lanes == 1 else f"{user} {lane + 1}/{lanes}"

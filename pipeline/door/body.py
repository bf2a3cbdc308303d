"""A request's body, as it was sent and unpacked, never more of either than is allowed."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from typing import Final

_WINDOWS: Final = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": 0}
_ZLIB: Final = zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS


class TooLargeError(Exception):
    """A body is larger than is allowed, as it was sent or unpacked."""


class BadEncodingError(Exception):
    """A body is not encoded as its header says."""


class UnknownEncodingError(Exception):
    """A body is encoded in a way that is not read here."""


async def read_limited(chunks: AsyncIterator[bytes], most: int) -> bytes:
    """All of a body.

    Args:
      chunks: as they come.
      most: bytes.

    Raises:
      TooLargeError: it has more.
    """
    pieces: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise TooLargeError
        pieces.append(chunk)
    return b"".join(pieces)


def unpack(body: bytes, encoding: str, most: int) -> bytes:
    """A body without its encoding, of which no more is unpacked than is allowed.

    Args:
      body: as it was sent.
      encoding: the header Content-Encoding; empty for none.
      most: bytes that it may have.

    Raises:
      TooLargeError: it has more.
      BadEncodingError: it is not so encoded, or is cut short.
      UnknownEncodingError: that is neither gzip nor deflate.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in _WINDOWS:
        raise UnknownEncodingError
    windows = (_WINDOWS[encoding],) if _WINDOWS[encoding] else (_ZLIB, _RAW)
    for window in windows:
        try:
            return _inflate(body, window, most)
        except zlib.error:
            continue  # What is called deflate is sent with the header of zlib or without.
    raise BadEncodingError


def _inflate(body: bytes, window: int, most: int) -> bytes:
    pieces: list[bytes] = []
    left = most
    while body:
        inflater = zlib.decompressobj(window)
        piece = inflater.decompress(body, left + 1)
        left -= len(piece)
        if left < 0:
            raise TooLargeError
        if not inflater.eof:
            raise zlib.error
        pieces.append(piece)
        # Gzip may have several members; what follows deflate is no part of it.
        body = inflater.unused_data if window > _ZLIB else b""
    return b"".join(pieces)

"""By what records name a prospect or an account, and when two of these mean the same.

A *key* is text that stands for one name in the directory and while changes wait: an e-mail
address, a domain or a name, folded. Those of a name begin with ``name:``, which no domain has in
it, so that neither is found as the other. Plain functions without Beam or I/O.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol

Match = Literal["outreach_id", "email", "external_id", "domain", "name"]
BY_ID: Final = "outreach_id"
BY_EMAIL: Final = "email"
BY_EXTERNAL_ID: Final = "external_id"
BY_DOMAIN: Final = "domain"
BY_NAME: Final = "name"

LONGEST_DOMAIN: Final = 255
"""Characters that an account's domain may have, by Outreach's API description."""
LONGEST_NAME: Final = 255
"""The same of its name."""

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*://")
_HOST: Final = re.compile(r"[^\s@:,;/]+(?:\.[^\s@:,;/.]+)+")
_WWW: Final = "www."


def folded(address: str) -> str:
    """An e-mail address for comparing: capitals and the blanks around it make no difference."""
    return address.strip().casefold()


def folded_domain(text: str) -> str:
    """A domain for comparing; empty where it is none.

    Neither capitals nor the blanks around it make a difference, nor what an address has besides: a
    scheme, ``www.``, a port, a path, the dot at the end.
    """
    host = _SCHEME.sub("", text.strip().lower(), count=1)
    host = re.split(r"[/?#]", host, maxsplit=1)[0].rstrip(".")
    host = re.sub(r":[0-9]*\Z", "", host).rstrip(".")
    bare = host.removeprefix(_WWW)
    host = bare if "." in bare else host
    return host if len(host) <= LONGEST_DOMAIN and _HOST.fullmatch(host) else ""


def _addressed(domain: str) -> Sequence[str]:
    """A domain as accounts may have it: Outreach's own example is ``www.acme.com``."""
    return domain, f"{_WWW}{domain}"


def _as_it_is(text: str) -> Sequence[str]:
    return (text,)


class NaturalKey(NamedTuple):
    """An attribute by which Outreach finds a record, and by which one is created.

    Attributes:
      match: what ``identity.match`` calls it.
      attribute: what Outreach calls it.
      what: it is, for people.
      fold: makes text comparable; empty where it is no such thing.
      asked: spellings of a key under which Outreach is asked for it.
      prefix: of its keys.
      is_list: whether a record has several.
      is_exact: whether a look-up finds all that have the key. Where it does not, somebody may have
        it in another spelling.
    """

    match: Match
    attribute: str
    what: str
    fold: Callable[[str], str]
    asked: Callable[[str], Sequence[str]] = _as_it_is
    prefix: str = ""
    is_list: bool = False
    is_exact: bool = False

    def key(self, text: str) -> str:
        """The key of a text; empty where it is none."""
        found = self.fold(text)
        return found and self.prefix + found

    def text(self, key: str, spelling: str = "") -> str:
        """What a key stands for, as it was spelled if that is known."""
        return spelling or key.removeprefix(self.prefix)

    def keys_in(self, attributes: Mapping[str, Any]) -> Iterator[str]:
        """The keys that a record has by its attributes."""
        held = attributes.get(self.attribute) or ()
        for each in held if isinstance(held, list) else (held,):
            if isinstance(each, str) and (key := self.key(each)):
                yield key

    def value(self, key: str, spelling: str = "") -> object:
        """The attribute of a record that has a key."""
        text = self.text(key, spelling)
        return [text] if self.is_list else text


EMAIL: Final = NaturalKey(BY_EMAIL, "emails", "e-mail address", folded, is_list=True, is_exact=True)
DOMAIN: Final = NaturalKey(BY_DOMAIN, "domain", "domain", folded_domain, _addressed)
NAME: Final = NaturalKey(BY_NAME, "name", "name", folded, prefix="name:")

PROSPECT_KEYS: Final = (EMAIL,)
ACCOUNT_KEYS: Final = (DOMAIN, NAME)
"""The first goes before the second: an account is named by its name where it has no domain."""


def natural_keys(match: str) -> Sequence[NaturalKey]:
    """The natural keys by which records are matched, the first before the second; or none."""
    for keys in (PROSPECT_KEYS, ACCOUNT_KEYS):
        for place, each in enumerate(keys):
            if each.match == match:
                return keys[place:]
    return ()


def kinds_of(match: str) -> Sequence[str]:
    """By what a record may name whom it is about, the first before the second."""
    return tuple(each.match for each in natural_keys(match)) or (match,)


def kind_of(keys: Sequence[NaturalKey], key: str) -> NaturalKey:
    """Of which kind a key is.

    Args:
      keys: at least one.
      key: of one of them.
    """
    named = (each for each in keys if each.prefix and key.startswith(each.prefix))
    return next(named, keys[0])


class Lookup(Protocol):
    """Finds prospects by what they are known by."""

    def find(self, keys: Sequence[str]) -> Mapping[str, Sequence[int]]:
        """The OutreachIds of each key that any prospect has; keys of none are absent."""


class LookupSource(Protocol):
    """Makes a `Lookup` where it is used; picklable."""

    def open(self) -> Lookup:
        """The look-up, for one worker."""

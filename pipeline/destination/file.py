"""The destination file: which audience goes to which field, by whose requests.

Read strictly and all at once: everything that is wrong with a file is said in one
go, each with its line, the offending value and what to do about it.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, PrivateAttr, SecretStr, ValidationError, field_validator

from pipeline.destination.cross_checks import (
    contradictions,
    secrets_written,
    unset_variables,
)
from pipeline.destination.error_text import RefusalError, problems_of, shown_unless_secret
from pipeline.destination.keys.conditions import Condition
from pipeline.destination.keys.delivery import Delivery
from pipeline.destination.keys.mapping import Attribute, Audience, with_match
from pipeline.destination.keys.records import ColumnNames, Directory, Identity, Reconciliation
from pipeline.destination.keys.sections import (
    Alerts,
    BearerAuth,
    Guard,
    OAuth,
    Outreach,
    S2SAuth,
    Section,
    User,
)
from pipeline.destination.keys.sources import Source
from pipeline.destination.secrets import from_variable_or_file, private_key
from pipeline.destination.types import Line
from pipeline.destination.yaml_reader import Document, Problem, read_yaml, spell
from transforms.errors import ConfigurationError

LARGEST_BYTES: Final = 1_048_576
"""A file larger than this is taken for something else, such as the input."""


class DestinationError(ConfigurationError):
    """A destination file that cannot be used.

    Attributes:
      path: the file, as it was named.
      problems: all that is wrong with it, from its top to its bottom.
    """

    def __init__(self, path: str, problems: Iterable[Problem]) -> None:
        self.path = path
        self.problems = tuple(sorted(dict.fromkeys(problems), key=lambda problem: problem.line))
        super().__init__("\n".join(_line(path, problem) for problem in self.problems))


class Destination(Section):
    """Audiences, the prospect fields they are written to, and the users who write them."""

    name: Line = Field(
        description="What this destination is called.", examples=["Enterprise audiences"]
    )
    description: str = Field(
        "",
        description="Anything that whoever reads this file should know.",
        examples=["Audiences of the enterprise team; ask Dana before changing a field."],
    )
    outreach: Outreach = Field(Outreach(), examples=[{"base_url": "https://api.outreach.io"}])
    users: tuple[User, ...] = Field(
        strict=False,
        description="The Outreach users whose requests are spent; prospects are shared among them.",
        examples=[[{"name": "ops", "auth": {"type": "bearer", "token_env": "OUTREACH_TOKEN"}}]],
        json_schema_extra={"minItems": 1},
    )
    audiences: tuple[Audience, ...] = Field(
        (),
        strict=False,
        description="The audiences and the custom field of each.",
        examples=[[{"segment": "3f0c2d1e-9a47-4c58-8d13-5b6e7f809a1b", "mapping_id": 4}]],
    )
    attributes: tuple[Attribute, ...] = Field(
        (),
        strict=False,
        description="Profile attributes that are copied to prospect fields.",
        examples=[[{"source": "person.name.firstName", "target": "firstName"}]],
    )
    only_if: Condition | None = Field(
        None,
        description="Who is written at all: what must hold of the record's attributes, whatever"
        " the audience.",
        examples=[{"all": [{"source": "person.country", "in": ["US", "CA"]}]}],
    )
    object: Literal["prospect", "account"] = Field(
        "prospect",
        description="What is written: prospects or accounts. One file is for one of them; the ids"
        " in records are theirs.",
        examples=["account"],
    )
    mode: Literal["update", "upsert"] = Field(
        "update",
        description="`upsert` creates who is not in Outreach yet and enters an audience; needs a"
        " ledger, and for prospects `identity.match: email`. Accounts are matched by `domain`.",
        examples=["upsert"],
    )
    identity: Identity = Field(Identity(), examples=[{"namespace": "Oid"}])
    directory: Directory = Field(Directory(), examples=[{"refresh_minutes": 60, "full_days": 7}])
    reconcile: Reconciliation = Field(
        Reconciliation(), examples=[{"every_hours": 24, "alert_percent": 1}]
    )
    columns: ColumnNames = Field(
        ColumnNames(), examples=[{"outreach_id": "Prospect ID", "segment": "Audience"}]
    )
    sources: tuple[Source, ...] = Field(
        (),
        strict=False,
        description="The platforms that may post changes to /changes/NAME.",
        examples=[[{"name": "aep", "auth": {"type": "bearer", "token_env": "AEP_TOKEN"}}]],
    )
    delivery: Delivery = Field(Delivery(), examples=[{"hold_seconds": 5, "in_flight": 16}])
    guard: Guard = Field(Guard(), examples=[{"max_exit_percent": 50, "window_minutes": 60}])
    alerts: Alerts = Field(Alerts(), examples=[{"webhook": "https://hooks.example.com/outreach"}])

    @field_validator("users")
    @classmethod
    def _somebody(cls, users: tuple[User, ...]) -> tuple[User, ...]:
        if not users:
            raise RefusalError("must have at least one entry", "add a user with name and auth")
        return users

    _path: str = PrivateAttr("destination")
    _document: Document = PrivateAttr(Document(None, {}, {}))

    def line(self, *path: str | int) -> int:
        """The line of a key, such as ``line("users", 0, "auth", "token_env")``, from 1."""
        return self._document.line(path)

    def where(self, *path: str | int) -> str:
        """Names a key for a person: ``destination.yaml:9: users[0].auth.token_env``."""
        return f"{self._path}:{self.line(*path)}: {spell(path)}"

    def refusal(self, problems: Iterable[Problem]) -> DestinationError:
        """The error that says these are wrong with this file."""
        return DestinationError(self._path, problems)

    def secrets(self, environ: Mapping[str, str]) -> dict[str, SecretStr]:
        """Each user's secret, by user name: access token, client secret or private key.

        Args:
          environ: the environment variables, such as ``os.environ``.

        Raises:
          ConfigurationError: variables are missing or empty, or files and secrets of
            Secret Manager cannot be read; names them all, with file and line.
        """
        found: dict[str, SecretStr] = {}
        problems: list[Problem] = []
        for n, user in enumerate(self.users):
            match user.auth:
                case BearerAuth(token_env=variable, token_file=file):
                    key, reading = from_variable_or_file("token", variable, file, environ)
                case OAuth(client_secret_env=variable, client_secret_file=file):
                    key, reading = from_variable_or_file("client_secret", variable, file, environ)
                case S2SAuth(private_key_file=file):
                    key, reading = "private_key_file", private_key(file)
            if isinstance(reading, SecretStr):
                found[user.name] = reading
            else:
                path = ("users", n, "auth", key)
                problems.append(Problem(self.line(*path), path, reading))
        if problems:
            raise DestinationError(self._path, problems)
        return found

    def secret_files(self) -> list[str]:
        """The paths and secrets of Secret Manager from which users' secrets and tokens are read."""
        found: list[str | None] = []
        for user in self.users:
            match user.auth:
                case BearerAuth(token_file=file):
                    found.append(file)
                case OAuth(client_secret_file=file, token_store=store):
                    found += [file, store]
                case S2SAuth(private_key_file=file):
                    found.append(file)
        return [file for file in found if file is not None]


def load_destination(path: str, environ: Mapping[str, str] | None = None) -> Destination:
    """Reads a destination file, local or wherever Beam's FileSystems read (``gs://…``).

    Args:
      path: of the file.
      environ: where something is wrong, environment variables that are not set are named with it;
        None where none is needed. Of a file that is right `Destination.secrets` says so.

    Raises:
      ConfigurationError: the file cannot be read or used; one line for each thing that
        is wrong with it, ``file:line: path.to.key: what is wrong (value); what to do``.
    """
    document = read_yaml(_text(path))
    if document.data is None and not document.problems:
        raise DestinationError(path, [Problem(1, (), "is empty; see examples/destination.yaml")])
    if document.data is None:
        raise DestinationError(path, document.problems)
    if not isinstance(document.data, dict):
        text = "is not a destination file; it begins with keys such as name: and users:"
        raise DestinationError(path, [Problem(1, (), text)])
    secret = secrets_written(document)
    hushed = {problem.path for problem in secret}
    problems = [*document.problems, *contradictions(document)]
    try:
        folder = {"folder": _folder(path)}
        destination = Destination.model_validate(with_match(document.data), context=folder)
    except ValidationError as error:
        problems += problems_of(error, Destination, document)
    problems = secret + [p for p in problems if p.path not in hushed]
    if problems:
        said = {problem.path for problem in problems}
        unset = [one for one in unset_variables(document, environ) if one.path not in said]
        raise DestinationError(path, [*problems, *unset])
    destination._path, destination._document = path, document  # noqa: SLF001 - set once, here
    return destination


def destination_schema() -> dict[str, Any]:
    """The JSON Schema of a destination file, for editors that complete and check YAML."""
    schema = Destination.model_json_schema()
    sections = schema["$defs"]
    for section in (schema, *sections.values()):
        for key, its in section["properties"].items():
            # Editors show what stands at the key itself, not what it refers to.
            its.setdefault("title", key.capitalize())
            if "description" not in its:
                its["description"] = sections[its["$ref"].rpartition("/")[2]]["description"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _line(path: str, problem: Problem) -> str:
    key = spell(tuple(shown_unless_secret(p) if isinstance(p, str) else p for p in problem.path))
    return f"{path}:{problem.line}: {key}{': ' if key else ''}{problem.text}"


def _folder(path: str) -> str:
    return path.rpartition("/")[0] if "://" in path else str(Path(path).absolute().parent)


def _text(path: str) -> str:
    content = _remote(path) if "://" in path else _local(path)
    if len(content) > LARGEST_BYTES:
        raise ConfigurationError(f"{path}: is larger than 1 MiB; is it a destination file?")
    has_mark = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\0" in content and not has_mark:
        raise ConfigurationError(f"{path}: {_no_text(content)}")
    try:
        return content.decode("utf-16" if has_mark else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        text = f"is not UTF-8 (byte 0x{content[error.start]:02x}); save it as UTF-8"
        raise DestinationError(path, [Problem(line, (), text)]) from None


def _no_text(content: bytes) -> str:
    """What bytes with zeros among them are."""
    for zeros, letters in ((content[::2], content[1::2]), (content[1::2], content[::2])):
        if zeros.count(0) > len(zeros) / 2 and 0 not in letters:
            return "is UTF-16 without its byte order mark; save it as UTF-8"
    return "is no text; name the destination file, which is YAML, with --destination"


def _local(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path}: there is no such file; name one with --destination"
        ) from None
    except IsADirectoryError:
        raise ConfigurationError(f"{path}: is a directory; name the file in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"{path}: cannot be read ({reason})") from None


def _remote(path: str) -> bytes:
    from apache_beam.io.filesystem import CompressionTypes  # noqa: PLC0415 - slow to import,
    from apache_beam.io.filesystems import FileSystems  # noqa: PLC0415 - rarely needed

    try:
        with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            return file.read(LARGEST_BYTES + 1)
    except Exception as error:  # each filesystem has exceptions of its own
        raise ConfigurationError(f"{path}: cannot be read ({error})") from error

"""Errors, grouped by what the caller does about them.

    ActivationError             all that this tool raises on purpose
     ├─ ConfigurationError      mend the command line or the destination file; nothing was sent
     ├─ CredentialError         mend a user's credential; its work is kept
     ├─ Trouble                 wait and try again; the work is kept
     └─ AccountingError         changes and outcomes disagree: a bug to report, not to ignore

Bad input raises nothing: it becomes a dead letter (`transforms.elements.DeadLetter`).
"""

from __future__ import annotations


class ActivationError(Exception):
    """Anything this tool raises on purpose; its text is fit for a person to read."""


class ConfigurationError(ActivationError):
    """The command line or the destination file is wrong; nothing was sent."""


class CredentialError(ActivationError):
    """An Outreach user cannot be authenticated or lacks a scope.

    Attributes:
      user: the user's name in the destination file.
      remedy: the command or step that mends it.
    """

    def __init__(self, user: str, problem: str, remedy: str) -> None:
        super().__init__(f"user {user!r}: {problem}; {remedy}")
        self.user = user
        self.problem = problem
        self.remedy = remedy


class Trouble(ActivationError):  # noqa: N818 - it passes; an error would have to be mended
    """A request had no answer, or a server is unwell; nothing is wrong with what was asked.

    Attributes:
      sent: whether the request may have reached the server.
    """

    def __init__(self, what: str, *, sent: bool = True) -> None:
        super().__init__(what)
        self.sent = sent


class AccountingError(ActivationError):
    """The changes of a run and their outcomes do not add up."""

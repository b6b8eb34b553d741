"""Errors in domain words. Rooms raise them; each door has one table from error to answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


class DomainError(Exception):
    """Something a person can act on went against the rules. `str(error)` is a plain sentence."""


class NotFound(DomainError):
    """There is no such thing, or the actor may not know that there is."""


class Gone(NotFound):
    """It was there, and went for good. The sentence says when, and why."""


class Conflict(DomainError):
    """Somebody was faster, or the state no longer allows it. The sentence says who and when."""


class NotAllowed(DomainError):
    """The actor's role does not reach this action."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason of a refusal: a stable `code` for machines, a `sentence` for people, and the field it is about."""

    code: str
    sentence: str
    field: str = ""


class Refused(DomainError):
    """A rule or policy says no. Carries every reason, never only the first."""

    def __init__(self, reasons: Iterable[Reason]) -> None:
        self.reasons = tuple(reasons)
        super().__init__(" ".join(reason.sentence for reason in self.reasons))


class Invalid(DomainError):
    """The input is wrong. `fields` maps the name of each field to the sentences about it.

    The empty name is for what concerns no single field.
    """

    def __init__(self, fields: Mapping[str, str | Iterable[str]]) -> None:
        self.fields: dict[str, list[str]] = {
            name: [said] if isinstance(said, str) else list(said) for name, said in fields.items()
        }
        super().__init__(
            " ".join(f"{name}: {line}" if name else line for name, lines in self.fields.items() for line in lines)
        )

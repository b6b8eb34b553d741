"""Who decides a request, in sequence: what a policy version keeps as JSON, as values. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

#: The kinds of approver. `group` needs the reference of a group, `people` those of people.
MANAGER = "manager"
MANAGERS_MANAGER = "managers_manager"
OWNER = "owner"
SECURITY = "security"
GROUP = "group"
PEOPLE = "people"
KINDS = (MANAGER, MANAGERS_MANAGER, OWNER, SECURITY, GROUP, PEOPLE)


@dataclass(frozen=True, slots=True)
class Approvers:
    """Who is asked: a kind, and the reference of the group or those of the people where the kind needs them."""

    kind: str
    group: str = ""
    people: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return what is stored; what is empty is left out."""
        found: dict[str, Any] = {"kind": self.kind}
        if self.group:
            found["group"] = self.group
        if self.people:
            found["people"] = list(self.people)
        return found


#: Who decides when nobody else is said or left.
BY_SECURITY = Approvers(SECURITY)


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: who is asked, how many of them must say yes, and who is asked after how long a silence."""

    asked: Approvers
    quorum: int = 1
    escalates_after: timedelta | None = None
    #: Who is asked too after that silence, and when nobody is left as asked for. None: security.
    fallback: Approvers | None = None
    #: Whether those who kept silent may still answer after it.
    stays: bool = True

    @property
    def kind(self) -> str:
        """Return the kind of approver that is asked."""
        return self.asked.kind

    def as_json(self) -> dict[str, Any]:
        """Return what is stored; what is usual is left out."""
        found = self.asked.as_json()
        if self.quorum != 1:
            found["quorum"] = self.quorum
        if self.escalates_after is not None:
            found["escalates_after_seconds"] = int(self.escalates_after.total_seconds())
        if self.fallback is not None:
            found["fallback"] = self.fallback.as_json()
        if not self.stays:
            found["stays"] = False
        return found


def approvers_of(stored: Mapping[str, Any]) -> Approvers:
    """Return who is asked, from what is stored; security where nothing is."""
    return Approvers(stored.get("kind", SECURITY), stored.get("group", ""), tuple(stored.get("people", ())))


def stage_of(stored: Mapping[str, Any]) -> Stage:
    """Return one stage from what is stored."""
    seconds = stored.get("escalates_after_seconds")
    fallback = stored.get("fallback")
    return Stage(
        asked=approvers_of(stored),
        quorum=stored.get("quorum", 1),
        escalates_after=None if seconds is None else timedelta(seconds=seconds),
        fallback=approvers_of(fallback) if fallback else None,
        stays=stored.get("stays", True),
    )


def as_stages(stages: Iterable[str | Stage]) -> tuple[Stage, ...]:
    """Return stages in which a plain kind stands for one answer of that kind."""
    return tuple(Stage(Approvers(stage)) if isinstance(stage, str) else stage for stage in stages)


def route_of(stored: Sequence[Mapping[str, Any]]) -> tuple[Stage, ...]:
    """Return the stages of a version, in sequence."""
    return tuple(stage_of(one) for one in stored)


def route_for(stages: tuple[Stage, ...], *, first_only: bool = False, adds_security: bool = False) -> tuple[Stage, ...]:
    """Return who decides one request: the stages of its policy, as its verdict shortened them or added to them."""
    kept = stages[:1] if first_only else stages
    return (*kept, Stage(BY_SECURITY)) if adds_security else kept

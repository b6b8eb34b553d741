"""What the decider looks at, and what it says: plain values without tables. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Who:
    """A person, as far as words need it."""

    id: int
    ref: str
    name: str


@dataclass(frozen=True, slots=True)
class What:
    """A role in an application. `owner_ids` are those who answer for the application now."""

    application: str
    application_slug: str
    role: str = ""
    owner_ids: tuple[int, ...] = ()
    #: Those of them who came with what is looked at.
    new_owner_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it stands when the entry is read. `approver_ids` may decide now; empty when it does not wait.

    `tell_ids` are those of them who are told: whoever is away has a deputy.
    """

    number: int
    requester: Who
    person: Who
    what: What
    is_pending: bool
    stage: int = 0
    approver_ids: tuple[int, ...] = ()
    tell_ids: tuple[int, ...] = ()
    #: Who was asked and has not been told that it is over.
    holding_ids: frozenset[int] = frozenset()
    answered_ids: frozenset[int] = frozenset()
    #: Who was asked about it before, and when last.
    asked_at: Mapping[int, datetime] = field(default_factory=dict)
    #: Of the last answer.
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Given:
    """A grant. `number` is of the request that led to it."""

    id: int
    person: Who
    what: What
    cause: str
    ends_at: datetime | None
    requester: Who | None = None
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Exceptions:
    """What a reading of the controls has to tell somebody: how many exceptions they answer for."""

    new: int = 0
    overdue: int = 0
    near: int = 0


@dataclass(frozen=True, slots=True)
class Audit:
    """An audit as it stands when the entry is read. `number` is of the request that it is about, 0 for none.

    `host_ids` answer its requests. `auditor_ids` are its guests while they may look, and who else asks there.
    """

    ref: str
    name: str
    ends_at: datetime
    number: int = 0
    #: Of the request: who has to do something about it.
    waits_for_host: bool = False
    waits_for_auditor: bool = False
    host_ids: tuple[int, ...] = ()
    auditor_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Happening:
    """One ledger entry with what it is about. What the entry does not name, or is gone, is None."""

    event: str
    index: int
    correlation: str
    at: datetime
    data: Mapping[str, object]
    actor: Who | None = None
    person: Who | None = None
    what: What | None = None
    request: Asked | None = None
    grant: Given | None = None
    #: Everybody the entry names as person, in its order.
    named: tuple[Who, ...] = ()
    security_ids: tuple[int, ...] = ()
    #: Who may review the break-glass it is about, now.
    reviewer_ids: tuple[int, ...] = ()
    #: The first reference of each kind of subject.
    refs: Mapping[str, str] = field(default_factory=dict)
    #: Person → what they answer for, after a reading of the controls; and what falls to security.
    exceptions: Mapping[int, Exceptions] = field(default_factory=dict)
    exceptions_of_nobody: Exceptions = Exceptions()
    audit: Audit | None = None
    #: For events that name people in `data` by reference.
    by_ref: Mapping[str, Who] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """One person is told one thing. `about` is what it is settled with."""

    person_id: int
    kind: str
    about: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    #: What it comes from, when that is more than one entry; empty: the entry.
    cause: str = ""

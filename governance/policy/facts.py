"""What a decision is made from, as plain values. `access.facts` reads them from rows; nothing here knows a table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from governance.policy.duties import DutyConflict


@dataclass(frozen=True, slots=True)
class PersonFacts:
    """Who somebody is, as far as decisions look at it."""

    id: int
    name: str
    is_active: bool
    person_type: str = ""
    manager_id: int | None = None
    joined_at: datetime | None = None
    #: When they will leave, as planned.
    leaves_at: datetime | None = None
    #: Where the person is, as the directory says it (Europe/Berlin); empty where it does not.
    time_zone: str = ""


@dataclass(frozen=True, slots=True)
class EntitlementFacts:
    """What is asked for. `risk` is 1 (low) to 4 (critical)."""

    id: int
    name: str
    application_name: str
    risk: int
    is_privileged: bool = False
    is_requestable: bool = True
    is_retired: bool = False
    data_classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StageFacts:
    """One stage of approval and who could decide it now: (person id, name); none where that is not known."""

    kind: str
    approvers: tuple[tuple[int, str], ...] | None
    #: How many of them have to say yes.
    quorum: int = 1


@dataclass(frozen=True, slots=True)
class PolicyFacts:
    """What the policy version says, its conditions already held against the person."""

    version_id: int
    policy_name: str
    may_request: bool
    auto_approves: bool
    default_duration: timedelta
    max_duration: timedelta
    allows_open_end: bool
    purposes: tuple[str, ...]
    requires_ticket: bool
    auto_approve_up_to: timedelta
    stages: tuple[StageFacts, ...]
    auto_denies: bool = False
    ticket_pattern: str = ""
    #: Points of risk from which nothing is approved by policy, security decides too, nothing is granted.
    never_automatic_from: int | None = None
    needs_security_from: int | None = None
    refused_from: int | None = None
    #: Who decides when running access is wanted for longer: full, one, automatic.
    extending: str = "full"
    #: Who could decide for security, where the policy may add it.
    security: tuple[tuple[int, str], ...] | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """What somebody asks for: how long (None: open-ended), from when (None: at once), and why."""

    duration: timedelta | None
    purpose: str
    reason: str
    ticket: str = ""
    starts_at: datetime | None = None
    #: What the ticket system said: "" when none keeps such tickets, good, bad, refused_silent or flagged_silent; and in
    #: words.
    ticket_state: str = ""
    ticket_sentence: str = ""


@dataclass(frozen=True, slots=True)
class HeldFacts:
    """What the person already has or waits for, of the same entitlement."""

    #: Until when it is held; OPEN_END when without end; None when not held.
    until: datetime | None = None
    #: The number of a request for it that still waits.
    waiting_request: int | None = None
    #: Whether the request extends a grant that is held, and how long that lasts from its start to its present end; None
    #: when it has no end, and in what was kept before this was looked at.
    is_extension: bool = False
    lasts: timedelta | None = None
    peers_with_it: int = 0
    peers: int = 0
    denied_lately: int = 0


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """Everything one verdict on a request looks at."""

    requester: PersonFacts
    person: PersonFacts
    entitlement: EntitlementFacts
    policy: PolicyFacts
    ask: Ask
    held: HeldFacts
    now: datetime
    #: The rules about duties that it would break.
    duties: tuple[DutyConflict, ...] = ()
    #: Whether who asks for somebody else answers for the application, or administers security.
    requester_owns_it: bool = False
    requester_is_security: bool = False

"""An organisation with all the histories that go wrong in reports: made from a seed, written set-based, kept as facts.

What is written stays in memory, so that `by_hand` can count it without asking the database. Facts that the ledger has
carry the entry that tells them; what was sealed late, or is not sealed yet, is told apart by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count, pairwise
from random import Random
from typing import Any
from uuid import UUID

import time_machine
from django.db import connection

from governance.access import models as access
from governance.catalog import models as catalog
from governance.core.actor import Actor, ActorKind, Door
from governance.core.clock import OPEN_END
from governance.evidence.periods import Period
from governance.evidence.questions import Question
from governance.identity.models import Person, PersonRevision
from governance.ledger.models import Captured, Entry, Finding
from governance.ledger.notes import Signer
from governance.ledger.recording import Record, Subject, record_many
from governance.ledger.sequencer import seal_everything
from governance.provisioning import models as provisioning

TICK, HOUR, DAY = timedelta(microseconds=1), timedelta(hours=1), timedelta(days=1)
LONG_AGO = datetime(2021, 1, 1, tzinfo=UTC)
#: What was recorded by then is sealed in the first size, but for what came late; the rest in the second.
CUT = datetime(2026, 11, 10, 12, tzinfo=UTC)
END = datetime(2026, 11, 20, 12, tzinfo=UTC)

#: The first and last day of windows whose edges are midnights when clocks change, and others.
WINDOWS = {
    "March in Berlin, which loses an hour": Period(date(2026, 3, 1), date(2026, 3, 31), "Europe/Berlin"),
    "a day of 23 hours": Period(date(2026, 3, 29), date(2026, 3, 29), "Europe/Berlin"),
    "a day of 25 hours": Period(date(2026, 10, 25), date(2026, 10, 25), "Europe/Berlin"),
    "New York in spring": Period(date(2026, 3, 8), date(2026, 3, 8), "America/New_York"),
    "New York in autumn": Period(date(2026, 11, 1), date(2026, 11, 1), "America/New_York"),
    "a day without a midnight": Period(date(2026, 9, 6), date(2026, 9, 6), "America/Santiago"),
    "another without a midnight": Period(date(2023, 10, 1), date(2023, 10, 1), "America/Asuncion"),
    "most of a year": Period(date(2026, 1, 1), date(2026, 11, 9), "UTC"),
    "a window that is not over": Period(date(2026, 11, 1), date(2026, 11, 30), "Asia/Kolkata"),
    "before anything was there": Period(date(2019, 5, 1), date(2019, 5, 31), "UTC"),
}
EDGES = sorted({at for one in WINDOWS.values() if one.first.year > 2020 for at in (one.starts_at, one.ends_at)})

HOSTILE = (
    '=HYPERLINK("http://x","a")', "+49 30", "-2+3", "@SUM(A1)", "\tTab", "\rReturn", 'a,"b"\nsecond line',
    "\u202egnp.exe", "\u0645\u0631\u062d\u0628\u0627", "\u2400 \x01 nul-like", "''", " =1+1", "\uff1d1+1", "\n=1+1",
    "\ufeffmark", "x" * 320, "\U0001f600 \u00e9", ";|\\N\\.", "NULL", "%s %(known_at)s", "{curly}",
)  # fmt: skip
DEPARTMENTS = ("Sales", "Finance", "=Finance", "Engineering", "")
ME = ("person", "service", "system")
VERDICTS: tuple[dict[str, Any], ...] = (
    {}, {}, {"verdict": {"stages": ["owner", "security"], "adds_security": True}}, {"verdict": {"stages": ["owner"]}},
)  # fmt: skip


@dataclass(eq=False)
class Told:
    """An entry of the ledger, and where it stands once it is sealed; `index` stays None while it waits."""

    event: str
    at: datetime
    subjects: tuple[tuple[str, str], ...]
    data: dict[str, Any]
    actor: tuple[str, str]
    door: str
    correlation: str
    batch: int
    index: int | None = None


@dataclass
class Organisation:
    """The facts. Rows are the instances that were written; `told` says which entry a revision came with."""

    seed: int = 29
    people: list[Person] = field(default_factory=list)
    said: list[PersonRevision] = field(default_factory=list)
    applications: list[catalog.Application] = field(default_factory=list)
    roles: list[catalog.Entitlement] = field(default_factory=list)
    owners: list[catalog.ApplicationOwner] = field(default_factory=list)
    versions: list[catalog.AccessPolicyVersion] = field(default_factory=list)
    rule_versions: list[catalog.BirthrightRuleVersion] = field(default_factory=list)
    requests: list[access.AccessRequest] = field(default_factory=list)
    answers: list[access.Approval] = field(default_factory=list)
    grants: list[access.Grant] = field(default_factory=list)
    revisions: list[access.GrantRevision] = field(default_factory=list)
    glasses: list[access.BreakGlass] = field(default_factory=list)
    glass_reviews: list[access.BreakGlassReview] = field(default_factory=list)
    connectors: list[provisioning.Connector] = field(default_factory=list)
    runs: list[provisioning.SyncRun] = field(default_factory=list)
    accounts: list[provisioning.Account] = field(default_factory=list)
    holdings: list[provisioning.Holding] = field(default_factory=list)
    orders: list[provisioning.Operation] = field(default_factory=list)
    duty_versions: list[catalog.SodRuleVersion] = field(default_factory=list)
    duty_members: list[catalog.SodMember] = field(default_factory=list)
    exemptions: list[catalog.SodException] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    #: The sizes of the ledger after each sealing, and when it was.
    heads: list[tuple[int, datetime]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin the numbers just below a power of ten: as text they sort otherwise than as numbers."""
        self.chance = Random(self.seed)
        self._ids = count(99_950)
        self._correlations = count(1)
        self._others: list[tuple[type, list[Any]]] = []
        self._by_rule: set[tuple[int, int, int]] = set()
        self._batch: dict[object, int] = {}
        self._story: dict[int, list[Any]] = {}

    # ---------------------------------------------------------------------------------------------------- telling

    def id(self) -> int:
        return next(self._ids)

    def correlation(self) -> str:
        return f"{next(self._correlations):032x}"

    def tell(
        self, event: str, at: datetime, *subjects: tuple[str, str], batch: int | None = None, correlation: str = "",
        actor: tuple[str, str] = ("system", "test"), door: str = "web", **data: Any,
    ) -> Told:  # fmt: skip
        """Let the ledger tell it: in the batch of its time, or in a later one."""
        told = Told(
            event, at, subjects, data, actor, door, correlation or self.correlation(),
            batch if batch is not None else 0 if at <= CUT else 1,
        )  # fmt: skip
        self.told.append(told)
        return told

    def _batch_of(self, key: object, at: datetime) -> int:
        """Say when it was sealed: rarely late, rarer not yet, and never before what it builds on."""
        slip = self.chance.choices((0, 1, 2), (93, 5, 2))[0]
        usual = 0 if at <= CUT else 1
        self._batch[key] = max(self._batch.get(key, 0), min(2, usual + slip))
        return self._batch[key]

    def instant(self, earliest: datetime = LONG_AGO, latest: datetime = END) -> datetime:
        """Return some instant: often just on, before or behind an edge."""
        near = [
            at + self.chance.choice((-TICK, 0 * TICK, TICK)) for at in EDGES if earliest < at - TICK < latest - TICK
        ]
        if near and self.chance.random() < 0.5:
            return self.chance.choice(near)
        span = int((latest - earliest) / TICK)
        return earliest + self.chance.randrange(max(span, 1)) * TICK

    # -------------------------------------------------------------------------------------------------- the catalog

    def make_catalog(self) -> None:
        policy = catalog.AccessPolicy(id=self.id(), slug="usual", name="Usual", created_at=LONG_AGO)
        owner, twice = {"kind": "owner"}, {"kind": "owner", "quorum": 2}
        stages: tuple[list[dict[str, Any]], ...] = ([owner], [{"kind": "manager"}, owner], [twice, twice], [])
        self._others.append((catalog.AccessPolicy, [policy]))
        self.versions = [
            catalog.AccessPolicyVersion(
                id=self.id(), policy=policy, number=number, effective_at=LONG_AGO, created_at=LONG_AGO,
                created_by_ref="x", stages=each,
            )
            for number, each in enumerate(stages, start=1)
        ]  # fmt: skip
        for number in range(8):
            moved = {4: datetime(2026, 5, 1, tzinfo=UTC), 5: EDGES[2]}.get(number)
            self.applications.append(
                catalog.Application(
                    id=self.id(), slug=f"app-{number}", name=HOSTILE[number][:120], created_at=LONG_AGO,
                    retired_at=moved,
                )
            )  # fmt: skip
            for place in range(3):
                self.roles.append(
                    catalog.Entitlement(
                        id=self.id(), application=self.applications[-1], slug=f"role-{place}",
                        name=HOSTILE[place + number][:120], kind="role", target_ref=f"{number}/{place}",
                        sentence="Does it.", policy=policy, is_privileged=place == 0,
                        data_classes=["phi", "pii"][: (number + place) % 3], created_at=LONG_AGO, retired_at=moved,
                    )
                )  # fmt: skip
        self.applications.append(  # Nobody ever had anything there.
            catalog.Application(id=self.id(), slug="app-empty", name="Empty", created_at=LONG_AGO)
        )
        rule = catalog.BirthrightRule(id=self.id(), slug="all-staff", name="All staff", created_at=LONG_AGO)
        self._others.append((catalog.BirthrightRule, [rule]))
        self.rule_versions = [
            catalog.BirthrightRuleVersion(
                id=self.id(), rule=rule, number=number, effective_at=LONG_AGO, created_at=LONG_AGO,
                created_by_ref="x", condition="true",
            )
            for number in (1, 2, 3)
        ]  # fmt: skip

    # -------------------------------------------------------------------------------------------------- the people

    def person(self, joined_at: datetime) -> Person:
        number = len(self.people)
        name = HOSTILE[number % len(HOSTILE)] if number < 3 * len(HOSTILE) else f"Person {number}"
        person = Person(
            id=self.id(), ref=UUID(int=(number * 7919) % 100_003 + (1 << 100)), user_name=f"p{number}{name}"[:320],
            user_name_key=f"p{number}", display_name=name, source="test", joined_at=joined_at, created_at=joined_at,
            modified_at=joined_at,
        )  # fmt: skip
        self.people.append(person)
        return person

    def revise(self, person: Person, change: str, effective_at: datetime, recorded_at: datetime, **known: Any) -> None:
        """Say something of a person: what is not named stays as it was said last."""
        story = self._story.setdefault(person.id, [])
        last = story[-1] if story else None
        names = ("user_name", "display_name", "department", "title", "person_type")
        fields = {name: getattr(last, name) if last else getattr(person, name) for name in names} | known
        fields["status"] = "left" if change in ("left", "unlisted") else "active"
        correlation = self.correlation()
        told = self.tell(
            f"person.{change}", recorded_at, ("person", str(person.ref)), correlation=correlation,
            batch=self._batch_of(("person", person.id), recorded_at),
        )  # fmt: skip
        made = PersonRevision(
            id=self.id(), person=person, number=len(story) + 1, effective_at=effective_at, recorded_at=recorded_at,
            change=change, actor_ref="scim:test", correlation_id=correlation, **fields,
        )  # fmt: skip
        made.told = told  # type: ignore[attr-defined]
        story.append(made)
        self.said.append(made)
        if fields["status"] == "left":
            person.status, person.left_at = "left", effective_at
        else:
            person.status, person.left_at = "active", None

    def delay(self) -> timedelta:
        """Return how long after it took effect something is written down; sometimes it was announced."""
        return self.chance.choice((0 * HOUR, 0 * HOUR, HOUR, HOUR + TICK, 3 * DAY, 40 * DAY, -2 * DAY))

    def make_people(self) -> None:
        for _ in range(150):
            self.life()
        ready = [one for one in self.people if one.status == "active"]
        for number, application in enumerate(self.applications[:6]):
            for person in [*ready[number : number + 2], self.people[number]]:
                self.owners.append(
                    catalog.ApplicationOwner(id=self.id(), application=application, person=person, since=LONG_AGO)
                )
        self.owners = list({(one.application_id, one.person_id): one for one in self.owners}.values())

    def life(self) -> None:
        """Somebody joins, moves, is renamed, leaves, comes back, leaves again: in the order it was written down."""
        joined = self.instant(latest=CUT)
        person = self.person(joined)
        at = max(joined + self.delay(), LONG_AGO)
        self.revise(person, "joined", joined, at, department=self.chance.choice(DEPARTMENTS), person_type="Employee")
        for _ in range(self.chance.randrange(6)):
            at = self.instant(at + TICK, END)
            back_dated = at - self.chance.choice((0 * HOUR, 0 * HOUR, 2 * HOUR, 30 * DAY, 300 * DAY))
            effective = max(back_dated, LONG_AGO)
            if person.status == "left":
                change = self.chance.choice(("rejoined", "rejoined", "left", "unlisted"))
                self.revise(person, change, effective, at)
            elif self.chance.random() < 0.4:
                self.revise(person, "left", effective, at)
            else:
                self.revise(person, "updated", effective, at, **self.chance.choice(self._moves()))

    def _moves(self) -> list[dict[str, str]]:
        return [
            {"department": self.chance.choice(DEPARTMENTS)},
            {"title": self.chance.choice(("", "-Lead", "Analyst"))},
            {"person_type": self.chance.choice(("Employee", "Contractor"))},
            {"display_name": self.chance.choice(HOSTILE)},
        ]

    # -------------------------------------------------------------------------------------------------- who has what

    def make_access(self) -> None:
        for number in range(450):
            person = self.people[number % 140]  # The last ones never had anything.
            role = self.chance.choice(self.roles)
            starts_at = self.instant()
            ends_at = self.chance.choice((OPEN_END, self.instant(starts_at), starts_at + 4 * HOUR))
            self.give(person, role, starts_at, ends_at)
        for leaving in [one for one in self.said if one.change == "left"]:
            role = self.chance.choice(self.roles)
            began = max(leaving.effective_at - 90 * DAY, LONG_AGO)
            grant = self.give(leaving.person, role, began, OPEN_END, causes=("manual",), plain=True)
            if self.chance.random() < 0.7:  # Else it is never removed.
                ends_at = max(leaving.effective_at, began)
                at = max(leaving.recorded_at, ends_at, grant.created_at + TICK)
                self.change(grant, "left", at, ends_at)
                self.remove(leaving.person, role, at)

    def give(
        self, person: Person, role: catalog.Entitlement, starts_at: datetime, ends_at: datetime, *,
        causes: Sequence[str] = ("birthright", "request", "request", "request", "manual", "imported", "break_glass"),
        plain: bool = False,
    ) -> access.Grant:  # fmt: skip
        cause = self.chance.choice(causes)
        rule = self.chance.choice(self.rule_versions) if cause == "birthright" else None
        if rule and (person.id, role.id, rule.id) in self._by_rule:
            cause, rule = "manual", None
        if rule:
            self._by_rule.add((person.id, role.id, rule.id))
        request = None
        if cause == "request":
            request = self.ask(person, role, starts_at)
        at = starts_at + self.chance.choice((0 * HOUR, HOUR, HOUR + TICK, -DAY, 20 * DAY))
        grant = access.Grant(
            id=self.id(), person=person, entitlement=role, application=role.application, cause=cause,
            starts_at=starts_at, ends_at=ends_at, request=request, rule_version=rule, created_at=at,
            correlation_id=self.correlation(), revision=0,
        )  # fmt: skip
        self.grants.append(grant)
        self.change(grant, "started", at, ends_at)
        if cause == "request" and self.chance.random() < 0.5:
            self._give_by_hand(grant)
        if cause == "break_glass":
            self._glass(grant)
        if not plain:
            self._go_on(grant, at)
        return grant

    def change(self, grant: access.Grant, change: str, at: datetime, ends_at: datetime) -> None:
        correlation = self.correlation()
        event = change if change in ("started", "extended", "shortened") else "ended"
        told = self.tell(
            f"grant.{event}", at, ("grant", str(grant.id)), ("person", str(grant.person.ref)), correlation=correlation,
            batch=self._batch_of(("grant", grant.id), at), cause=grant.cause,
            starts_at=grant.starts_at.isoformat(), ends_at=None if ends_at == OPEN_END else ends_at.isoformat(),
        )  # fmt: skip
        grant.revision += 1
        grant.ends_at = ends_at
        made = access.GrantRevision(
            id=self.id(), grant=grant, number=grant.revision, starts_at=grant.starts_at, ends_at=ends_at,
            recorded_at=at, change=change, actor_kind=self.chance.choice(ME), actor_ref="somebody",
            correlation_id=correlation,
        )  # fmt: skip
        made.told = told  # type: ignore[attr-defined]
        self.revisions.append(made)

    def _go_on(self, grant: access.Grant, at: datetime) -> None:
        """Let it be extended, shortened, ended, ended in the past, or be called off before it begins."""
        for _ in range(self.chance.randrange(4)):
            last = at
            at = self.instant(last + TICK, END + DAY)
            what = self.chance.choice(("extended", "shortened", "ended", "ended", "back-dated", "called off"))
            if what == "extended" and grant.ends_at < OPEN_END:
                later = grant.ends_at + self.chance.choice((HOUR, 10 * DAY))
                if self.chance.random() < 0.7:
                    asked = max(at - HOUR, last + TICK)
                    self.ask(grant.person, grant.entitlement, asked, extends=grant)
                self.change(grant, "extended", at, later)
            elif what == "shortened" and at < grant.ends_at:
                self.change(grant, "shortened", at, max(at, grant.starts_at))
            elif what == "called off" and at < grant.starts_at:
                self.change(grant, "revoked", at, grant.starts_at)
                return
            elif grant.starts_at <= at <= grant.ends_at:
                ends_at = max(grant.starts_at, at - 3 * DAY) if what == "back-dated" else at
                self.change(grant, self.chance.choice(("returned", "revoked", "rule", "retired")), at, ends_at)
                break
        if grant.ends_at <= END:
            self.remove(grant.person, grant.entitlement, grant.ends_at)

    def ask(
        self, person: Person, role: catalog.Entitlement, at: datetime, *, extends: access.Grant | None = None
    ) -> access.AccessRequest:
        requester = self.chance.choice((person, person, self.chance.choice(self.people)))
        version = self.chance.choice(self.versions)
        asked_at = at - self.chance.choice((HOUR, DAY))
        request = access.AccessRequest(
            id=self.id(), number=self.id(), requester=requester, person=person, entitlement=role, extends=extends,
            purpose=self.chance.choice(HOSTILE)[:80], reason="Needed.", ticket=self.chance.choice(("", "=T-1", "T-2")),
            policy_version=version,
            verdict=self.chance.choice(VERDICTS),
            state="approved", created_at=asked_at, lapses_at=asked_at + 14 * DAY, closed_at=at,
            correlation_id=self.correlation(),
        )  # fmt: skip
        self.requests.append(request)
        who = [person, requester, *self.chance.sample(self.people, 3), None]
        for stage in range(self.chance.choice((0, 1, 1, 1, 2, 3))):
            approver = who.pop(self.chance.randrange(len(who)))
            who = [one for one in who if one is None or one is not approver]
            self.answers.append(
                access.Approval(
                    id=self.id(), request=request, stage=min(stage, 1), asked=self.chance.choice(("owner", "manager")),
                    approver=approver, approved=self.chance.random() < 0.85, facts={}, policy_version=version,
                    on_behalf_of=self.chance.choice((None, None, person if approver not in (person, None) else None)),
                    decided_at=asked_at + self.chance.choice((TICK, 30 * timedelta(minutes=1), HOUR, 26 * HOUR)),
                )
            )  # fmt: skip
        return request

    def _give_by_hand(self, grant: access.Grant) -> None:
        """Somebody carried it out: it may have been who approved it, or who has it, and it may be later."""
        answers = [one for one in self.answers if one.request is grant.request and one.approver]
        doers = [grant.person, *(one.approver for one in answers), self.people[0]]
        at = max(grant.starts_at, grant.created_at)
        order = self._order(grant.person, grant.entitlement, "give", at)
        order.delivered_at = at + self.chance.choice((HOUR, 60 * DAY))
        order.confirmed_by, order.state = self.chance.choice(doers), "delivered"
        grant.give_operation = order

    def _glass(self, grant: access.Grant) -> None:
        correlation = self.correlation()
        used = access.BreakGlass(
            id=self.id(), grant=grant, person=grant.person, entitlement=grant.entitlement,
            policy_version=self.versions[0], reason=self.chance.choice(HOSTILE), opened_at=grant.starts_at,
            review_due_at=grant.starts_at + DAY, correlation_id=correlation,
        )  # fmt: skip
        self.glasses.append(used)
        if self.chance.random() < 0.8:
            self.tell("break_glass.opened", grant.created_at, ("grant", str(grant.id)), correlation=correlation)
        if self.chance.random() < 0.7:
            self.glass_reviews.append(
                access.BreakGlassReview(
                    id=self.id(), break_glass=used, reviewer=self.chance.choice((grant.person, self.people[1])),
                    is_justified=self.chance.random() < 0.7, done=self.chance.choice(HOSTILE),
                    follow_up=self.chance.choice(("", "-talk")), correlation_id=self.correlation(),
                    written_at=used.opened_at + self.chance.choice((DAY - TICK, DAY, DAY + TICK, 90 * DAY)),
                )
            )  # fmt: skip

    # ---------------------------------------------------------------------------------------- what is really there

    def _order(self, person: Person, role: catalog.Entitlement, kind: str, at: datetime) -> provisioning.Operation:
        number = self.id()
        made = provisioning.Operation(
            id=number, application=role.application, person=person, entitlement=role, kind=kind, origin="test",
            idempotency_key=f"test:{number}", correlation_id=self.correlation(), ordered_at=at, next_attempt_at=at,
        )  # fmt: skip
        self.orders.append(made)
        return made

    def remove(self, person: Person, role: catalog.Entitlement, at: datetime) -> None:
        """Take it away: at once, late, by hand, with failures, or never; and sometimes it is only seen to be gone."""
        how = self.chance.choice(("read back", "read back", "late", "by hand", "failed", "seen gone", "never"))
        if how == "never":
            return
        if how == "seen gone":
            self.see(person, role, at - 20 * DAY, at + self.chance.choice((-TICK, 0 * TICK, HOUR, 2 * DAY)))
            return
        order = self._order(person, role, "take", at)
        if how == "failed":
            self._fail(order, at)
            return
        wait = {"read back": 10 * timedelta(minutes=1), "late": 30 * HOUR}.get(how, HOUR)
        order.delivered_at, order.state = at + wait, "delivered"
        if how != "by hand":
            order.verified_at, order.state = at + wait + TICK, "verified"

    def _fail(self, order: provisioning.Operation, at: datetime) -> None:
        subject = ("operation", str(order.id))
        order.state, order.failed_at, order.last_error = "failed", at + HOUR, self.chance.choice(HOSTILE)
        for times in range(self.chance.choice((1, 2))):
            self.tell("operation.failed", at + (times + 1) * HOUR, subject)
        how = self.chance.choice(("", "operation.verified", "operation.confirmed_by_hand", "operation.released"))
        if how:
            done = max(at + 3 * HOUR, self.instant(at + 3 * HOUR, END + DAY))
            self.tell(how, done, subject, actor=("person", "somebody"))
            if how == "operation.verified":
                order.state, order.verified_at, order.delivered_at = "verified", done, done
            elif how == "operation.confirmed_by_hand":
                order.state, order.delivered_at, order.confirmed_by = "delivered", done, self.people[2]

    def account(self, person: Person | None, application: catalog.Application, at: datetime) -> provisioning.Account:
        mine = [one for one in self.accounts if one.person is person and one.application is application]
        if person and mine:
            mine[0].first_seen_at = min(mine[0].first_seen_at, at)
            return mine[0]
        number = self.id()
        made = provisioning.Account(
            id=number, application=application, target_id=str(number),
            user_name=self.chance.choice(HOSTILE) if person is None else f"login{number}", person=person,
            kind="human" if person else self.chance.choice(("human", "service", "shared")), first_seen_at=at,
            confirmed_at=END,
        )  # fmt: skip
        if application.slug in ("app-0", "app-1", "app-2") and self.chance.random() < 0.7:
            made.last_used_at = self.instant(at, END + DAY)
        self.accounts.append(made)
        return made

    def see(
        self, person: Person | None, role: catalog.Entitlement, first_seen_at: datetime, gone_at: datetime | None
    ) -> None:
        if gone_at is not None and gone_at <= first_seen_at:
            return
        account = self.account(person, role.application, first_seen_at)
        current = [one for one in self.holdings if one.account is account and one.entitlement is role]
        if gone_at is None and any(one.gone_at is None for one in current):
            return
        self.holdings.append(
            provisioning.Holding(
                id=self.id(), account=account, entitlement=role, first_seen_at=first_seen_at,
                confirmed_at=first_seen_at, gone_at=gone_at,
            )
        )  # fmt: skip

    def make_sightings(self) -> None:
        for grant in self.chance.sample(self.grants, 220):  # Granted and seen, from a bit after until a bit after.
            gone = self.chance.choice((None, grant.ends_at + 5 * HOUR if grant.ends_at < END else None))
            begins = grant.starts_at + self.chance.choice((0 * HOUR, HOUR, 3 * DAY, -3 * DAY))
            self.see(grant.person, grant.entitlement, begins, gone)
        for _ in range(90):  # Seen, whatever was granted; some belong to nobody.
            person = self.chance.choice([None, *self.people])
            at = self.instant()
            self.see(person, self.chance.choice(self.roles), at, self.chance.choice((None, self.instant(at))))
        for kind in ("human", "service", "shared"):
            self.account(None, self.applications[0], LONG_AGO).kind = kind
        for _ in range(25):  # Accounts with nothing on them.
            at = self.instant()
            made = self.account(self.chance.choice([None, *self.people]), self.chance.choice(self.applications[:8]), at)
            if not any(one.account is made for one in self.holdings):
                made.gone_at = self.chance.choice((None, self.instant(made.first_seen_at + TICK, END + DAY)))

    def make_renewals(self) -> None:
        """One access by two grants that meet, or leave a gap, or overlap, seen all the time."""
        for number, gap in enumerate((0 * HOUR, 0 * HOUR, TICK, 2 * DAY, -2 * DAY)):
            for edge in EDGES[4:8]:
                person, role = self.people[20 + number], self.roles[(number * 4 + EDGES.index(edge)) % 24]
                self.give(person, role, edge - 10 * DAY, edge, causes=("manual",), plain=True)
                self.give(person, role, edge + gap, edge + 10 * DAY, causes=("manual",), plain=True)
                self.see(person, role, edge - 10 * DAY, edge + 20 * DAY)

    def make_readings(self) -> None:
        for number, application in enumerate(self.applications[:7]):
            kind = "manual" if number == 2 else "scim2"
            self.connectors.append(
                provisioning.Connector(id=self.id(), application=application, kind=kind, created_at=LONG_AGO)
            )
            if number in (2, 3):  # By hand, and never read.
                continue
            for edge in (*EDGES, CUT):
                at = edge + self.chance.choice((-2 * HOUR, -TICK, 0 * TICK, TICK, 2 * HOUR))
                failed = number == 4 or self.chance.random() < 0.2
                self.runs.append(
                    provisioning.SyncRun(
                        id=self.id(), application=application, started_at=at - HOUR, finished_at=at, pages=2,
                        announced=None, received=self.chance.randrange(40), holdings_received=30, digest="ab",
                        is_complete=not failed, error="=cut off" if failed else "",
                    )
                )  # fmt: skip

    # ------------------------------------------------------------------------------------------------- the rest

    def make_duties(self) -> None:
        rules = [
            catalog.SodRule(
                id=self.id(), slug=f"duty-{number}", name="Duty", created_at=LONG_AGO,
                retired_at=EDGES[5] if number == 2 else None,
            )
            for number in range(4)
        ]  # fmt: skip
        self._others.append((catalog.SodRule, rules))
        for number, rule in enumerate(rules):
            for version, since in enumerate((LONG_AGO, EDGES[6]), start=1):
                made = catalog.SodRuleVersion(
                    id=self.id(), rule=rule, number=version, effective_at=since, created_at=since, created_by_ref="x",
                    name="Duty", why="So that.", at_most=1 if number == 3 else None, owner=self.people[0],
                    effect="warn" if number else "block",
                )  # fmt: skip
                self.duty_versions.append(made)
                for place, role in enumerate(self.roles[number : number + 10 + version]):
                    side = "a" if number == 3 or place % 2 else "b"
                    self.duty_members.append(catalog.SodMember(id=self.id(), version=made, entitlement=role, side=side))
            for person in self.people[:40:2]:
                starts_at = self.instant()
                self.exemptions.append(
                    catalog.SodException(
                        id=self.id(), rule=rule, person=person, reason="For now", granted_by=self.people[149],
                        owner=self.people[148], starts_at=starts_at, ends_at=self.instant(starts_at) + DAY,
                        ended_at=self.chance.choice((None, starts_at + 5 * DAY)),
                    )
                )  # fmt: skip

    def make_findings(self) -> None:
        for number in range(30):
            seen_at = self.instant()
            closed_at = self.chance.choice((None, self.instant(seen_at, END + DAY)))
            made = Finding(
                id=self.id(), kind=self.chance.choice(("out_of_band", "differs")), cause=f"cause {number}",
                table="access_grant", row=self.chance.choice(("", "=7", "12")), columns="ends_at",
                operation="update", database_role="dba", application=self.chance.choice(HOSTILE)[:63],
                first_seen_at=seen_at, last_seen_at=seen_at + HOUR, owner_ref=self.chance.choice(("", "ref")),
                explanation=self.chance.choice(HOSTILE) if closed_at else "", closed_at=closed_at,
                closed_by_ref="ref" if closed_at else "",
            )  # fmt: skip
            self.findings.append(made)
            self.tell("finding.opened", seen_at, ("finding", str(made.id)))

    def make_log(self) -> None:
        """The entries that reports are made of, around every edge."""
        person, other = str(self.people[0].ref), str(self.people[1].ref)
        events = (
            ("login.failed", (("person", person),), {"reason": "=password"}),
            ("token.issued", (("token", "7"),), {"name": "+ci"}),
            ("role.assigned", (("person", person),), {"role": "auditor"}),
            ("role.assigned", (("person", other),), {"role": "security_admin"}),
            ("role.removed", (("person", person),), {"role": "auditor"}),
            ("role.assigned", (("person", person),), {"role": "employee"}),
            ("policy.changed", (("policy", "usual"),), {"version": 2}),
            ("policy.changed", (("policy", "gone"),), {"version": 1}),
            ("connector.saved", (("application", "9"),), {"kind": "scim2"}),
            ("retention.changed", (("log", "x"),), {"years": 7}),
            ("legal_hold.placed", (("hold", "1"),), {}),
            ("evidence.downloaded", (("bundle", "b"),), {"sha256": "ab", "size": 3}),
            ("evidence.failed", (("bundle", "b"),), {"attempts": 3}),
            ("engagement.refused", (("engagement", "e"), ("person", other)), {}),
            ("ledger.compared", (("log", "x"),), {"rows": 5, "size": 3, "tables": 2, "differences": 0}),
            ("ledger.compared", (("log", "x"),), {"rows": 5, "size": 3, "tables": 2, "differences": 1}),
            ("checkpoint.anchored", (("anchor", "1"),), {"size": 3}),
            ("checkpoint.anchor_failed", (("anchor", "1"),), {"size": 3}),
            ("person.updated", (("person", person),), {}),
        )  # fmt: skip
        for edge in EDGES:
            for off in (-TICK, 0 * TICK, TICK):
                for event, subjects, data in events:
                    if self.chance.random() < 0.4:
                        who = self.chance.choice((("person", person), ("person", other), ("system", "clock")))
                        self.tell(event, edge + off, *subjects, actor=who, **data)
            number = str(EDGES.index(edge))
            self.tell("log_review.opened", edge, ("log_review", number), due_at=(edge + 3 * DAY).isoformat())
            if self.chance.random() < 0.6:
                late = self.chance.random() < 0.5
                signed = edge + (5 if late else 2) * DAY
                self.tell("log_review.signed", signed, ("log_review", number), is_late=late)

    # ------------------------------------------------------------------------------------------------ writing it

    def make(self) -> Organisation:
        for part in (
            self.make_catalog, self.make_people, self.make_access, self.make_sightings, self.make_renewals,
            self.make_readings, self.make_duties, self.make_findings, self.make_log,
        ):  # fmt: skip
            part()
        return self

    def write(self, signer: Signer) -> Organisation:
        """Write all of it, a statement for each table, and seal the ledger in two steps; the rest stays unsealed."""
        for model, made in (
            (Person, self.people), *self._others[:1], (catalog.AccessPolicyVersion, self.versions),
            (catalog.Application, self.applications), (catalog.Entitlement, self.roles),
            (catalog.ApplicationOwner, self.owners), *self._others[1:],
            (catalog.BirthrightRuleVersion, self.rule_versions), (provisioning.Connector, self.connectors),
            (provisioning.SyncRun, self.runs), (provisioning.Account, self.accounts),
            (provisioning.Holding, self.holdings), (provisioning.Operation, self.orders),
            # Requests name the grant they extend, and grants the request they rest on.
            (access.AccessRequest, [one for one in self.requests if one.extends is None]),
            (access.Grant, self.grants),
            (access.AccessRequest, [one for one in self.requests if one.extends is not None]),
            (access.Approval, self.answers), (access.BreakGlass, self.glasses),
            (access.BreakGlassReview, self.glass_reviews), (catalog.SodRuleVersion, self.duty_versions),
            (catalog.SodMember, self.duty_members), (catalog.SodException, self.exemptions),
            (Finding, self.findings),
        ):  # fmt: skip
            model.objects.bulk_create(made)  # type: ignore[attr-defined]
        Captured.objects.all().delete()  # Nothing is read from what the triggers saw of these.
        for batch, until in enumerate((CUT, END)):
            self._write_revisions(batch)
            self._seal(batch, until, signer)
        self._write_revisions(2)
        record_many([_entry(one) for one in self.told if one.batch == 2])
        self._find_entries(signer)
        with connection.cursor() as cursor:
            # Nobody else sees these rows until the transaction ends, autovacuum neither: plans would be guesses.
            cursor.execute("ANALYZE")
        return self

    def _write_revisions(self, batch: int) -> None:
        """Write what is sealed in a batch, so that its rows are in the ledger beside its entries."""
        for model, made in ((PersonRevision, self.said), (access.GrantRevision, self.revisions)):
            model.objects.bulk_create([one for one in made if one.told.batch == batch])  # type: ignore[attr-defined]

    def _seal(self, batch: int, until: datetime, signer: Signer) -> None:
        """Seal a batch, some of it at a time: the heads have times of their own."""
        told = sorted((one for one in self.told if one.batch == batch), key=lambda one: one.at)
        cuts = [0, *sorted({len(told) // 3, len(told) // 2, len(told)})]
        for number, (begin, end) in enumerate(pairwise(cuts)):
            record_many([_entry(one) for one in told[begin:end]])
            at = until - (len(cuts) - number) * 40 * timedelta(minutes=1)
            with time_machine.travel(at, tick=False):
                seal_everything(signer=signer)
            self.heads.append((Entry.objects.count(), at))

    def _find_entries(self, signer: Signer) -> None:
        """Note where each entry stands, by the act it belongs to."""
        indexes = dict(Entry.objects.exclude(correlation_id="").values_list("correlation_id", "index"))
        for one in self.told:
            one.index = indexes.get(one.correlation)
        begun = Told(
            "log.started", self.heads[0][1], (("log", signer.name),), {}, ("system", "sequencer"), "clock", "", 0
        )
        begun.index = 0
        self.told.append(begun)

    @property
    def sizes(self) -> tuple[int, int]:
        """Return the size of the ledger at CUT and at END."""
        half = len(self.heads) // 2
        return self.heads[half - 1][0], self.heads[-1][0]


def questions(world: Organisation) -> dict[str, Question]:
    """Return every window as it was known at the cut, and some as they were known before or afterwards."""
    first, second = world.sizes
    march, year = WINDOWS["March in Berlin, which loses an hour"], WINDOWS["most of a year"]
    found = {name: Question("soc2", one, CUT, first, 24, 24) for name, one in WINDOWS.items()}
    found["known in the middle"] = Question("soc2", year, datetime(2026, 6, 15, tzinfo=UTC), first, 24, 24)
    found["known later, with a larger ledger"] = Question("soc2", year, END, second, 1, 24)
    found["known later, with the ledger of before"] = Question("soc2", year, END, first, 24, 24)
    running = WINDOWS["a window that is not over"]
    found["a window that is not over, later"] = Question("soc2", running, END, second, 24, 24)
    found["within two applications"] = Question("soc2", march, CUT, first, 24, 24, ("app-1", "app-4"))
    return found


def _entry(told: Told) -> Record:
    actor = Actor(
        kind=ActorKind(told.actor[0]), ref=told.actor[1], door=Door(told.door), correlation_id=told.correlation
    )
    return Record(told.event, actor, [Subject(*one) for one in told.subjects], told.data, at=told.at)

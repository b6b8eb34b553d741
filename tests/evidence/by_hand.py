"""What each report says of an organisation, counted by hand: plain Python over the facts, one of them after the other.

Written from the sentences in the data dictionaries (population and exceptions), not from the queries.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from itertools import pairwise
from typing import Any

from governance.access.models import AccessRequest, Grant, GrantRevision
from governance.catalog.models import Application, Entitlement
from governance.core.clock import OPEN_END
from governance.evidence.questions import Question
from governance.evidence.reports.registry import BY_ID
from governance.identity.models import Person, PersonRevision
from governance.provisioning.models import Account, Operation, SyncRun
from tests.evidence.organisation import DAY, HOUR, TICK, Organisation, Told

Row = dict[str, Any]
Stretch = tuple[datetime, datetime]
PLANNED = ("started", "extended", "shortened")


@dataclass(frozen=True)
class Held:
    """A grant with its interval as it was known."""

    grant: Grant
    first: GrantRevision
    last: GrantRevision
    revisions: tuple[GrantRevision, ...]

    @property
    def begins(self) -> datetime:
        return self.last.starts_at

    @property
    def ends(self) -> datetime:
        return self.last.ends_at

    @property
    def is_real(self) -> bool:
        """Tell whether it was not cancelled before it began."""
        return self.begins < self.ends

    def covers(self, at: datetime) -> bool:
        return self.begins <= at < self.ends


@dataclass(frozen=True)
class Seen:
    """What an application showed on an account, as known."""

    id: int
    account: Account
    role: Entitlement
    since: datetime
    gone: datetime | None

    def there(self, at: datetime) -> bool:
        return self.since <= at and (self.gone is None or self.gone > at)


@dataclass(frozen=True)
class Decided:
    """How a request was answered."""

    at: datetime | None
    yes: int
    no: int
    by_policy: bool
    people: frozenset[int]
    said: str | None
    stages: tuple[int, ...]


UNDECIDED = Decided(None, 0, 0, False, frozenset(), None, ())


def without(stretch: Stretch, others: Iterable[Stretch]) -> list[Stretch]:
    """Return what is left of a stretch of time when others are taken out of it."""
    left = [stretch]
    for begin, end in others:
        left = [
            piece
            for since, until in left
            for piece in ((since, min(until, begin)), (max(since, end), until))
            if piece[0] < piece[1]
        ]
    return sorted(set(left))


def codes(**tests: object) -> str:
    """Return the codes that hold, in their order."""
    return " ".join(name for name, holds in tests.items() if holds)


def rounded(span: timedelta, unit: timedelta) -> Decimal:
    """Return a span in a unit, to three decimals."""
    exact = Decimal(span // TICK) / Decimal(unit // TICK)
    return exact.quantize(Decimal("0.001"), ROUND_HALF_UP)


def open_ended(at: datetime) -> datetime | None:
    return None if at == OPEN_END else at


class ByHand:
    """Everything a question may know of an organisation."""

    def __init__(self, world: Organisation, asked: Question) -> None:
        self.world, self.asked = world, asked
        period = asked.period
        self.start, self.end, self.known_at = period.starts_at, period.ends_at, asked.known_at
        self.as_of = period.as_of(asked.known_at)

    # ------------------------------------------------------------------------------------------ what is known

    def is_known(self, made: GrantRevision | PersonRevision) -> bool:
        told: Told = made.told  # type: ignore[union-attr]
        return made.recorded_at <= self.known_at and told.index is not None and told.index < self.asked.ledger_size

    def in_window(self, at: datetime) -> bool:
        return self.start <= at < self.end

    @cached_property
    def held(self) -> list[Held]:
        found: dict[int, list[GrantRevision]] = defaultdict(list)
        for one in self.world.revisions:
            if self.is_known(one):
                found[one.grant_id].append(one)
        return [Held(all_[0].grant, all_[0], all_[-1], tuple(all_)) for all_ in found.values()]

    @cached_property
    def real(self) -> list[Held]:
        return [one for one in self.held if one.is_real]

    @cached_property
    def of_pair(self) -> dict[tuple[int, int], list[Held]]:
        found: dict[tuple[int, int], list[Held]] = defaultdict(list)
        for one in self.real:
            found[one.grant.person_id, one.grant.entitlement_id].append(one)
        return found

    @cached_property
    def seen(self) -> list[Seen]:
        return [
            Seen(one.id, one.account, one.entitlement, one.first_seen_at, self.by_then(one.gone_at))
            for one in self.world.holdings
            if one.first_seen_at <= self.known_at
        ]

    def by_then(self, at: datetime | None) -> datetime | None:
        return at if at is not None and at <= self.known_at else None

    @cached_property
    def stories(self) -> dict[int, list[PersonRevision]]:
        found: dict[int, list[PersonRevision]] = defaultdict(list)
        for one in self.world.said:
            if self.is_known(one):
                found[one.person_id].append(one)
        return found

    def profile(self, person: Person | None) -> PersonRevision | None:
        """Return what was so at the instant, as known: the last word on the latest change that was in effect."""
        story = self.stories.get(person.id, []) if person else []
        effective = [one for one in story if one.effective_at <= self.as_of]
        if effective:
            return max(effective, key=lambda one: (one.effective_at, one.number))
        return story[0] if story else None

    def named(self, person: Person | None, *names: str) -> Row:
        profile = self.profile(person)
        said = {"person_name": "display_name", "person_status": "status"}
        return {name: getattr(profile, said.get(name, name), None) for name in names}

    def title(self, person: Person) -> str | None:
        profile = self.profile(person)
        return f"{profile.display_name} [{person.ref}]" if profile else None

    @cached_property
    def _answers(self) -> dict[int, Decided]:
        found: dict[int, list[Any]] = defaultdict(list)
        for one in self.world.answers:
            if one.decided_at <= self.known_at:
                found[one.request_id].append(one)
        return {request: self._decided(answers) for request, answers in found.items()}

    def decided(self, request: AccessRequest | None) -> Decided:
        return self._answers.get(request.id, UNDECIDED) if request else UNDECIDED

    def _decided(self, answers: list[Any]) -> Decided:
        lines = []
        for one in sorted(answers, key=lambda one: (one.stage, one.decided_at, one.id)):
            who = (self.title(one.approver) if one.approver else None) or "the policy"
            lines.append(who + (f" as {one.asked}" if one.asked else "") + ("" if one.approved else " (declined)"))
        yes = [one for one in answers if one.approved]
        return Decided(
            at=max(one.decided_at for one in answers),
            yes=len(yes),
            no=len(answers) - len(yes),
            by_policy=any(one.approver is None for one in yes),
            people=frozenset(one.approver_id for one in answers if one.approver_id),
            said="; ".join(lines),
            stages=tuple(one.stage for one in yes),
        )

    @cached_property
    def entries(self) -> list[Told]:
        sealed = [one for one in self.world.told if one.index is not None and one.index < self.asked.ledger_size]
        return sorted(sealed, key=lambda one: one.index or 0)

    @cached_property
    def _about(self) -> dict[tuple[str, str], list[int]]:
        found: dict[tuple[str, str], list[int]] = defaultdict(list)
        for one in self.entries:
            for subject in set(one.subjects):
                found[subject].append(one.index or 0)
        return found

    def entries_about(self, kind: str, ref: object) -> list[Told]:
        by_index = self._by_index
        return [by_index[index] for index in self._about.get((kind, str(ref)), [])]

    @cached_property
    def _by_index(self) -> dict[int, Told]:
        return {one.index or 0: one for one in self.entries}

    def support(self, kind: str, ref: object) -> Row:
        indexes = self._about.get((kind, str(ref)), [])
        return {
            "first_entry": indexes[0] if indexes else None,
            "last_entry": indexes[-1] if indexes else None,
        }

    def accounts_of(self, person: Person, application_id: int) -> list[Account]:
        return self._accounts[person.id, application_id]

    @cached_property
    def _accounts(self) -> dict[tuple[int | None, int], list[Account]]:
        found: dict[tuple[int | None, int], list[Account]] = defaultdict(list)
        for one in self.world.accounts:
            found[one.person_id, one.application_id].append(one)
        return found

    def seen_of(self, person: Person, role: Entitlement) -> list[Seen]:
        return self._seen_of[person.id, role.id]

    @cached_property
    def _seen_of(self) -> dict[tuple[int | None, int], list[Seen]]:
        found: dict[tuple[int | None, int], list[Seen]] = defaultdict(list)
        for one in self.seen:
            found[one.account.person_id, one.role.id].append(one)
        return found

    @cached_property
    def taken(self) -> dict[tuple[int, int], list[Operation]]:
        """Return the orders to take something away, by person and entitlement."""
        found: dict[tuple[int, int], list[Operation]] = defaultdict(list)
        for one in self.world.orders:
            if one.kind == "take":
                found[one.person_id, one.entitlement_id].append(one)
        return found

    @cached_property
    def owners(self) -> dict[int, str]:
        found: dict[int, list[str]] = defaultdict(list)
        for one in self.world.owners:
            if one.since <= self.known_at and one.person.status == "active":
                found[one.application_id].append(f"{one.person.ref}\n{one.person.display_name} [{one.person.ref}]")
        return {number: "; ".join(line.split("\n", 1)[1] for line in sorted(lines)) for number, lines in found.items()}

    # ------------------------------------------------------------------------------------------ how it was read

    @cached_property
    def _in_scope(self) -> list[Application]:
        wanted = self.asked.applications
        return [
            one
            for one in sorted(self.world.applications, key=lambda one: one.slug)
            if one.created_at <= self.as_of and (one.retired_at is None or one.retired_at >= self.start)
            if not wanted or one.slug in wanted
        ]

    def read_at(self) -> dict[str, datetime | None]:
        """Return when each application in scope was last read to its end, as known."""
        return {
            one.slug: max(
                (run.finished_at for run in self._runs(one) if run.is_complete and run.finished_at), default=None
            )
            for one in self._in_scope
        }

    def _runs(self, application: Application) -> list[SyncRun]:
        return [one for one in self.world.runs if one.application is application and self.by_then(one.finished_at)]

    def gaps(self) -> Iterator[tuple[str, str, str]]:
        """Return what was not read, or not lately, or not to the end."""
        kinds = {one.application_id: one.kind for one in self.world.connectors}
        for one in self._in_scope:
            kind, read_at = kinds.get(one.id), self.read_at()[one.slug]
            age = (self.known_at - read_at) / HOUR if read_at else 0
            broken = sum(not run.is_complete and self.in_window(run.started_at) for run in self._runs(one))
            if kind is None:
                yield "not_connected", one.slug, "No connector: what was granted is known, what is really there is not."
            elif kind == "manual":
                yield "by_hand", one.slug, "Worked by hand: removals are somebody's word, never read back."
            elif read_at is None:
                yield "never_read", one.slug, "Never read completely."
            elif age > self.asked.freshness_hours:
                yield "stale", one.slug, f"Last read completely {age:.1f} h before known_at."
            if broken:
                yield "failed_runs", one.slug, f"{broken} readings in the window did not complete."

    # ------------------------------------------------------------------------------------------ as a spreadsheet

    def report(self, report_id: str) -> list[dict[str, str]]:
        """Return the rows as the CSV has them."""
        report = BY_ID[report_id]
        rows = list(_RULES[report_id](self))
        if report.is_by_application and self.asked.applications:
            kept = {None, "gatehouse", *self.asked.applications}
            rows = [row for row in rows if row["application"] in kept]
        rows.sort(key=lambda row: [(row[name] is None, (row[name] or "").encode()) for name in report.order])
        told = [{name: written(row[name]) for name in report.header[1:]} for row in rows]
        return [{"row_no": str(number), **row} for number, row in enumerate(told, start=1)]


def counted(world: Organisation, asked: Question) -> ByHand:
    """Return what is known of a question; what was looked up for one report is there for the next."""
    known: dict[Question, ByHand] = world.__dict__.setdefault("by_hand", {})
    return known.setdefault(asked, ByHand(world, asked))


def written(value: Any) -> str:
    """Return a cell: instants in UTC, yes and no, and an apostrophe before what a spreadsheet would calculate."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    text = str(value)
    is_formula = isinstance(value, str) and text[:1] in "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20" and text
    return f"'{text}" if is_formula else text


_RULES: dict[str, Callable[[ByHand], Iterator[Row]]] = {}


def rule(report_id: str) -> Callable[[Callable[[ByHand], Iterator[Row]]], Callable[[ByHand], Iterator[Row]]]:
    def keep(count: Callable[[ByHand], Iterator[Row]]) -> Callable[[ByHand], Iterator[Row]]:
        _RULES[report_id] = count
        return count

    return keep


def role_row(role: Entitlement) -> Row:
    return {
        "application": role.application.slug,
        "application_name": role.application.name,
        "entitlement": role.slug,
        "entitlement_name": role.name,
        "entitlement_kind": role.kind,
        "privileged": role.is_privileged,
        "data_classes": " ".join(role.data_classes),
    }


def person_row(person: Person | None) -> Row:
    return {"person_ref": str(person.ref) if person else None}


def request_row(request: AccessRequest | None) -> Row:
    return {"request": f"R-{request.number}" if request else None}


# ------------------------------------------------------------------------------------------------ who has access


@rule("R01")
def access_population(hand: ByHand) -> Iterator[Row]:
    at = hand.as_of
    about_people = ("person_name", "user_name", "person_type", "department", "person_status")
    for held in hand.real:
        if held.covers(at):
            grant = held.grant
            decided = hand.decided(grant.request)
            login, seen_at = _login_of(hand, grant)
            yield {
                "row_id": f"grant:{grant.id}", "source": "granted", **person_row(grant.person),
                **hand.named(grant.person, *about_people), **role_row(grant.entitlement),
                "account": login and login.user_name, "account_kind": login and login.kind, "seen_at": seen_at,
                "cause": grant.cause, "starts_at": held.begins, "ends_at": open_ended(held.ends),
                "grant_id": str(grant.id), **request_row(grant.request), "approvers": decided.said,
                "decided_at": decided.at,
                "exceptions": codes(
                    person_has_left=hand.named(grant.person, "status")["status"] == "left",
                    not_approved=grant.cause == "request" and decided.yes == 0,
                ),
                **hand.support("grant", grant.id),
            }  # fmt: skip
    for account, role, sight in _only_seen(hand):
        row = role_row(role) if role else dict.fromkeys(role_row(hand.world.roles[0]))
        since, gone = (sight.since, sight.gone) if sight else (account.first_seen_at, hand.by_then(account.gone_at))
        yield {
            **dict.fromkeys(("cause", "grant_id", "request", "approvers", "decided_at", "first_entry", "last_entry")),
            **row, "application": account.application.slug, "application_name": account.application.name,
            "row_id": f"holding:{sight.id}" if sight else f"account:{account.id}",
            "source": "seen, not granted" if sight else "account, no entitlement seen",
            **person_row(account.person), **hand.named(account.person, *about_people),
            "account": account.user_name, "account_kind": account.kind, "seen_at": since if sight else None,
            "starts_at": since, "ends_at": gone,
            "exceptions": codes(
                not_granted=sight is not None,
                no_person=account.person is None and account.kind == "human",
                person_has_left=hand.named(account.person, "status")["status"] == "left",
            ),
        }  # fmt: skip


def _login_of(hand: ByHand, grant: Grant) -> tuple[Account | None, datetime | None]:
    """Return the account on which it is seen, or else the first they have."""
    mine = [one for one in hand.accounts_of(grant.person, grant.application_id) if one.first_seen_at <= hand.as_of]
    seen = [
        one
        for one in hand.seen_of(grant.person, grant.entitlement)
        if one.account.first_seen_at <= hand.as_of and one.there(hand.as_of)
    ]
    if seen:
        first = min(seen, key=lambda one: (one.since, one.account.id))
        return first.account, first.since
    return (min(mine, key=lambda one: one.id), None) if mine else (None, None)


def _only_seen(hand: ByHand) -> Iterator[tuple[Account, Entitlement | None, Seen | None]]:
    """Return what is seen at the instant without a grant, and accounts with nothing on them."""
    there = [one for one in hand.seen if one.there(hand.as_of)]
    for one in there:
        pair = (one.account.person_id or 0, one.role.id)
        if not any(held.covers(hand.as_of) for held in hand.of_pair[pair]):
            yield one.account, one.role, one
    used = {one.account.id for one in there}
    for account in hand.world.accounts:
        gone = hand.by_then(account.gone_at)
        if account.first_seen_at <= hand.as_of and (gone is None or gone > hand.as_of) and account.id not in used:
            yield account, None, None


@rule("R02")
def roll_forward(hand: ByHand) -> Iterator[Row]:
    world, before = hand.world, hand.start - TICK
    for application in world.applications:
        mine = [one for one in hand.real if one.grant.application_id == application.id]
        is_there = application.retired_at is None or application.retired_at >= hand.start
        if application.created_at > hand.as_of or not (is_there or mine):
            continue
        counted = {
            "opening": sum(one.covers(before) for one in mine),
            "started": sum(hand.in_window(one.begins) and one.begins <= hand.known_at for one in mine),
            "ended": sum(hand.in_window(one.ends) and one.ends <= hand.known_at for one in mine),
            "closing": sum(one.covers(hand.as_of) for one in mine),
        }
        difference = counted["opening"] + counted["started"] - counted["ended"] - counted["closing"]
        pairs = {(one.grant.person_id, one.grant.entitlement_id) for one in mine if one.covers(hand.as_of)}
        seen = [one for one in hand.seen if one.account.application_id == application.id and one.there(hand.as_of)]
        bare = [one for one in seen if (one.account.person_id, one.role.id) not in pairs]
        runs = [
            one for one in world.runs
            if one.application is application and one.is_complete and one.finished_at <= hand.as_of
        ]  # fmt: skip
        run = max(runs, key=lambda one: (one.finished_at, one.id), default=None)
        kept = None
        if run:
            kept = sum(
                one.application is application and one.first_seen_at <= run.finished_at
                and (one.gone_at is None or one.gone_at > run.finished_at)
                for one in world.accounts
            )  # fmt: skip
        differs = None if run is None or kept is None else run.received - kept
        yield {
            "row_id": f"application:{application.slug}", "application": application.slug,
            "application_name": application.name, "application_id": str(application.id), **counted,
            "difference": difference, "accesses": len(pairs), "seen": len(seen), "unexplained": len(bare),
            "read_at": run and run.finished_at, "accounts_at_source": run and run.received, "accounts_kept": kept,
            "accounts_difference": differs,
            "exceptions": codes(
                does_not_balance=difference, accounts_differ=differs, seen_without_grant=bare, not_read=run is None
            ),
            **hand.support("application", application.id),
        }  # fmt: skip


# ------------------------------------------------------------------------------------------- changes of access


def ended_by(held: Held) -> tuple[str, str, str]:
    """Return why it ended, and who did: time, or somebody."""
    last = held.last
    return ("expired", "system", "expiry") if last.change in PLANNED else (last.change, last.actor_kind, last.actor_ref)


def previous(held: Held, one: GrantRevision) -> GrantRevision | None:
    place = held.revisions.index(one)
    return held.revisions[place - 1] if place else None


@rule("R03")
def access_changes(hand: ByHand) -> Iterator[Row]:
    for held in hand.held:
        if held.is_real and hand.in_window(held.begins) and held.begins <= hand.known_at:
            yield _change(hand, held, held.first, "started", held.begins)
        if held.is_real and hand.in_window(held.ends) and held.ends <= hand.known_at:
            yield _change(hand, held, held.last, "ended", held.ends)
        for one in held.revisions:
            if one.change in ("extended", "shortened") and hand.in_window(one.recorded_at):
                yield _change(hand, held, one, one.change, one.recorded_at)


def _change(hand: ByHand, held: Held, one: GrantRevision, change: str, effective_at: datetime) -> Row:
    grant, before = held.grant, previous(held, one)
    why, kind, who = ended_by(held) if change == "ended" else (None, one.actor_kind, one.actor_ref)
    request = grant.request if change in ("started", "ended") else _asked_for(hand, held, one)
    decided = hand.decided(request)
    version, rule_version = request and request.policy_version, grant.rule_version
    under = (version and f"usual v{version.number}") or (rule_version and f"all-staff v{rule_version.number}")
    gives = change in ("started", "extended")
    without_asking = change == "started" and grant.cause in ("birthright", "imported", "break_glass")
    return {
        "row_id": f"grant:{grant.id}:{change}:{one.number:06}", "change": change, "effective_at": effective_at,
        "recorded_at": one.recorded_at, **person_row(grant.person),
        **hand.named(grant.person, "person_name", "user_name"), **role_row(grant.entitlement), "cause": grant.cause,
        "grant_id": str(grant.id),
        "earlier_end": open_ended(before.ends_at) if before and change != "started" else None,
        "new_end": open_ended(one.ends_at), "end_cause": why, "actor_kind": kind, "actor_ref": who,
        **request_row(request), "requester_ref": str(request.requester.ref) if request else None,
        "requester_name": hand.named(request.requester, "person_name")["person_name"] if request else None,
        "requested_at": request and request.created_at, "purpose": request and request.purpose,
        "approvers": decided.said, "decided_at": decided.at, "decided_under": under,
        "exceptions": codes(
            no_approval=gives and decided.yes == 0 and not without_asking,
            approved_by_beneficiary=gives and grant.person_id in decided.people,
            approved_by_requester=gives and request is not None and request.requester_id in decided.people,
            approved_after_start=gives and decided.at is not None and decided.at > effective_at,
            declined_by_somebody=gives and decided.no,
            approvals_missing=gives and request is not None and _too_few(request, decided),
            back_dated=change == "started" and grant.cause != "imported" and one.recorded_at > effective_at + HOUR,
            break_glass=change == "started" and grant.cause == "break_glass",
        ),
        **hand.support("grant", grant.id),
    }  # fmt: skip


def _too_few(request: AccessRequest, decided: Decided) -> bool:
    said, asked = request.verdict.get("verdict", {}), request.policy_version.stages
    needed = [one.get("quorum", 1) for one in asked] + [1] * 9
    needed = needed[: len(said.get("stages", asked))]
    if said.get("adds_security"):
        needed[-1] = 1
    is_short = any(decided.stages.count(place) < number for place, number in enumerate(needed))
    return decided.yes > 0 and not decided.by_policy and is_short


def _asked_for(hand: ByHand, held: Held, one: GrantRevision) -> AccessRequest | None:
    """Return the request for an extension that was decided since the revision before."""
    before = previous(held, one)
    if one.change != "extended" or before is None:
        return None
    asked = [
        (at, request.id, request)
        for request in hand.world.requests
        if request.extends is held.grant and (at := hand.decided(request).at)
        if before.recorded_at < at <= one.recorded_at
    ]
    return max(asked)[2] if asked else None


@rule("R09")
def temporary(hand: ByHand) -> Iterator[Row]:
    for held in hand.real:
        grant, planned = held.grant, held.first.ends_at
        overlaps = held.begins < hand.end and held.begins <= hand.known_at and held.ends > hand.start
        if grant.cause not in ("request", "manual") or planned == OPEN_END or not overlaps:
            continue
        decided, request = hand.decided(grant.request), grant.request
        longer = [one for one in hand.world.requests if one.extends is grant and one.created_at <= hand.known_at]
        granted = [one for one in longer if hand.decided(one).yes]
        extensions = sum(one.change == "extended" for one in held.revisions)
        is_over = held.ends <= hand.known_at
        gone = _gone_after(hand, grant.person, grant.entitlement, held.ends) if is_over else None
        others = [one for one in hand.of_pair[grant.person_id, grant.entitlement_id] if one is not held]
        goes_on = any(one.begins <= held.ends < one.ends for one in others)
        overrun = (gone or hand.known_at) - held.ends
        why = ended_by(held)[0]
        yield {
            "row_id": f"grant:{grant.id}", "grant_id": str(grant.id), **person_row(grant.person),
            **hand.named(grant.person, "person_name", "user_name", "department"), **role_row(grant.entitlement),
            **request_row(request), "requester_ref": str(request.requester.ref) if request else None,
            "purpose": request and request.purpose, "ticket": request and request.ticket,
            "requested_at": request and request.created_at, "approvers": decided.said, "decided_at": decided.at,
            "starts_at": held.begins, "planned_end": planned, "extensions": extensions,
            "ends_at": open_ended(held.ends), "end_cause": why if is_over else None,
            "ended_how": ("by time" if why == "expired" else "by somebody") if is_over else None,
            "removal_confirmed_at": gone,
            "overrun_minutes": rounded(overrun, HOUR / 60) if is_over and not goes_on else None,
            "exceptions": codes(
                no_approval=decided.yes == 0,
                approved_by_beneficiary=grant.person_id in decided.people,
                approved_after_start=decided.at is not None and decided.at > held.begins,
                extension_without_approval=extensions > len(granted),
                extension_self_approved=any(
                    {one.person_id, one.requester_id} & hand.decided(one).people for one in granted
                ),
                overrun=is_over and not goes_on and overrun > HOUR / 4,
            ),
            **hand.support("grant", grant.id),
        }  # fmt: skip


def _gone_after(hand: ByHand, person: Person, role: Entitlement, at: datetime) -> datetime | None:
    """Return the first reading at or after an instant that showed it gone."""
    read = [one.verified_at for one in hand.taken[person.id, role.id] if hand.by_then(one.verified_at)]
    seen = [one.gone for one in hand.seen_of(person, role) if one.gone]
    return min((one for one in (*read, *seen) if one is not None and one >= at), default=None)


# ------------------------------------------------------------------------------------------ joiners, movers, leavers


@rule("R04")
def joiners(hand: ByHand) -> Iterator[Row]:
    for story in hand.stories.values():
        for one in story:
            takes_effect = hand.in_window(one.effective_at) and one.effective_at <= hand.known_at
            if one.change in ("joined", "rejoined") and takes_effect:
                yield _joiner(hand, one, story)


def _joiner(hand: ByHand, one: PersonRevision, story: list[PersonRevision]) -> Row:
    later = [other.effective_at for other in story if other.number > one.number and other.status == "left"]
    left_at = min(later, default=None)
    got = [
        held for held in hand.real
        if held.grant.person_id == one.person_id and held.begins <= min(hand.known_at, one.effective_at + 30 * DAY)
        and held.ends > one.effective_at and (left_at is None or held.begins < left_at)
    ]  # fmt: skip
    by_role = [held for held in got if held.grant.cause == "birthright"]
    extra = [held for held in got if held.grant.cause != "birthright"]
    got_of = sorted(by_role, key=lambda held: _path(held.grant).split("/"))
    more = sorted(extra, key=lambda held: (_path(held.grant).split("/"), held.grant.id))
    return {
        "row_id": f"person:{one.person.ref}:{one.number:06}", **person_row(one.person),
        "person_name": one.display_name, "user_name": one.user_name, "person_type": one.person_type,
        "department": one.department, "title": one.title, "change": one.change, "effective_at": one.effective_at,
        "recorded_at": one.recorded_at, "recorded_by": one.actor_ref, "left_at": left_at,
        "first_access_at": min((held.begins for held in got), default=None), "by_role": len(by_role),
        "extra": len(extra), "birthright": " ".join(_path(held.grant) for held in got_of) or None,
        "extra_access": " ".join(_with_why(hand, held.grant) for held in more) or None,
        "exceptions": codes(
            access_before_start=any(held.begins < one.effective_at for held in got),
            extra_without_approval=any(hand.decided(held.grant.request).yes == 0 for held in extra),
            late_notice=one.recorded_at > one.effective_at + HOUR,
        ),
        **hand.support("person", one.person.ref),
    }  # fmt: skip


def _path(grant: Grant) -> str:
    return f"{grant.application.slug}/{grant.entitlement.slug}"


def _with_why(hand: ByHand, grant: Grant) -> str:
    decided = hand.decided(grant.request)
    asked = f" R-{grant.request.number} {decided.said}" if grant.request and decided.said else ""
    return f"{_path(grant)} ({grant.cause}{asked})"


@rule("R05")
def leavers(hand: ByHand) -> Iterator[Row]:
    for story in hand.stories.values():
        spells: list[list[PersonRevision]] = [[]]
        for one in story:
            if one.status == "active":
                spells.append([])
            spells[-1].append(one)
        for number, spell in enumerate(spells):
            gone = [one for one in spell if one.status == "left"]
            effective = min((one.effective_at for one in gone if one.change == "left"), default=None)
            if effective and hand.in_window(effective) and effective <= hand.known_at:
                back = spells[number + 1][0].effective_at if number + 1 < len(spells) else None
                yield _leaver(hand, gone[0], effective, back, number)


def _leaver(hand: ByHand, told: PersonRevision, effective: datetime, back: datetime | None, number: int) -> Row:
    person, sla = told.person, hand.asked.leaver_sla_hours
    things: dict[int, list[tuple[datetime, bool, bool]]] = defaultdict(list)
    roles = {role.id: role for role in hand.world.roles}
    for held in hand.real:
        before_back = back is None or held.begins < back
        if held.grant.person is person and held.ends >= effective and held.begins <= hand.known_at and before_back:
            things[held.grant.entitlement_id].append((held.ends, held.begins >= effective, True))
    for one in hand.seen:
        if one.account.person is person and one.since < effective and (one.gone is None or one.gone >= effective):
            things[one.role.id].append((effective, False, False))
    confirmed: list[datetime] = []
    by_hand: list[datetime] = []
    still: list[str] = []
    for role_id, had in things.items():
        role, ends = roles[role_id], max(one[0] for one in had)
        read = _gone_after(hand, person, role, ends)
        word = _word_of_somebody(hand, person, role, ends)
        if read:
            confirmed.append(read)
        elif word:
            by_hand.append(word)
        else:
            still.append(f"{role.application.slug}/{role.slug}")
    due = effective + timedelta(hours=sla)
    last = max([*confirmed, *by_hand], default=None)
    is_late = (bool(still) and hand.known_at > due) or (last is not None and last > due)
    accounts = [
        one for one in hand.world.accounts
        if one.person is person and one.first_seen_at < effective and (one.gone_at is None or one.gone_at >= effective)
    ]  # fmt: skip
    entries = [one.index for one in hand.entries if one.correlation == told.correlation_id]
    return {
        "row_id": f"person:{person.ref}:{number:04}", **person_row(person),
        **hand.named(person, "person_name", "user_name", "person_type", "department"), "effective_at": effective,
        "recorded_at": told.recorded_at, "recorded_by": told.actor_ref, "rejoined_at": back,
        "accounts_held": len(accounts), "systems_held": len({roles[one].application_id for one in things}),
        "accesses_held": len(things), "confirmed": len(confirmed), "attested": len(by_hand),
        "still_open": len(still), "first_confirmed_at": min(confirmed, default=None),
        "last_confirmed_at": max(confirmed, default=None),
        "hours_effective_to_last": rounded(last - effective, HOUR) if last and not still else None,
        "hours_recorded_to_last": rounded(last - told.recorded_at, HOUR) if last and not still else None,
        "sla_hours": sla, "verdict": _verdict(things, still, by_hand, is_late), "open_items": " ".join(sorted(still)),
        "exceptions": codes(
            still_open=still, over_sla=is_late, late_notice=told.recorded_at > effective + HOUR,
            access_after_leaving=any(one[1] for had in things.values() for one in had),
            seen_without_grant=any(not any(one[2] for one in had) for had in things.values()),
        ),
        "first_entry": min(entries, default=None), "last_entry": max(entries, default=None),
    }  # fmt: skip


def _verdict(things: object, still: list[str], by_hand: list[datetime], is_late: bool) -> str:
    if not things:
        return "no access"
    if still:
        return "overdue" if is_late else "running"
    return "late" if is_late else "in time, partly by hand" if by_hand else "in time"


def _word_of_somebody(hand: ByHand, person: Person, role: Entitlement, at: datetime) -> datetime | None:
    """Return when somebody said that it was taken, where nothing can be read."""
    kinds = {one.application_id: one.kind for one in hand.world.connectors}
    if kinds.get(role.application_id, "manual") != "manual":
        return None
    said = [one.delivered_at for one in hand.taken[person.id, role.id] if hand.by_then(one.delivered_at)]
    return min((one for one in said if one is not None and one >= at), default=None)


@rule("R06")
def movers(hand: ByHand) -> Iterator[Row]:
    for story in hand.stories.values():
        # What was so from when on: of two words about the same instant the later one counts.
        by_instant = {one.effective_at: one for one in sorted(story, key=lambda one: (one.effective_at, one.number))}
        timeline = [by_instant[at] for at in sorted(by_instant)]
        for before, after in pairwise(timeline):
            takes_effect = hand.in_window(after.effective_at) and after.effective_at <= hand.known_at
            at_work = before.status == after.status == "active"
            if takes_effect and at_work and _place(before) != _place(after):
                yield _mover(hand, before, after)


def _place(one: PersonRevision) -> tuple[str, str, str]:
    return (one.department, one.title, one.person_type)


def _mover(hand: ByHand, before: PersonRevision, after: PersonRevision) -> Row:
    moved, person = after.effective_at, after.person
    over = moved + 14 * DAY
    settled = min(over, hand.known_at)
    groups: dict[str, set[str]] = defaultdict(set)
    for held in hand.held:
        grant = held.grant
        if grant.person is not person or not (held.begins < moved <= held.ends):
            continue
        groups["held"].add(_path(grant))
        if held.ends <= settled:
            groups["removed"].add(_path(grant))
            continue
        others = hand.of_pair[grant.person_id, grant.entitlement_id]
        by_rule = any(
            one.grant.cause == "birthright" and one.begins <= over and one.ends > settled and one.ends > moved
            for one in others
        )
        again = any(
            (said := hand.decided(one)).yes and said.at is not None and moved <= said.at <= over
            for one in hand.world.requests
            if one.person is person and one.entitlement is grant.entitlement
        )
        groups["by_rule" if by_rule else "approved_again" if again else "unsettled"].add(_path(grant))
    is_running = hand.known_at < over
    return {
        "row_id": f"person:{person.ref}:{after.number:06}", **person_row(person), "person_name": after.display_name,
        "user_name": after.user_name, "effective_at": moved, "recorded_at": after.recorded_at,
        "old_department": before.department, "department": after.department, "old_title": before.title,
        "title": after.title, "old_type": before.person_type, "person_type": after.person_type,
        **{name: len(groups[name]) for name in ("held", "removed", "by_rule", "approved_again")},
        "unsettled": " ".join(sorted(groups["unsettled"])) or None, "settling": "running" if is_running else "over",
        "exceptions": codes(
            kept_without_reason=groups["unsettled"] and not is_running, late_notice=after.recorded_at > moved + HOUR
        ),
        **hand.support("person", person.ref),
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------ powerful access


@rule("R07")
def privileged(hand: ByHand) -> Iterator[Row]:
    grants = {str(one.grant.id): one.grant for one in hand.held}
    by_slug = {one.slug: one for one in hand.world.applications}
    for row in access_population(hand):
        if not row["privileged"]:
            continue
        grant, application = grants.get(row["grant_id"]), by_slug[row["application"]]
        used = [
            one.last_used_at for one in hand.world.accounts
            if one.application is application and one.user_name == row["account"] and hand.by_then(one.last_used_at)
        ]  # fmt: skip
        owner = hand.owners.get(application.id)
        request, rule_version = grant and grant.request, grant and grant.rule_version
        why = f"R-{request.number} {request.purpose}" if request else None
        why = why or (f"rule all-staff v{rule_version.number}" if rule_version else None)
        standing = row["ends_at"] is None
        yield {
            **row, "standing": "standing" if standing else "temporary", "justification": why,
            "last_used_at": max((one for one in used if one), default=None), "owner": owner,
            "exceptions": codes(
                standing_without_justification=standing and row["cause"] not in (None, "birthright")
                and row["decided_at"] is None,
                not_granted=row["source"] == "seen, not granted",
                no_person=row["person_ref"] is None,
                person_has_left=row["person_status"] == "left",
                no_owner=owner is None,
            ),
        }  # fmt: skip
    yield from _administrators(hand)


def _role_entries(hand: ByHand) -> list[tuple[Told, str, str]]:
    return [
        (one, dict(one.subjects)["person"], one.data["role"])
        for one in hand.entries
        if one.event in ("role.assigned", "role.removed") and one.data["role"] in ("security_admin", "auditor")
    ]


def _administrators(hand: ByHand) -> Iterator[Row]:
    people = {str(one.ref): one for one in hand.world.people}
    last = {(ref, role): one for one, ref, role in _role_entries(hand) if one.at <= hand.as_of}
    for (ref, role), one in last.items():
        if one.event == "role.assigned":
            yield {
                **dict.fromkeys(("approvers", "ends_at", "last_used_at", "owner", "grant_id")),
                "row_id": f"role:{ref}:{role}", "source": "role in Gatehouse", "person_ref": ref,
                **hand.named(people[ref], "person_name", "user_name", "department"), "application": "gatehouse",
                "entitlement": role, "standing": "standing", "cause": "manual",
                "justification": f"assigned by {one.actor[1]}", "starts_at": one.at,
                "exceptions": codes(person_has_left=hand.named(people[ref], "status")["status"] == "left"),
                "first_entry": one.index, "last_entry": one.index,
            }  # fmt: skip


@rule("R08")
def privileged_changes(hand: ByHand) -> Iterator[Row]:
    people = {str(one.ref): one for one in hand.world.people}
    yield from (row for row in access_changes(hand) if row["privileged"])
    for one, ref, role in _role_entries(hand):
        if hand.in_window(one.at):
            given = one.event == "role.assigned"
            yield {
                **dict.fromkeys(("cause", "earlier_end", "new_end", "request", "approvers", "grant_id")),
                "row_id": f"role:{ref}:{one.index:012}", "change": "assigned" if given else "removed",
                "effective_at": one.at, "recorded_at": one.at, "person_ref": ref,
                **hand.named(people[ref], "person_name"), "application": "gatehouse", "entitlement": role,
                "actor_kind": one.actor[0], "actor_ref": one.actor[1],
                "exceptions": codes(given_to_oneself=given and one.actor[1] == ref),
                "first_entry": one.index, "last_entry": one.index,
            }  # fmt: skip


@rule("R10")
def duties(hand: ByHand) -> Iterator[Row]:
    yield from _conflicts(hand)
    yield from _two_parts(hand)


def _conflicts(hand: ByHand) -> Iterator[Row]:
    people = {one.id: one for one in hand.world.people}
    reached = _reached(hand)
    rules: dict[int, Any] = {}
    for version in hand.world.duty_versions:
        retired_at = version.rule.retired_at
        if version.effective_at <= hand.as_of and (retired_at is None or retired_at > hand.as_of):
            rules[version.rule_id] = version
    for version in rules.values():
        sides = {one.entitlement_id: one.side for one in hand.world.duty_members if one.version is version}
        for person_id, has in reached.items():
            mine: dict[str, list[int]] = {"a": [], "b": []}
            for role_id in has.keys() & sides.keys():
                mine[sides[role_id]].append(role_id)
            too_many = version.at_most is not None and len(mine["a"]) > version.at_most
            if too_many or (version.at_most is None and mine["a"] and mine["b"]):
                yield _conflict(hand, version, people[person_id], mine, has)


def _reached(hand: ByHand) -> dict[int, dict[int, tuple[datetime, int | None]]]:
    """Return what everybody has at the instant, granted or seen: since when, and one of the grants."""
    reached: dict[int, dict[int, tuple[datetime, int | None]]] = defaultdict(dict)

    def reach(person_id: int, role_id: int, since: datetime, grant_id: int | None) -> None:
        earlier, first = reached[person_id].get(role_id, (since, grant_id))
        known = [one for one in (first, grant_id) if one is not None]
        reached[person_id][role_id] = (min(since, earlier), min(known, default=None))

    for held in hand.real:
        if held.covers(hand.as_of):
            reach(held.grant.person_id, held.grant.entitlement_id, held.begins, held.grant.id)
    for one in hand.seen:
        if one.account.person_id and one.there(hand.as_of):
            reach(one.account.person_id, one.role.id, one.since, None)
    return reached


def _conflict(
    hand: ByHand, version: Any, person: Person, mine: dict[str, list[int]],
    has: dict[int, tuple[datetime, int | None]],
) -> Row:  # fmt: skip
    roles = {one.id: f"{one.application.slug}/{one.slug}" for one in hand.world.roles}
    sides = {side: " ".join(sorted(roles[one] for one in ids)) or None for side, ids in mine.items()}
    since = [min(has[one][0] for one in ids) for ids in mine.values() if ids]
    grants = [has[one][1] for ids in mine.values() for one in ids if has[one][1] is not None]
    allowed = [
        one for one in hand.world.exemptions
        if one.rule_id == version.rule_id and one.person is person and one.starts_at <= hand.as_of < one.ends_at
        and (one.ended_at is None or one.ended_at > hand.as_of)
    ]  # fmt: skip
    exempt = max(allowed, key=lambda one: (one.ends_at, one.id), default=None)
    grant_id = min(grants, default=None)
    return {
        "row_id": f"conflict:{version.rule.slug}:{person.ref}", "what": "holds both", "rule": version.rule.slug,
        "effect": version.effect, **person_row(person), **hand.named(person, "person_name"), "application": None,
        "first_access": sides["a"], "second_access": sides["b"], "since": max(since), "request": None,
        "approvers": None, "exception_id": exempt and str(exempt.id),
        "exception_by": exempt and str(exempt.granted_by.ref), "exception_from": exempt and exempt.starts_at,
        "exception_until": exempt and exempt.ends_at, "grant_id": grant_id and str(grant_id),
        "exceptions": codes(conflict_without_exception=exempt is None), **hand.support("grant", grant_id),
    }  # fmt: skip


def _two_parts(hand: ByHand) -> Iterator[Row]:
    of_request: dict[int, list[Grant]] = defaultdict(list)
    for grant in hand.world.grants:
        if grant.request_id:
            of_request[grant.request_id].append(grant)
    for one in hand.world.answers:
        request = one.request
        if not (one.approved and one.approver and hand.in_window(one.decided_at) and hand.by_then(one.decided_at)):
            continue
        grant = next(iter(of_request[request.id]), None)
        order = grant and grant.give_operation
        is_done = order is not None and order.delivered_at is not None and order.delivered_at <= hand.known_at
        doer = order.confirmed_by_id if order and is_done else None
        found = codes(
            approver_is_beneficiary=one.approver_id == request.person_id,
            approver_is_requester=one.approver_id == request.requester_id,
            deputy_for_beneficiary=one.on_behalf_of_id == request.person_id,
            approver_carried_it_out=doer == one.approver_id,
            beneficiary_carried_it_out=doer == request.person_id,
        )
        if found:
            yield {
                **dict.fromkeys(("rule", "effect", "second_access", "exception_id", "exception_by")),
                **dict.fromkeys(("exception_from", "exception_until")),
                "row_id": f"decision:{one.id}", "what": "one person, two parts", **person_row(request.person),
                **hand.named(request.person, "person_name"), "application": request.entitlement.application.slug,
                "first_access": f"{request.entitlement.application.slug}/{request.entitlement.slug}",
                "since": one.decided_at, **request_row(request), "approvers": hand.title(one.approver),
                "grant_id": grant and str(grant.id), "exceptions": found,
                **hand.support("grant", grant.id if grant else None),
            }  # fmt: skip


@rule("R11")
def emergencies(hand: ByHand) -> Iterator[Row]:
    reviews = {one.break_glass_id: one for one in hand.world.glass_reviews if one.written_at <= hand.known_at}
    known = {one.grant.id: one for one in hand.held}
    for used in hand.world.glasses:
        held = known.get(used.grant_id)
        if held is None or used.opened_at > hand.known_at or not (held.begins < hand.end and held.ends > hand.start):
            continue
        review = reviews.get(used.id)
        told = [
            one.at for one in hand.entries
            if one.correlation == used.correlation_id and one.event == "break_glass.opened"
        ]  # fmt: skip
        is_overdue = review is None and hand.known_at > used.review_due_at
        verdict = "overdue" if is_overdue else "waiting"
        if review:
            verdict = "justified" if review.is_justified else "not justified"
        yield {
            "row_id": f"break_glass:{used.id}", "grant_id": str(used.grant_id), **person_row(used.person),
            **hand.named(used.person, "person_name", "user_name"), **role_row(used.entitlement),
            "reason": used.reason, "opened_at": used.opened_at, "ends_at": open_ended(held.ends),
            "recorded_at": min(told, default=None), "review_due_at": used.review_due_at,
            "reviewer_ref": str(review.reviewer.ref) if review else None,
            "reviewer_name": hand.named(review.reviewer, "person_name")["person_name"] if review else None,
            "reviewed_at": review and review.written_at,
            "hours_to_review": rounded(review.written_at - used.opened_at, HOUR) if review else None,
            "verdict": verdict, "done": review and review.done, "follow_up": review and review.follow_up,
            "exceptions": codes(
                no_review=is_overdue,
                late_review=review and review.written_at > used.review_due_at,
                reviewed_by_user=review and review.reviewer is used.person,
                not_justified=review and not review.is_justified,
            ),
            **hand.support("grant", used.grant_id),
        }  # fmt: skip


# ---------------------------------------------------------------------------------------------- what went wrong


@rule("R14")
def failures(hand: ByHand) -> Iterator[Row]:
    for row in (*_failed_orders(hand), *_bare(hand)):
        raised, resolved = row["raised_at"], row["resolved_at"]
        is_open = resolved is None or resolved >= hand.end
        if hand.in_window(raised) or (raised < hand.start and is_open):
            row["hours_open"] = rounded((resolved or hand.known_at) - raised, HOUR)
            row["exceptions"] = codes(
                still_open=resolved is None,
                removal_failed=row["operation"] == "take",
                seen_without_grant=row["what"] == "seen without grant",
            )
            yield row


def _failed_orders(hand: ByHand) -> Iterator[Row]:
    how = {
        "operation.verified": "read back",
        "operation.released": "called off",
        "operation.confirmed_by_hand": "by hand",
    }
    for order in hand.world.orders:
        about = hand.entries_about("operation", order.id)
        failed = [one for one in about if one.event == "operation.failed"]
        if not failed:
            continue
        latest = max(one.at for one in failed)
        after = [one for one in about if one.event in how and one.at > latest]
        done = after[0] if after else None
        yield {
            "row_id": f"operation:{order.id}", "what": "order", **person_row(order.person),
            **hand.named(order.person, "person_name"), **role_row(order.entitlement), "operation": order.kind,
            "failures": len(failed), "raised_at": min(one.at for one in failed), "cause": order.last_error,
            "resolved_at": done and done.at, "resolved_how": done and how[done.event],
            "resolved_by": done and done.actor[1], "operation_id": str(order.id), "first_entry": failed[0].index,
            "last_entry": (done or failed[0]).index,
        }  # fmt: skip


def _bare(hand: ByHand) -> Iterator[Row]:
    """Return each stretch of time in which something was seen and nothing granted it."""
    for one in hand.seen:
        given = [(held.begins, held.ends) for held in hand.of_pair[one.account.person_id or 0, one.role.id]]
        for since, until in without((one.since, one.gone or OPEN_END), given):
            if since > hand.known_at:
                continue
            gone, granted = until == one.gone, any(begin == until for begin, _ in given)
            yield {
                **dict.fromkeys(("operation", "failures", "cause", "resolved_by", "operation_id")),
                **dict.fromkeys(("first_entry", "last_entry")),
                "row_id": f"holding:{one.id}:{since.astimezone(UTC).strftime('%Y%m%dT%H%M%S.%fZ')}",
                "what": "seen without grant", **person_row(one.account.person),
                **hand.named(one.account.person, "person_name"), **role_row(one.role), "raised_at": since,
                "resolved_at": None if until == OPEN_END else until,
                "resolved_how": "seen gone" if gone else "granted" if granted else None,
            }  # fmt: skip


@rule("R15")
def dormant(hand: ByHand) -> Iterator[Row]:
    telling = {one.application_id for one in hand.world.accounts if one.last_used_at is not None}
    for account in hand.world.accounts:
        gone = hand.by_then(account.gone_at)
        if account.first_seen_at > hand.as_of or not (gone is None or gone > hand.as_of):
            continue
        used = account.last_used_at if account.last_used_at and account.last_used_at <= hand.as_of else None
        is_told = account.application_id in telling and (account.last_used_at is None or used is not None)
        idle = hand.as_of - (used or account.first_seen_at)
        owner, status = hand.owners.get(account.application_id), hand.named(account.person, "status")["status"]
        is_dormant = is_told and idle >= 90 * DAY
        if not (is_dormant or account.kind != "human" or not account.person or status == "left" or owner is None):
            continue
        roles = [one.role for one in hand.seen if one.account is account and one.there(hand.as_of)]
        yield {
            "row_id": f"account:{account.id}", "application": account.application.slug,
            "application_name": account.application.name, "account": account.user_name,
            "account_kind": account.kind, **person_row(account.person),
            **hand.named(account.person, "person_name", "person_status"), "first_seen_at": account.first_seen_at,
            "last_used_at": used, "days_unused": idle // DAY if is_told else None, "use_is_told": is_told,
            "entitlements": " ".join(sorted(one.slug for one in roles)) or None,
            "privileged": any(one.is_privileged for one in roles) if roles else None, "owner": owner,
            "account_id": str(account.id),
            "exceptions": codes(
                dormant=is_dormant, no_person=account.person is None and account.kind == "human",
                person_has_left=status == "left", no_owner=owner is None, shared=account.kind == "shared",
            ),
            **hand.support("account", account.id),
        }  # fmt: skip


@rule("R19")
def out_of_band(hand: ByHand) -> Iterator[Row]:
    for one in hand.world.findings:
        closed = hand.by_then(one.closed_at)
        is_new = hand.in_window(one.first_seen_at)
        was_open = one.first_seen_at < hand.start and (closed is None or closed >= hand.start)
        if one.first_seen_at <= hand.known_at and (is_new or was_open):
            yield {
                "row_id": f"finding:{one.id}", "kind": one.kind, "table_name": one.table, "row_key": one.row,
                "rows": one.rows, "columns": one.columns, "operation": one.operation,
                "database_role": one.database_role, "client": one.application, "first_seen_at": one.first_seen_at,
                "last_seen_at": one.last_seen_at, "owner_ref": one.owner_ref, "explanation": one.explanation,
                "fixed_by": one.fixed_by, "closed_at": closed, "closed_by_ref": one.closed_by_ref,
                "finding_id": str(one.id),
                "exceptions": codes(unexplained=not one.explanation, open=closed is None, no_owner=not one.owner_ref),
                **hand.support("finding", one.id),
            }  # fmt: skip


@rule("R23")
def exposure(hand: ByHand) -> Iterator[Row]:
    window = (hand.start, hand.end)
    for held in hand.real:
        if held.begins <= hand.known_at and held.begins < hand.end and held.ends > hand.start:
            grant = held.grant
            number = grant.rule_version and f"all-staff v{grant.rule_version.number}"
            mine = hand.accounts_of(grant.person, grant.application_id)
            yield {
                "row_id": f"grant:{grant.id}", **_reach(hand, grant.person, grant.entitlement, mine, held.begins),
                "path": grant.cause, "by_way_of": f"R-{grant.request.number}" if grant.request else number,
                "since": held.begins, "until": open_ended(held.ends), "grant_id": str(grant.id),
                "exceptions": codes(left_before=hand.named(grant.person, "status")["status"] == "left"),
                **hand.support("grant", grant.id),
            }  # fmt: skip
    for one in hand.seen:
        person, shown = one.account.person, (max(one.since, window[0]), min(one.gone or OPEN_END, window[1]))
        given = [(held.begins, held.ends) for held in hand.of_pair[one.account.person_id or 0, one.role.id]]
        if shown[0] < shown[1] and without(shown, given):
            mine = hand.accounts_of(person, one.account.application_id) if person else [one.account]
            yield {
                **dict.fromkeys(("by_way_of", "grant_id", "first_entry", "last_entry")),
                "row_id": f"holding:{one.id}", **_reach(hand, person, one.role, mine, one.since),
                "path": "seen, not granted", "since": one.since, "until": one.gone,
                "exceptions": codes(
                    not_granted=True, no_person=person is None,
                    left_before=hand.named(person, "status")["status"] == "left",
                ),
            }  # fmt: skip


def _reach(hand: ByHand, person: Person | None, role: Entitlement, mine: list[Account], since: datetime) -> Row:
    used = max((one.last_used_at for one in mine if hand.by_then(one.last_used_at)), default=None)
    use = "not told"
    if used:
        use = "last used in or after the window" if used >= max(since, hand.start) else "last used before"
    names = hand.named(person, "person_name", "user_name", "department")
    return {**person_row(person), **names, **role_row(role), "last_used_at": used, "use": use}


# ------------------------------------------------------------------------------------------------ the ledger itself


def _entry_rows(hand: ByHand, events: Sequence[str]) -> Iterator[tuple[Told, Row]]:
    people = {str(one.ref): one for one in hand.world.people}
    for one in hand.entries:
        if one.event in events and hand.in_window(one.at):
            actor = people.get(one.actor[1])
            yield one, {
                "row_id": f"entry:{one.index:012}", "entry": one.index, "at": one.at, "event": one.event,
                "actor_kind": one.actor[0], "actor_ref": one.actor[1], "actor_name": actor and actor.display_name,
                "door": one.door, "about": " ".join(f"{kind}:{ref}" for kind, ref in one.subjects),
                "data": _as_jsonb(one.data), "exceptions": "", "first_entry": one.index, "last_entry": one.index,
            }  # fmt: skip


def _as_jsonb(data: dict[str, Any]) -> str:
    """Return JSON as the database spells it: shorter names first."""
    return json.dumps(dict(sorted(data.items(), key=lambda one: (len(one[0]), one[0]))), ensure_ascii=False)


@rule("R16")
def credentials(hand: ByHand) -> Iterator[Row]:
    for one, row in _entry_rows(hand, ("login.failed", "token.issued")):
        yield row | {"exceptions": codes(failed=one.event == "login.failed")}


@rule("R18")
def log_reviews(hand: ByHand) -> Iterator[Row]:
    signed = {one.subjects for one in hand.entries if one.event == "log_review.signed"}
    for one, row in _entry_rows(hand, ("log_review.opened", "log_review.signed")):
        is_due = one.event == "log_review.opened" and datetime.fromisoformat(one.data["due_at"]) <= hand.as_of
        yield row | {"exceptions": codes(late=one.data.get("is_late"), missed=is_due and one.subjects not in signed)}


@rule("R20")
def policy_changes(hand: ByHand) -> Iterator[Row]:
    versions = {one.number: one for one in hand.world.versions}
    for one, row in _entry_rows(hand, ("policy.changed", "connector.saved")):
        number = one.data.get("version")
        is_ours = one.subjects == (("policy", "usual"),)
        after, before = (versions[number], versions.get(number - 1)) if is_ours else (None, None)
        yield row | {
            "proposed_by": None, "approved_by": None, "why": None, "before": _terms(before), "after": _terms(after),
            "exceptions": codes(
                no_second_person=after is not None and number > 1, first_version_alone=after is not None and number == 1
            ),
        }  # fmt: skip


def _terms(version: Any) -> str | None:
    """Return the whole text of a version, but for what only says where it stands."""
    if version is None:
        return None
    left_out = {"id", "policy_id", "number", "effective_at", "created_at", "created_by_ref"}
    names = [field.attname for field in version._meta.concrete_fields if field.attname not in left_out]
    return _as_jsonb({name: _plain(getattr(version, name)) for name in names})


def _plain(value: Any) -> Any:
    if not isinstance(value, timedelta):
        return value
    hours = f"{value.seconds // 3600:02}:00:00"
    return f"{value.days} days" if value.days else hours


@rule("R21")
def retention(hand: ByHand) -> Iterator[Row]:
    yield from (row for _, row in _entry_rows(hand, ("retention.changed", "legal_hold.placed")))


@rule("R22")
def evidence_access(hand: ByHand) -> Iterator[Row]:
    for one, row in _entry_rows(hand, ("evidence.downloaded", "evidence.failed", "engagement.refused")):
        found = codes(failed=one.event == "evidence.failed", refused=one.event == "engagement.refused")
        yield row | {"exceptions": found}


@rule("R17")
def log_integrity(hand: ByHand) -> Iterator[Row]:
    nothing = dict.fromkeys(("number", "first_size", "last_size", "longest_gap_seconds", "entry"))
    nothing |= dict.fromkeys(("first_entry", "last_entry"))
    heads = [(size, at) for size, at in hand.world.heads if size <= hand.asked.ledger_size]
    gaps = list(pairwise(heads))
    inside = [(size, at) for size, at in heads if hand.in_window(at)]
    if inside:
        longest = max((after[1] - before[1] for before, after in gaps if after in inside), default=None)
        yield nothing | {
            "row_id": "heads", "what": "heads", "since": min(at for _, at in inside),
            "until": max(at for _, at in inside), "number": len(inside), "first_size": inside[0][0],
            "last_size": inside[-1][0], "longest_gap_seconds": longest and rounded(longest, timedelta(seconds=1)),
            "said": "signed heads in the window", "exceptions": "",
        }  # fmt: skip
    for before, after in gaps:
        silence = after[1] - before[1]
        if silence > timedelta(minutes=65) and after[1] >= hand.start and before[1] < hand.end:
            yield nothing | {
                "row_id": f"gap:{after[0]:012}", "what": "interruption", "since": before[1], "until": after[1],
                "first_size": before[0], "last_size": after[0],
                "longest_gap_seconds": rounded(silence, timedelta(seconds=1)),
                "said": "no head was signed in between", "exceptions": "interruption",
            }  # fmt: skip
    for one in hand.entries:
        compared = one.event == "ledger.compared"
        begun = one.event == "log.started"
        if hand.in_window(one.at) and (compared or begun or one.event.startswith("checkpoint.anchor")):
            data, about = one.data, " ".join(f"{kind}:{ref}" for kind, ref in one.subjects)
            what = "verification" if compared else "key or log" if begun else "anchor"
            yield nothing | {
                "row_id": f"entry:{one.index:012}", "what": what,
                "since": one.at, "until": one.at, "number": data.get("rows"), "last_size": data.get("size"),
                "said": f"{data['tables']} tables compared, {data['differences']} differences" if compared
                else f"{one.event} {about}",
                "entry": one.index, "first_entry": one.index, "last_entry": one.index,
                "exceptions": codes(
                    differences=data.get("differences"), anchor_failed=one.event == "checkpoint.anchor_failed"
                ),
            }  # fmt: skip

"""Why somebody has, or had, something: the whole chain behind one grant, as far as it is known.

Rule or request, the condition that matched, approvals, changes, the order, the read-back, the end, the removal and how
late it was, what else supports the same access, and the ledger entries. Ordered, sent and read back are three states;
what is not known is none and is said as unknown. A fixed number of statements.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import OuterRef, Q, Subquery

from governance.access.models import Approval, Grant, GrantRevision
from governance.access.queries import WITH_GRANT, covering
from governance.catalog.models import ApproverKind
from governance.core.actor import ActorKind
from governance.core.clock import is_open_ended
from governance.core.errors import NotFound
from governance.identity.conditions.language import InvalidCondition, about_people
from governance.identity.conditions.terms import attributes_of
from governance.identity.conditions.words import name_of, words_of
from governance.identity.models import MembershipRevision, PersonRevision
from governance.identity.queries import names_by_ref
from governance.ledger.queries import SealedEntry, entries
from governance.ledger.recording import Subject
from governance.provisioning.models import Holding, SyncRun

#: What a profile keeps of its past, by the name conditions use. Everything else is not known for a time gone by.
_KEPT = {
    "userName": "user_name",
    "displayName": "display_name",
    "emails": "email",
    "emails.value": "email",
    "title": "title",
    "department": "department",
    "userType": "person_type",
}
_GROUPS = frozenset({"groups", "groups.value", "groups.display"})
MOST_ENTRIES = 50


@dataclass(frozen=True, slots=True)
class Value:
    """What a condition asked about, and what the person said then; `value` is none when that is not known."""

    name: str
    value: str | None


@dataclass(frozen=True, slots=True)
class Matched:
    """The version of a birthright rule that gave it, its condition in words, and what it found in the person."""

    name: str
    slug: str
    version: int
    since: datetime
    condition: str
    words: str
    #: Whom the rule leaves out, in words; empty: nobody.
    but: str
    values: tuple[Value, ...]
    #: The revision of the profile that was in effect, or none when none was known.
    profile: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer at one stage. `by` is none when the policy itself decided."""

    by: str | None
    by_ref: str
    asked_as: str
    is_yes: bool
    at: datetime
    waited: timedelta
    reason: str
    #: The time that was allowed, when it is shorter than what was asked for.
    shortened_to: timedelta | None
    policy: str
    policy_slug: str
    policy_version: int


@dataclass(frozen=True, slots=True)
class Change:
    """One revision: what the interval was from then on, by whom. `ends_at` is none without an end."""

    number: int
    change: str
    at: datetime
    starts_at: datetime
    ends_at: datetime | None
    by: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What the application showed of it. `reading` is the SyncRun that confirmed it last; none: an order did."""

    account: str
    first_at: datetime
    confirmed_at: datetime
    gone_at: datetime | None
    reading: int | None
    reading_is_complete: bool


@dataclass(frozen=True, slots=True)
class Why:
    """The chain behind one grant, as things stand at `at`."""

    at: datetime
    grant: Grant
    matched: Matched | None
    answers: tuple[Answer, ...]
    changes: tuple[Change, ...]
    seen: Seen | None
    #: Other grants for the same access that run now, or ran when this one ended.
    others: tuple[Grant, ...]
    entries: tuple[SealedEntry, ...]
    has_more_entries: bool
    actors: Mapping[str, str]

    @property
    def has_begun(self) -> bool:
        """Tell whether its time has come."""
        return self.grant.starts_at <= self.at

    @property
    def has_ended(self) -> bool:
        """Tell whether its time is over."""
        return self.grant.ends_at <= self.at

    @property
    def was_called_off(self) -> bool:
        """Tell whether it ended before it began, so that it never gave anything."""
        return self.grant.ends_at <= self.grant.starts_at

    @property
    def has_end(self) -> bool:
        """Tell whether it ends by itself, or ended."""
        return not is_open_ended(self.grant.ends_at)

    @property
    def late(self) -> timedelta | None:
        """Return how long after the end the application was read without it; none while it was not."""
        removal = self.grant.take_operation
        if removal is None or removal.verified_at is None:
            return None
        return max(removal.verified_at - self.grant.ends_at, timedelta(0))

    @property
    def given_by(self) -> str:
        """Return who started it."""
        return self.changes[0].by if self.changes else ""


def why(grant: Grant, *, at: datetime, with_entries: bool = True) -> Why:
    """Return the chain behind a grant that was read with `chained`. Seven statements at most, and one about groups."""
    revisions = list(grant.revisions.order_by("number"))
    page = entries(about=Subject("grant", str(grant.pk)), limit=MOST_ENTRIES) if with_entries else None
    found = page.entries if page else ()
    people = {one.actor_ref for one in revisions if one.actor_kind == ActorKind.PERSON}
    people |= {one.actor_ref for one in found if one.actor_kind == ActorKind.PERSON}
    names = names_by_ref(people) if people else {}
    return Why(
        at=at,
        grant=grant,
        matched=_matched(grant),
        answers=_answers(grant),
        changes=tuple(_changes(revisions, names)),
        seen=_seen(grant),
        others=_others(grant, at),
        entries=tuple(reversed(found)),
        has_more_entries=page is not None and page.before is not None,
        actors=names,
    )


#: Everything the chain needs of the grant itself, in its one statement.
CHAINED = (
    "person",
    "entitlement__application",
    "application",
    "request__requester",
    "rule_version__rule",
    "give_operation__confirmed_by",
    "take_operation__confirmed_by",
)


def chained(grant_id: int) -> Grant:
    """Return a grant with all that its chain needs. Raises NotFound."""
    found = Grant.objects.select_related(*CHAINED).filter(pk=grant_id).first()
    if found is None:
        raise NotFound("There is no such access.")
    return found


def actor_words(kind: str, ref: str, names: Mapping[str, str]) -> str:
    """Return who acted: a name, a token, or the part of Gatehouse that acts by itself."""
    if kind == ActorKind.PERSON:
        return names.get(ref, "somebody")
    return f"the token “{ref}”" if kind == ActorKind.SERVICE else f"Gatehouse, {ref}"


def _matched(grant: Grant) -> Matched | None:
    version = grant.rule_version
    if version is None:
        return None
    words, asked = _read(version.condition)
    but, asked_too = _read(version.except_condition)
    revision = _profile(grant)
    return Matched(
        name=version.rule.name,
        slug=version.rule.slug,
        version=version.number,
        since=version.effective_at,
        condition=version.condition,
        words=words,
        but=but,
        values=tuple(_values(grant, revision, asked | asked_too)),
        profile=revision.number if revision else None,
    )


def _read(condition: str) -> tuple[str, frozenset[str]]:
    """Return a condition in words, and what it asks about."""
    if not condition.strip():
        return "", frozenset()
    try:
        term = about_people(condition).term
    except InvalidCondition:
        # Written when the language still knew it; its text is the record.
        return condition, frozenset()
    return words_of(term), attributes_of(term)


def _profile(grant: Grant) -> PersonRevision | None:
    """Return what the person's profile said when the rule gave it."""
    at = grant.created_at
    known = PersonRevision.objects.filter(person_id=grant.person_id, recorded_at__lte=at, effective_at__lte=at)
    return known.order_by("-number").first()


def _values(grant: Grant, revision: PersonRevision | None, asked: frozenset[str]) -> Iterable[Value]:
    for name in sorted(asked - _GROUPS):
        column = _KEPT.get(name)
        if revision is None or (column is None and name != "active"):
            yield Value(name_of(name), None)
        elif name == "active":
            yield Value(name_of(name), "true" if revision.status == "active" else "false")
        else:
            yield Value(name_of(name), str(getattr(revision, column or "")))
    if asked & _GROUPS:
        yield Value("groups", ", ".join(_groups_then(grant)))


def _groups_then(grant: Grant) -> list[str]:
    """Return the groups somebody was in when the rule gave it, by name. One statement."""
    entered = MembershipRevision.objects.filter(person_id=grant.person_id, recorded_at__lte=grant.created_at)
    latest = entered.order_by("group_id", "-recorded_at", "-id").distinct("group_id").select_related("group")
    return sorted(one.group.display_name for one in latest if one.entered)


def _answers(grant: Grant) -> tuple[Answer, ...]:
    request = grant.request
    if request is None:
        return ()
    given = Approval.objects.filter(request=request).select_related("approver", "policy_version__policy")
    return tuple(
        Answer(
            by=one.approver.display_name if one.approver else None,
            by_ref=str(one.approver.ref) if one.approver else "",
            asked_as=_asked_as(one),
            is_yes=one.approved,
            at=one.decided_at,
            waited=one.decided_at - request.created_at,
            reason=one.reason,
            shortened_to=one.duration,
            policy=one.policy_version.policy.name,
            policy_slug=one.policy_version.policy.slug,
            policy_version=one.policy_version.number,
        )
        for one in given.order_by("stage", "decided_at", "id")
    )


def _asked_as(approval: Approval) -> str:
    known = dict(ApproverKind.choices)
    return str(known.get(approval.asked, approval.asked.replace("_", " "))).lower()


def _changes(revisions: Sequence[GrantRevision], names: Mapping[str, str]) -> Iterable[Change]:
    for one in revisions:
        yield Change(
            number=one.number,
            change=one.change,
            at=one.recorded_at,
            starts_at=one.starts_at,
            ends_at=None if is_open_ended(one.ends_at) else one.ends_at,
            by=actor_words(one.actor_kind, one.actor_ref, names),
        )


def _seen(grant: Grant) -> Seen | None:
    """Return what was seen of it: the holding that overlaps it, the latest. One statement."""
    reading = SyncRun.objects.filter(
        application_id=grant.application_id,
        started_at__lte=OuterRef("confirmed_at"),
        finished_at__gte=OuterRef("confirmed_at"),
    ).order_by("-started_at")
    during = Q(gone_at__isnull=True) | Q(gone_at__gt=grant.starts_at)
    found = (
        Holding.objects.filter(
            during,
            account__person_id=grant.person_id,
            account__application_id=grant.application_id,
            entitlement_id=grant.entitlement_id,
        )
        .annotate(
            reading=Subquery(reading.values("pk")[:1]), reading_is_complete=Subquery(reading.values("is_complete")[:1])
        )
        .select_related("account")
        .order_by("-confirmed_at", "-id")
        .first()
    )
    if found is None:
        return None
    return Seen(
        account=found.account.user_name,
        first_at=found.first_seen_at,
        confirmed_at=found.confirmed_at,
        gone_at=found.gone_at,
        reading=found.reading,
        reading_is_complete=bool(found.reading_is_complete),
    )


def _others(grant: Grant, at: datetime) -> tuple[Grant, ...]:
    same = Grant.objects.filter(person_id=grant.person_id, entitlement_id=grant.entitlement_id).exclude(pk=grant.pk)
    instant = min(grant.ends_at, at)
    found = same.filter(covering(at) | covering(instant)).select_related(*WITH_GRANT, "entitlement__application")
    return tuple(found.order_by("starts_at", "id")[:20])

"""The requests of the last 90 days decided again under a draft, from what each of them kept. Changes nothing.

Only requests that were made are known: what was refused when it was asked was never recorded. Who could have decided
is not looked at again; that is what the preview is for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from governance.access.models import AccessRequest
from governance.catalog.models import AccessPolicyVersion
from governance.catalog.policy_terms import PolicyTerms
from governance.core.statements import rows
from governance.identity.conditions.language import about_people
from governance.identity.conditions.predicate import holds
from governance.identity.conditions.terms import Condition, attributes_of
from governance.identity.profiles import Profile, document_from_profile
from governance.policy.facts import PolicyFacts, RequestFacts, StageFacts
from governance.policy.recomputing import CannotRead, facts_of
from governance.policy.risk import Risk
from governance.policy.verdicts import Verdict, decide_request

REPLAYED = timedelta(days=90)
#: So many are decided again at most, and so many while somebody waits for a page.
MOST, AT_ONCE = 20_000, 4_000
NAMED = 50
#: What a revision of a person keeps, as conditions name it.
_KNOWN_THEN = frozenset({"userName", "displayName", "title", "department", "userType", "active"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request at once: refused, declined, automatic, or so many answers needed."""

    kind: str
    answers: int = 0
    reasons: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """Return it in words."""
        if self.kind == "asked":
            return f"{self.answers} {'answer' if self.answers == 1 else 'answers'} needed"
        said = {"refused": "Refused", "declined": "Declined at once", "automatic": "Approved at once"}[self.kind]
        return f"{said}: {' '.join(self.reasons)}" if self.reasons else said


@dataclass(frozen=True, slots=True)
class Difference:
    """A request that the draft would have treated otherwise. `change` is a key of `CHANGES`."""

    number: int
    change: str
    before: Outcome
    after: Outcome


@dataclass(frozen=True, slots=True)
class Unknown:
    """A request that could not be decided again, and why."""

    number: int
    why: str


#: What can be otherwise, in the order in which it matters.
CHANGES = {
    "refused": "would have been refused",
    "declined": "would have been declined at once",
    "automatic": "would have been approved at once",
    "more": "would have needed more answers",
    "less": "would have needed fewer answers",
}


@dataclass(frozen=True, slots=True)
class Replay:
    """How requests since `since` would have gone: the latest `total` of the `made`.

    `unknown_count` of the `total` could not be decided again.
    """

    since: datetime
    made: int
    total: int
    counts: Mapping[str, int]
    differences: tuple[Difference, ...]
    unknown_count: int
    unknown: tuple[Unknown, ...]

    @property
    def different(self) -> int:
        """Return how many would have gone otherwise."""
        return sum(self.counts.values())

    @property
    def same(self) -> int:
        """Return how many would have gone as they did."""
        return self.total - self.unknown_count - self.different

    @property
    def told(self) -> list[tuple[str, int]]:
        """Return what would have been otherwise, in words, and how often; only what happens."""
        return [(words, self.counts[change]) for change, words in CHANGES.items() if self.counts.get(change)]


@dataclass(slots=True)
class Tally:
    """What some requests came to."""

    counts: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)

    @staticmethod
    def place(change: str, number: int) -> tuple[int, int]:
        """Return where a difference stands: what matters most first, then the latest."""
        return _ORDER.index(change), -number

    @property
    def unknown_count(self) -> int:
        """Return how many could not be decided again."""
        return len(self.unknown)

    def named(self) -> tuple[Difference, ...]:
        """Return the differences that matter most, in their order."""
        self.differences.sort(key=lambda each: self.place(each.change, each.number))
        return tuple(self.differences[:NAMED])


_ORDER = list(CHANGES)


@dataclass(frozen=True, slots=True)
class Made:
    """A request as it was made."""

    pk: int
    number: int
    version_id: int
    receipt: Mapping[str, Any]


def replay(draft: PolicyTerms, slug: str, *, at: datetime, most: int = MOST) -> Replay:
    """Return how the requests of the last 90 days for roles under the policy would have gone under the draft.

    The latest `most` of them. Four statements, and the rest is arithmetic.
    """
    since = at - REPLAYED
    made = made_under(slug, since=since, until=at, most=most)
    several = len(made) if len(made) < most else asked_between(slug, since, at).count()
    found = tally(draft, made)
    return Replay(
        since, several, len(made), dict(found.counts), found.named(), found.unknown_count, tuple(found.unknown[:NAMED])
    )


def tally(draft: PolicyTerms, made: Sequence[Made]) -> Tally:
    """Decide some requests again under a draft and return what they came to. Two statements at most."""
    versions = AccessPolicyVersion.objects.only(*_CONDITIONS).in_bulk({one.version_id for one in made})
    profiles = _Profiles(draft, made, versions)
    found = Tally()
    for one in made:
        try:
            before, after = _both(one, draft, versions[one.version_id], profiles)
        except CannotRead as error:
            found.unknown.append(Unknown(one.number, str(error)))
            continue
        change = _change(before, after)
        if change:
            found.counts[change] += 1
            found.differences.append(Difference(one.number, change, before, after))
    return found


def decided_under(facts: RequestFacts, draft: PolicyTerms, said: Mapping[str, bool], risk: Risk) -> Verdict:
    """Return the verdict on a request under a draft. `said` is what its conditions say about the person. Pure."""
    return decide_request(replace(facts, policy=_policy(facts.policy, draft, said)), risk)


_CONDITIONS = ("may_request", "auto_approve", "auto_deny")


def _both(one: Made, draft: PolicyTerms, version: AccessPolicyVersion, profiles: _Profiles) -> tuple[Outcome, Outcome]:
    facts = facts_of(one.receipt)
    risk = Risk(int(one.receipt["risk"]["points"]), int(one.receipt["risk"]["level"]), ())
    kept = one.receipt["verdict"]
    before = _outcome(facts.policy.stages, Verdict(
        reasons=(),
        is_automatic=kept["is_automatic"],
        stages=tuple(kept["stages"]),
        is_denied=kept.get("is_denied", False),
        first_only=kept.get("first_only", False),
        adds_security=kept.get("adds_security", False),
    ))  # fmt: skip
    stored = {"may_request": facts.policy.may_request, "auto_approve": facts.policy.auto_approves,
              "auto_deny": facts.policy.auto_denies}  # fmt: skip
    said = {name: profiles.says(name, one, version, stored) for name in _CONDITIONS}
    verdict = decided_under(facts, draft, said, risk)
    return before, _outcome(_stages(draft), verdict)


def _policy(seen: PolicyFacts, draft: PolicyTerms, said: Mapping[str, bool]) -> PolicyFacts:
    return PolicyFacts(
        version_id=0,
        policy_name=seen.policy_name,
        may_request=said["may_request"],
        auto_approves=said["auto_approve"] and bool(draft.auto_approve.strip()),
        default_duration=draft.default_duration,
        max_duration=draft.max_duration,
        allows_open_end=draft.allows_open_end,
        purposes=draft.purposes,
        requires_ticket=draft.requires_ticket,
        auto_approve_up_to=draft.auto_approve_up_to,
        stages=_stages(draft),
        auto_denies=said["auto_deny"] and bool(draft.auto_deny.strip()),
        ticket_pattern=draft.ticket_pattern,
        never_automatic_from=draft.never_automatic_from,
        needs_security_from=draft.needs_security_from,
        refused_from=draft.refused_from,
        extending=draft.extending,
    )


def _stages(draft: PolicyTerms) -> tuple[StageFacts, ...]:
    return tuple(StageFacts(stage.kind, None, stage.quorum) for stage in draft.route)


def _outcome(stages: Sequence[StageFacts], verdict: Verdict) -> Outcome:
    if verdict.reasons:
        return Outcome("refused", reasons=tuple(reason.sentence for reason in verdict.reasons))
    if verdict.is_denied:
        return Outcome("declined")
    if verdict.is_automatic:
        return Outcome("automatic")
    kept = stages[:1] if verdict.first_only else stages
    return Outcome("asked", sum(stage.quorum for stage in kept) + verdict.adds_security)


def _change(before: Outcome, after: Outcome) -> str:
    """Return in which way an outcome is otherwise; empty when it is not."""
    if (before.kind, before.answers) == (after.kind, after.answers):
        return ""
    if after.kind != "asked":
        return after.kind
    return "more" if before.kind == "automatic" or before.answers < after.answers else "less"


class _Profiles:
    """What the conditions of a draft say about people as they were known when they asked.

    A condition that the version of the request had as well was answered then. For another one the profile of that time
    is asked, when it keeps what the condition reads.
    """

    def __init__(self, draft: PolicyTerms, made: Sequence[Made], versions: Mapping[int, AccessPolicyVersion]) -> None:
        self.draft = {name: getattr(draft, name).strip() for name in _CONDITIONS}
        self.conditions: dict[str, Condition] = {name: about_people(text) for name, text in self.draft.items() if text}
        self.unknown = {name: sorted(attributes_of(one.term) - _KNOWN_THEN) for name, one in self.conditions.items()}
        asked = [one.pk for one in made if self._differ(versions[one.version_id])]
        self.documents = dict(_documents(asked)) if asked else {}

    def says(self, name: str, one: Made, version: AccessPolicyVersion, stored: Mapping[str, bool]) -> bool:
        """Return what a condition says about who a request is for. Raises CannotRead when it cannot."""
        text = self.draft[name]
        if not text:
            return name == "may_request"
        if text == getattr(version, name).strip():
            return stored[name]
        if self.unknown[name]:
            raise CannotRead(f"What was known then does not say: {', '.join(self.unknown[name])}.")
        document = self.documents.get(one.pk)
        if document is None:
            raise CannotRead("No profile of that time is kept.")
        return holds(self.conditions[name], document)

    def _differ(self, version: AccessPolicyVersion) -> bool:
        return any(text and text != getattr(version, name).strip() for name, text in self.draft.items())


def asked_between(slug: str, since: datetime, until: datetime) -> QuerySet[AccessRequest]:
    """Return the requests of a time for roles that stand under a policy."""
    return AccessRequest.objects.filter(entitlement__policy__slug=slug, created_at__gte=since, created_at__lte=until)


def made_under(slug: str, *, since: datetime, until: datetime, before: int | None = None, most: int) -> list[Made]:
    """Return the latest requests for roles under a policy, at most so many; `before` a primary key when given."""
    found = asked_between(slug, since, until).order_by("-id")
    return _made((found if before is None else found.filter(pk__lt=before))[:most])


def by_number(numbers: Sequence[int]) -> list[Made]:
    """Return requests by their numbers."""
    return _made(AccessRequest.objects.filter(number__in=numbers).order_by("-id"))


def _made(found: QuerySet[AccessRequest]) -> list[Made]:
    columns = found.values_list("pk", "number", "policy_version_id", "verdict")
    return [Made(*one) for one in columns.iterator(chunk_size=2000)]


def _documents(request_ids: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the document of who each request is for, as it was known when it was made."""
    for key, user_name, display_name, title, department, person_type, status in rows(_THEN, [list(request_ids)]):
        profile = Profile(
            user_name=user_name,
            display_name=display_name,
            title=title,
            department=department,
            person_type=person_type,
            is_active=status == "active",
        )
        yield key, {**document_from_profile(profile), "active": status == "active"}


_THEN = """
SELECT DISTINCT ON (request.id) request.id, known.user_name, known.display_name, known.title, known.department,
    known.person_type, known.status
FROM access_accessrequest AS request
JOIN identity_personrevision AS known ON known.person_id = request.person_id
    AND known.effective_at <= request.created_at AND known.recorded_at <= request.created_at
WHERE request.id = ANY(%s::bigint[])
ORDER BY request.id, known.effective_at DESC, known.number DESC"""

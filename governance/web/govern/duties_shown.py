"""Rules about duties as their pages show them: what they say, who breaks them, what they held back, exceptions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Prefetch, QuerySet

from governance.access import conflicts
from governance.access.conflicts import Conflict, PersonConflict, Total
from governance.access.models import Grant, Withheld
from governance.access.queries import covering
from governance.catalog.models import Entitlement, SodEffect, SodException, SodMember, SodRuleVersion, SodSide
from governance.core.errors import NotFound
from governance.identity.models import Person, Status
from governance.policy.duties import DutyRule
from governance.web.govern.pages import PAGE_SIZE
from governance.web.govern.reach import Reach
from governance.web.govern.reasons import why


@dataclass(frozen=True, slots=True)
class RuleShown:
    """A version of a rule. `total` is None when nobody counted, as for retired rules."""

    version: SodRuleVersion
    first: tuple[Entitlement, ...]
    second: tuple[Entitlement, ...]
    total: Total | None = None

    @property
    def sentence(self) -> str:
        """Say what the rule forbids."""
        first = _listed([_named(role) for role in self.first], "or")
        if self.version.at_most is None:
            return f"Nobody has {first} together with {_listed([_named(role) for role in self.second], 'or')}."
        return (
            f"Nobody has more than {self.version.at_most} of {_listed([_named(role) for role in self.first], 'and')}."
        )

    @property
    def effect_words(self) -> str:
        """Say what happens when somebody asks for what would break it."""
        return "Refused" if self.version.effect == SodEffect.BLOCK else "Warns who decides"

    @property
    def policy(self) -> DutyRule:
        """Return it as the policy reads it."""
        said = self.version
        return DutyRule(
            rule_id=said.rule_id,
            version_id=said.pk,
            slug=said.rule.slug,
            name=said.name,
            why=said.why,
            severity=said.severity,
            blocks=said.effect == SodEffect.BLOCK,
            first=frozenset(role.pk for role in self.first),
            second=frozenset(role.pk for role in self.second),
            at_most=said.at_most,
        )

    def touches(self, reach: Reach) -> bool:
        """Tell whether it speaks of a role in an application within reach."""
        return any(reach.sees(role.application_id) for role in (*self.first, *self.second))


@dataclass(frozen=True, slots=True)
class Part:
    """One role that breaks a rule, and how somebody came to have it."""

    name: str
    how: str
    since: datetime | None
    #: None: it was only seen there.
    grant_id: int | None = None


@dataclass(frozen=True, slots=True)
class Breaker:
    """Somebody who breaks a rule now."""

    person: Person
    conflict: Conflict
    parts: tuple[Part, ...]


def rules(at: datetime, reach: Reach) -> list[RuleShown]:
    """Return the rules in force within reach, the broken ones first, each with how many break it. Three statements."""
    shown = [each for each in _in_force(at) if each.touches(reach)]
    totals = conflicts.totals([each.policy for each in shown], at=at, application_ids=reach.applications)
    counted = [RuleShown(each.version, each.first, each.second, totals[each.version.rule_id]) for each in shown]
    return sorted(counted, key=_problems_first)


def retired_rules() -> list[RuleShown]:
    """Return the last version of each rule that is out of force. Two statements."""
    return [_shown(version) for version in _latest().filter(rule__retired_at__isnull=False)]


def versions_of(slug: str) -> list[RuleShown]:
    """Return every version of a rule, the latest first. Two statements. Raises NotFound."""
    found = [_shown(version) for version in _versions().filter(rule__slug=slug).order_by("-number")]
    if not found:
        raise NotFound(f"There is no rule called {slug}.")
    return found


def breakers(found: Sequence[Conflict], *, at: datetime) -> list[Breaker]:
    """Return who breaks a rule with how they came to it, in the order of the conflicts. Two statements."""
    people = Person.objects.in_bulk([one.person_id for one in found])
    grants = _grants(found, at)
    return [Breaker(people[one.person_id], one, tuple(_parts(one, grants))) for one in found]


def page_of(rule: DutyRule, *, at: datetime, after: int | None, before: int | None, reach: Reach) -> conflicts.Page:
    """Return a page of those who break a rule within reach."""
    return conflicts.page_of(
        rule, at=at, size=PAGE_SIZE, after=after, before=before, application_ids=reach.applications
    )


def withheld_by(rule_id: int, reach: Reach) -> QuerySet[Withheld]:
    """Return what is held back now because of a rule, the oldest first."""
    return reach.within(_waiting().filter(sod_rule_ids__contains=[rule_id]))


def exceptions_from(rule_id: int) -> list[SodException]:
    """Return the exceptions from a rule, running ones first."""
    found = SodException.objects.filter(rule_id=rule_id).select_related("person", "granted_by", "owner", "ended_by")
    return list(found.order_by("-ends_at", "-id")[:PAGE_SIZE])


def conflicts_of(person: Person, at: datetime, reach: Reach) -> list[PersonConflict]:
    """Return the rules a person breaks and what is held back from them, within reach. One statement."""
    return [one for one in conflicts.of_person(person.pk, at=at) if any(map(reach.sees, one.application_ids))]


def runs(exception: SodException, at: datetime) -> bool:
    """Tell whether an exception covers an instant."""
    return exception.ended_at is None and exception.starts_at <= at < exception.ends_at


def _problems_first(rule: RuleShown) -> tuple[bool, int, str]:
    is_broken = rule.total is not None and rule.total.open > 0
    return not is_broken, -rule.version.severity, rule.version.name


def _in_force(at: datetime) -> list[RuleShown]:
    return [_shown(version) for version in _latest().filter(rule__retired_at__isnull=True, effective_at__lte=at)]


def _latest() -> QuerySet[SodRuleVersion]:
    return _versions().order_by("rule_id", "-number").distinct("rule_id")


def _versions() -> QuerySet[SodRuleVersion]:
    members = SodMember.objects.select_related("entitlement__application").order_by("id")
    return SodRuleVersion.objects.select_related("rule", "owner").prefetch_related(Prefetch("members", members))


def _shown(version: SodRuleVersion) -> RuleShown:
    sides: Mapping[str, list[Entitlement]] = defaultdict(list)
    for member in version.members.all():
        sides[member.side].append(member.entitlement)
    return RuleShown(version, tuple(sides[SodSide.FIRST]), tuple(sides[SodSide.SECOND]))


def _waiting() -> QuerySet[Withheld]:
    waiting = Withheld.objects.filter(ended_at__isnull=True, person__status=Status.ACTIVE)
    return waiting.select_related("person", "entitlement__application", "rule_version__rule").order_by("since", "id")


def _grants(found: Sequence[Conflict], at: datetime) -> Mapping[tuple[int, int], list[Grant]]:
    grants = Grant.objects.filter(
        covering(at),
        person_id__in={one.person_id for one in found},
        entitlement_id__in={role for one in found for role in one.entitlement_ids},
    ).select_related("request", "rule_version__rule", "give_operation")
    by_role: Mapping[tuple[int, int], list[Grant]] = defaultdict(list)
    for grant in grants.order_by("starts_at", "id"):
        by_role[grant.person_id, grant.entitlement_id].append(grant)
    return by_role


def _parts(conflict: Conflict, grants: Mapping[tuple[int, int], list[Grant]]) -> Iterable[Part]:
    for role, name in zip(conflict.entitlement_ids, conflict.names, strict=True):
        reasons = grants.get((conflict.person_id, role), [])
        for grant in reasons:
            yield Part(name, why(grant).title, grant.starts_at, grant.pk)
        if not reasons:
            yield Part(name, "Seen there, nothing explains it", None)


def _named(role: Entitlement) -> str:
    return f"{role.name} in {role.application.name}"


def _listed(names: Sequence[str], word: str) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"

"""Birthright rules: the list in the order in which they decide, and one rule with its versions, people and progress."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Exists, Max, OuterRef, Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from governance.access.models import Grant, RuleRun
from governance.access.queries import covering
from governance.catalog.models import BirthrightRule, BirthrightRuleVersion, Entitlement, RuleEffect
from governance.catalog.rules_queries import birthright_rule, whole_condition
from governance.core.clock import is_open_ended, now
from governance.identity.models import Person, RoleName
from governance.identity.selection import selected
from governance.web.govern.pages import show, sliced
from governance.web.govern.reach import reach_of
from governance.web.roles import needs, standing_of

READERS = (RoleName.OWNER, RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
#: So many earlier runs are shown beside the present one.
RUNS = 3


@dataclass(frozen=True, slots=True)
class RuleShown:
    """A rule with its versions, the latest first; one may be in force, later ones are planned."""

    rule: BirthrightRule
    versions: Sequence[BirthrightRuleVersion]
    at: datetime
    people: int = 0

    @property
    def in_force(self) -> BirthrightRuleVersion | None:
        """Return the version that is in force; none before the first begins, and once it is retired."""
        if self.rule.retired_at is not None:
            return None
        return next((one for one in self._counted if one.effective_at <= self.at), None)

    @property
    def all_planned(self) -> Sequence[BirthrightRuleVersion]:
        """Return the versions that begin later, the next one first; one that was saved after them has replaced them."""
        if self.rule.retired_at is not None:
            return ()
        # From the last number down, each that begins before all of those does so at its time.
        planned: list[BirthrightRuleVersion] = []
        for one in self._counted:
            if one.effective_at <= self.at:
                break
            if not planned or one.effective_at < planned[0].effective_at:
                planned.insert(0, one)
        return planned

    @property
    def planned(self) -> BirthrightRuleVersion | None:
        """Return the version that begins next."""
        return next(iter(self.all_planned), None)

    @property
    def _counted(self) -> Sequence[BirthrightRuleVersion]:
        return [one for one in self.versions if not hasattr(one, "call_off")]

    @property
    def shown(self) -> BirthrightRuleVersion:
        """Return the version to speak of."""
        return self.in_force or self.planned or self.versions[0]

    @property
    def keeps_away(self) -> bool:
        """Tell whether it keeps roles away."""
        return self.shown.effect == RuleEffect.KEEP_AWAY


@needs(*READERS)
@require_GET
def rules(request: HttpRequest) -> HttpResponse:
    """List the rules, those that decide first on top."""
    at = now()
    found = [
        RuleShown(rule, list(rule.versions.all()), at, rule.people)
        for rule in BirthrightRule.objects.annotate(people=_people(at)).prefetch_related(_versions())
    ]
    open_runs = RuleRun.objects.filter(finished_at__isnull=True, due_at__lte=at).values_list("rule_id", "parked_at")
    unfinished = {rule_id for rule_id, parked_at in open_runs if parked_at is None}
    live = [one for one in found if one.rule.retired_at is None]
    context = {
        "page": "policies",
        "rules": sorted(live, key=lambda one: (one.shown.priority, one.rule.pk)),
        "retired": sorted((one for one in found if one.rule.retired_at), key=lambda one: one.rule.name),
        "unfinished": unfinished,
        "parked": {rule_id for rule_id, parked_at in open_runs if parked_at is not None},
        "may_change": standing_of(request).is_security_admin,
    }
    return render(request, "govern/rules.html", context)


@needs(*READERS)
@require_GET
def rule(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a rule: what it says and said, how far it is applied, and who has what by it."""
    at = now()
    found = birthright_rule(slug)
    shown = RuleShown(found, list(_of_versions().filter(rule=found)), at)
    runs = list(
        RuleRun.objects.filter(rule=found, due_at__lte=at)
        .defer("people")
        .select_related("version")
        .order_by("-id")[: RUNS + 1]
    )
    holders = _holders(found, request, at)
    page = sliced(holders, "display_name", request.GET)
    authors, excepted = _named(shown)
    may_change = standing_of(request).is_security_admin
    in_force, kept = shown.in_force, _kept_until([person.pk for person in page.rows], found, at)
    context = {
        "page": "policies",
        "rule": found,
        "shown": shown,
        "runs": runs,
        "is_running": any(run.finished_at is None and run.parked_at is None for run in runs),
        "authors": authors,
        "excepted": excepted,
        "applies_to": _applies_to(in_force) if in_force else 0,
        "holders": [(person, kept.get(person.pk)) for person in page.rows],
        "slice": page,
        "sees_all": reach_of(request).applications is None,
        "may_change": may_change and found.retired_at is None,
        "may_try": may_change,
    }
    return show(request, "govern/rule.html", "progress", context)


def _applies_to(version: BirthrightRuleVersion) -> int:
    people = selected(whole_condition(version.condition, version.except_condition))
    return people.exclude(pk__in=version.except_person_ids).count()


def _holders(found: BirthrightRule, request: HttpRequest, at: datetime) -> QuerySet[Person]:
    """Return who has something by a rule, within the reader's reach."""
    given = reach_of(request).within(Grant.objects.filter(covering(at), rule_version__rule=found))
    return Person.objects.filter(Exists(given.filter(person=OuterRef("pk"))))


def _kept_until(person_ids: Sequence[int], found: BirthrightRule, at: datetime) -> dict[int, datetime]:
    """Return until when people keep what a rule gave that no longer applies to them."""
    given = Grant.objects.filter(covering(at), rule_version__rule=found, person__in=person_ids)
    ends = given.order_by().values("person_id").annotate(last=Max("ends_at"))
    return {one["person_id"]: one["last"] for one in ends if not is_open_ended(one["last"])}


def _named(shown: RuleShown) -> tuple[dict[str, str], dict[int, list[str]]]:
    """Return the names of who wrote the versions, by reference, and of whom each leaves out. One statement."""
    wanted = {key for one in shown.versions for key in one.except_person_ids}
    said_by = [one.created_by_ref for one in shown.versions]
    said_by += [one.call_off.by_ref for one in shown.versions if hasattr(one, "call_off")]
    refs = {one for one in said_by if _is_ref(one)}
    found = Person.objects.filter(Q(pk__in=wanted) | Q(ref__in=refs)).order_by("display_name", "pk")
    people = list(found.only("pk", "ref", "display_name"))
    authors = {str(one.ref): one.display_name for one in people}
    excepted = {
        one.pk: [person.display_name for person in people if person.pk in one.except_person_ids]
        for one in shown.versions
    }
    return authors, excepted


def _is_ref(text: str) -> bool:
    try:
        return bool(UUID(text))
    except ValueError:
        return False


def _people(at: datetime) -> Count:
    running = Q(versions__grants__starts_at__lte=at, versions__grants__ends_at__gt=at)
    return Count("versions__grants__person", filter=running, distinct=True)


def _versions() -> Prefetch[str]:
    return Prefetch("versions", _of_versions())


def _of_versions() -> QuerySet[BirthrightRuleVersion]:
    return BirthrightRuleVersion.objects.select_related("call_off").prefetch_related(_roles()).order_by("-number")


def _roles() -> Prefetch[str]:
    return Prefetch("entitlements", Entitlement.objects.select_related("application").order_by("application__name"))

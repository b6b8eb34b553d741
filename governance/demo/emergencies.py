"""Emergencies at the demo company, one that waits for its review and one that was reviewed; and a few packages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Model

from governance.access import events
from governance.access.break_glass import review_due_at
from governance.access.models import BreakGlass, BreakGlassReview, GrantCause
from governance.catalog import events as catalog_events
from governance.catalog.models import Package, PackageVersion
from governance.demo import staff
from governance.demo.people import Company, Member
from governance.demo.plans import Books, Plan
from governance.demo.shelf import Shelf
from governance.demo.world import World
from governance.ledger.recording import Subject
from governance.policy.durations import whole_seconds

_WHY = {
    "aiko.tanaka": "Clinics cannot sign in since the certificate was replaced; I put the old one back.",
    "jonas.weber": "The backup of the night stopped the scheduler; I start it by hand before the clinics open.",
}
_DONE = "Started the scheduler again, looked at its log for ten minutes, and changed nothing else."
_FOLLOW_UP = "The night's backup now runs after the scheduler has settled."


@dataclass(frozen=True, slots=True)
class _Package:
    slug: str
    name: str
    sentence: str
    roles: tuple[str, ...]


_PACKAGES = (
    _Package(
        "new-engineer",
        "New engineer",
        "What an engineer asks for in the first week, beside what comes with the team.",
        ("amazon-web-services/read-only", "snowflake/analyst", "datadog/editor"),
    ),
    _Package(
        "on-call",
        "On call",
        "For who looks after production for a week.",
        ("amazon-web-services/operator", "datadog/editor"),
    ),
)


def happen(world: World, company: Company, shelf: Shelf, books: Books) -> None:
    """Write what goes with the break-glass grants, and the packages. After everything that draws by chance."""
    admin = company[staff.OTHER_ADMINS[0]]
    for plan in books.by_role["amazon-web-services/administrator"]:
        if plan.cause == GrantCause.BREAK_GLASS:
            opened = _open(world, plan)
            if plan.created_at < world.at - timedelta(days=7):
                _review(world, opened, admin)
    for package in _PACKAGES:
        _offer(world, shelf, package, admin)


def _open(world: World, plan: Plan) -> BreakGlass:
    offer, at = plan.offer, plan.created_at
    opened = world.add(
        BreakGlass(
            grant=plan.row,
            person=plan.member.person,
            entitlement=offer.entitlement,
            policy_version=offer.version_at(at),
            reason=_WHY.get(plan.member.handle, "Production was down and nobody answered."),
            duties=[],
            opened_at=at,
            review_due_at=review_due_at(at),
            correlation_id=plan.actor.correlation_id,
        )
    )
    world.record(
        events.BREAK_GLASS_OPENED,
        *_subjects(opened),
        actor=plan.actor,
        at=at,
        data={
            "duration_seconds": whole_seconds(plan.ends_at - plan.starts_at),
            "ends_at": plan.ends_at.isoformat(),
            "policy_version": opened.policy_version_id,
            "review_due_at": opened.review_due_at.isoformat(),
            "breaks_duties": [],
        },
    )
    return opened


def _review(world: World, opened: BreakGlass, reviewer: Member) -> None:
    at, actor = opened.opened_at + timedelta(hours=5, minutes=20), world.by(reviewer.person)
    world.add(
        BreakGlassReview(
            break_glass=opened,
            reviewer=reviewer.person,
            is_justified=True,
            done=_DONE,
            follow_up=_FOLLOW_UP,
            written_at=at,
            correlation_id=actor.correlation_id,
        )
    )
    world.record(
        events.BREAK_GLASS_REVIEWED,
        *_subjects(opened),
        reviewer.subject,
        actor=actor,
        at=at,
        data={"justified": True, "seconds_late": 0},
    )


def _subjects(opened: BreakGlass) -> Sequence[Subject]:
    return (
        Subject("break_glass", str(opened.pk)),
        Subject("person", str(opened.person.ref)),
        Subject("application", str(opened.entitlement.application_id)),
        Subject("entitlement", str(opened.entitlement_id)),
        Subject("grant", str(opened.grant_id)),
    )


def _offer(world: World, shelf: Shelf, package: _Package, keeper: Member) -> None:
    at, actor = world.workday(41), world.by(keeper.person)
    row = world.add(Package(slug=package.slug, created_at=at))
    version = world.add(
        PackageVersion(
            package=row,
            number=1,
            effective_at=at,
            created_by_ref=actor.ref,
            name=package.name,
            sentence=package.sentence,
        )
    )
    link: type[Model] = PackageVersion.entitlements.through
    roles = [shelf[name].entitlement for name in package.roles]
    for role in roles:
        world.add(link(packageversion_id=version.pk, entitlement_id=role.pk))
    world.record(
        catalog_events.PACKAGE_CHANGED,
        Subject("package", package.slug),
        *(Subject("entitlement", str(role.pk)) for role in sorted(roles, key=lambda one: one.pk)),
        actor=actor,
        at=at,
        data={"version": 1, "roles": len(roles)},
    )

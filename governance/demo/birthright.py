"""Access by role over the year: what the rules gave to whom, from when until when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from governance.access.models import EndCause, GrantCause
from governance.catalog.models import BirthrightRuleVersion
from governance.core.clock import OPEN_END
from governance.demo.people import Company, Member, Stage
from governance.demo.plans import Books, Ending, Plan
from governance.demo.shelf import Offer, Rule, Shelf
from governance.demo.world import World, from_directory
from governance.identity.conditions.language import about_people
from governance.identity.conditions.predicate import holds
from governance.identity.models import Status

#: What people of one department have by hand.
DEPARTMENT, BY_HAND = "Product", "looker/viewer"


def give_birthright(world: World, company: Company, shelf: Shelf, books: Books) -> None:
    """Plan what the birthright rules gave."""
    for rule in shelf.birthright:
        condition = about_people(rule.condition)
        for member in company:
            matches = [
                stage.status == Status.ACTIVE and holds(condition, member.document_at(stage)) for stage in member.stages
            ]
            for first, after in _spells(member.stages, matches):
                _give(world, books, member, rule, first, after)


def give_by_hand(world: World, company: Company, shelf: Shelf, books: Books) -> None:
    """Plan what most of a department got by hand over the year, so that a rule for it suggests itself."""
    offer = shelf[BY_HAND]
    first = world.workday(150)
    early = [
        member
        for member in company
        if member.person.department == DEPARTMENT
        and member.person.status == Status.ACTIVE
        and member.stages[0].recorded_at < first
        and not books.by_person_and_role[member.handle, BY_HAND]
        and not books.asks_by_person_and_role[member.handle, BY_HAND]
    ]
    for number, member in enumerate(early):
        if number % 8:
            at = world.workday(150 - 3 * number)
            actor = world.system("rollout")
            books.keep(Plan(member, offer, GrantCause.MANUAL, at, OPEN_END, at, actor))


def _spells(stages: list[Stage], matches: list[bool]) -> Iterator[tuple[Stage, Stage | None]]:
    """Yield each unbroken run of matching stages: its first stage, and the one after it, if any."""
    first: Stage | None = None
    for stage, matched in zip(stages, matches, strict=True):
        if matched and first is None:
            first = stage
        elif not matched and first is not None:
            yield first, stage
            first = None
    if first is not None:
        yield first, None


def _give(world: World, books: Books, member: Member, rule: Rule, first: Stage, after: Stage | None) -> None:
    for offer, version in rule.gives:
        starts_at = max(first.recorded_at, version.effective_at)
        if after is not None and starts_at >= after.recorded_at:
            continue
        plan = _plan(world, member, offer, version, starts_at, first)
        if after is not None and after.status == Status.ACTIVE:
            plan.ending = Ending(after.recorded_at, EndCause.RULE, from_directory(after.correlation_id))
        books.keep(plan)


def _plan(
    world: World, member: Member, offer: Offer, version: BirthrightRuleVersion, starts_at: datetime, stage: Stage
) -> Plan:
    by_rule = starts_at > stage.recorded_at
    actor = world.system("rollout") if by_rule else from_directory(stage.correlation_id)
    # At the rollout the rules came after the applications, these after the people.
    starts_at += timedelta(hours=1) if starts_at == world.rollout_at else timedelta(0)
    return Plan(member, offer, GrantCause.BIRTHRIGHT, starts_at, OPEN_END, starts_at, actor, version=version)

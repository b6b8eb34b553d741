"""Rules about duties at the demo company: one that somebody breaks, one with an exception, one that nobody breaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from governance.catalog import events
from governance.catalog.models import Risk, SodEffect, SodException, SodMember, SodRule, SodRuleVersion, SodSide
from governance.demo import staff
from governance.demo.people import Company, Member
from governance.demo.plans import Books
from governance.demo.shelf import Shelf
from governance.demo.world import World
from governance.ledger.recording import Subject


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule. Roles are named by application and role; with `at_most`, `second` is empty."""

    slug: str
    name: str
    why: str
    first: tuple[str, ...]
    second: tuple[str, ...] = ()
    at_most: int | None = None
    severity: int = Risk.HIGH
    effect: str = SodEffect.BLOCK


_MONEY_OUT = _Rule(
    "pay-and-refund",
    "Pay invoices and give money back",
    "Somebody with both can pay an invoice and hide it behind a refund.",
    ("oracle-netsuite/payables",),
    ("stripe/refunds", "stripe/admin"),
)
_SIGN_AND_SET_UP = _Rule(
    "approve-and-set-up",
    "Approve payments and set up where they go",
    "Somebody with both can approve a payment to an account they entered themselves.",
    ("oracle-netsuite/approver",),
    ("stripe/admin",),
    severity=Risk.CRITICAL,
)
_FEW_KEYS = _Rule(
    "few-keys",
    "Few keys to production",
    "With three of these, one stolen laptop is enough to take everything.",
    (
        "amazon-web-services/administrator",
        "kubernetes/cluster-admin",
        "postgresql/superuser",
        "snowflake/sysadmin",
        "okta/super-admin",
    ),
    at_most=2,
    effect=SodEffect.WARN,
)
_RULES = (_MONEY_OUT, _SIGN_AND_SET_UP, _FEW_KEYS)
_SINCE, _EXCEPTED_SINCE, _EXCEPTED_FOR = 12.0, 11.0, timedelta(days=90)
_REASON = "The new controller begins next quarter; until then treasury checks the payouts every week."


def separate(world: World, company: Company, shelf: Shelf, books: Books) -> None:
    """Write the rules as of some days ago, and the exception of those who break the second.

    After everything that draws by chance: what was asked for and given is the same as without.
    """
    admins = [company[name] for name in staff.OTHER_ADMINS]
    for rule in _RULES:
        row = _write(world, shelf, rule, owner=admins[0])
        if rule is _SIGN_AND_SET_UP:
            for member in _breaking(world, company, books, rule):
                _except(world, row, member, admins)


def _write(world: World, shelf: Shelf, rule: _Rule, *, owner: Member) -> SodRule:
    at, actor = world.workday(_SINCE), world.by(owner.person)
    row = world.add(SodRule(slug=rule.slug, name=rule.name, created_at=at))
    version = world.add(
        SodRuleVersion(
            rule=row,
            number=1,
            effective_at=at,
            created_at=at,
            created_by_ref=actor.ref,
            name=rule.name,
            why=rule.why,
            at_most=rule.at_most,
            severity=rule.severity,
            effect=rule.effect,
            owner=owner.person,
        )
    )
    sides = ((SodSide.FIRST, rule.first), (SodSide.SECOND, rule.second))
    for side, names in sides:
        for name in names:
            world.add(SodMember(version=version, entitlement=shelf[name].entitlement, side=side))
    first, second = ([shelf[name].entitlement.pk for name in names] for _, names in sides)
    world.record(
        events.SOD_RULE_CHANGED,
        Subject("sod_rule", rule.slug),
        Subject("person", str(owner.person.ref)),
        *(Subject("entitlement", str(key)) for key in (*first, *second)),
        actor=actor,
        at=at,
        data={
            "version": 1,
            "first": first,
            "second": second,
            "at_most": rule.at_most,
            "severity": int(rule.severity),
            "effect": str(rule.effect),
        },
    )
    return row


def _breaking(world: World, company: Company, books: Books, rule: _Rule) -> list[Member]:
    """Return who has one of the first roles together with one of the second now, by name."""
    holders = [
        {plan.member.handle for name in names for plan in books.by_role[name] if plan.covers(world.at)}
        for names in (rule.first, rule.second)
    ]
    return [company[handle] for handle in sorted(holders[0] & holders[1])]


def _except(world: World, rule: SodRule, member: Member, admins: Sequence[Member]) -> None:
    at = world.workday(_EXCEPTED_SINCE)
    granter, owner = [one for one in admins if one.handle != member.handle][:2]
    exception = world.add(
        SodException(
            rule=rule,
            person=member.person,
            reason=_REASON,
            granted_by=granter.person,
            owner=owner.person,
            starts_at=at,
            ends_at=at + _EXCEPTED_FOR,
        )
    )
    world.record(
        events.SOD_EXCEPTION_GRANTED,
        Subject("sod_exception", str(exception.pk)),
        Subject("sod_rule", rule.slug),
        Subject("person", str(member.person.ref)),
        actor=world.by(granter.person),
        at=at,
        data={
            "ends_at": exception.ends_at.isoformat(),
            "owner": str(owner.person.ref),
            "granted_by": str(granter.person.ref),
        },
        private={"reason": (str(member.person.ref), _REASON)},
    )

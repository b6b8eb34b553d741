"""What can be had at the demo company: applications, roles, owners, policies, birthright rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Model

from governance.catalog import events, shipped
from governance.catalog.models import (
    AccessPolicy,
    AccessPolicyVersion,
    Application,
    ApplicationOwner,
    BirthrightRule,
    BirthrightRuleVersion,
    Entitlement,
    RuleEffect,
)
from governance.demo import rules
from governance.demo.people import Company, Member, assign_role
from governance.demo.software import App, Role, applications
from governance.demo.world import World
from governance.identity.models import RoleName
from governance.ledger.recording import Subject
from governance.provisioning.models import Connector, ConnectorKind

#: Shown where connectors are set up. What was read before came with the demo; new orders wait to be ticked off.
NOT_CONNECTED = "Nothing is connected here in the demo; the readings were loaded with it"


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """A role on the shelf, with the rows behind it."""

    app: App
    role: Role
    application: Application
    entitlement: Entitlement
    owners: tuple[Member, ...]
    #: The versions of its policy, the first one first.
    versions: tuple[AccessPolicyVersion, ...]

    @property
    def key(self) -> str:
        """Return application and role, as rules name them."""
        return f"{self.app.id}/{self.role.slug}"

    def version_at(self, at: datetime) -> AccessPolicyVersion:
        """Return the version of the policy in force at an instant."""
        return next(version for version in reversed(self.versions) if version.effective_at <= at)


@dataclass(frozen=True, slots=True)
class Rule:
    """A birthright rule: each role it gives, the version that brought it, since when."""

    name: str
    condition: str
    gives: tuple[tuple[Offer, BirthrightRuleVersion], ...]


@dataclass(slots=True)
class Shelf:
    """Everything that can be had."""

    offers: dict[str, Offer] = field(default_factory=dict)
    birthright: list[Rule] = field(default_factory=list)

    def __getitem__(self, name: str) -> Offer:
        return self.offers[name]

    def __iter__(self) -> Iterator[Offer]:
        return iter(self.offers.values())

    def applications(self) -> list[tuple[App, Application]]:
        """Return each application once."""
        return list({offer.application.pk: (offer.app, offer.application) for offer in self}.values())


def stock(world: World, company: Company) -> Shelf:
    """Return what can be had, with its rows and ledger entries."""
    shelf = Shelf()
    policies = {policy.slug: _policy(world, policy) for policy in rules.POLICIES}
    for number, app in enumerate(applications()):
        at = world.workday(17) if app.is_relay else world.rollout_at + timedelta(minutes=10 + number)
        _put_up(world, company, shelf, app, policies, at)
    shelf.birthright = [_rule(world, shelf, rule) for rule in rules.BIRTHRIGHT]
    owners = {member.handle: member for offer in shelf for member in offer.owners}
    for member in sorted(owners.values(), key=lambda one: one.person.pk):
        assign_role(world, member, RoleName.OWNER)
    return shelf


def since(world: World, days_ago: float) -> datetime:
    """Return when a rule took effect that did so many days ago: at the rollout, on a day, or now."""
    if days_ago >= 400:
        return world.rollout_at
    return world.workday(days_ago) if days_ago else world.at


def _policy(world: World, policy: rules.Policy) -> tuple[AccessPolicy, tuple[AccessPolicyVersion, ...]]:
    created_at = since(world, policy.versions[0][0])
    row = world.add(AccessPolicy(slug=policy.slug, name=policy.name, created_at=created_at))
    versions = []
    for number, (days_ago, terms) in enumerate(policy.versions, 1):
        at, actor = since(world, days_ago), world.system("rollout")
        version = AccessPolicyVersion(
            policy=row, number=number, effective_at=at, created_at=at, created_by_ref=actor.ref, **terms.columns()
        )
        versions.append(world.add(version))
        data: dict[str, object] = {"version": number, "stages": version.stage_kinds}
        world.record(events.POLICY_CHANGED, Subject("policy", policy.slug), actor=actor, at=at, data=data)
    return row, tuple(versions)


def _put_up(
    world: World,
    company: Company,
    shelf: Shelf,
    app: App,
    policies: dict[str, tuple[AccessPolicy, tuple[AccessPolicyVersion, ...]]],
    at: datetime,
) -> None:
    application = world.add(_application(app, at))
    actor, subject = world.system("rollout"), Subject("application", str(application.pk))
    world.record(events.APPLICATION_ADDED, subject, actor=actor, at=at, data={"slug": application.slug})
    owners = tuple(company[name] for name in app.owners)
    for owner in owners:
        world.add(ApplicationOwner(application=application, person_id=owner.person.pk, since=at))
    world.record(events.OWNERS_CHANGED, subject, *(owner.subject for owner in owners), actor=actor, at=at)
    for role in app.roles:
        policy, versions = policies[role.policy]
        entitlement = world.add(_entitlement(app, role, application, policy, at))
        data: dict[str, object] = {"slug": role.slug, "risk": role.risk}
        itself = Subject("entitlement", str(entitlement.pk))
        world.record(events.ENTITLEMENT_ADDED, itself, subject, actor=actor, at=at, data=data)
        offer = Offer(app, role, application, entitlement, owners, versions)
        shelf.offers[offer.key] = offer
    if not app.is_relay:
        world.add(
            Connector(
                application=application,
                kind=ConnectorKind.MANUAL,
                last_error="" if app.by_hand else NOT_CONNECTED,
                created_at=at,
            )
        )


def _application(app: App, at: datetime) -> Application:
    made_here = app.is_relay
    listed = None if made_here else shipped.application(app.id)
    return Application(
        slug=app.id,
        name=app.name or (listed.name if listed else ""),
        description=app.description or (listed.description if listed else ""),
        category=app.category or (listed.category if listed else ""),
        catalogue_id="" if made_here else app.id,
        icon=listed.icon if listed else "",
        risk=app.risk,
        data_classes=list(app.data),
        created_at=at,
    )


def _entitlement(app: App, role: Role, application: Application, policy: AccessPolicy, at: datetime) -> Entitlement:
    return Entitlement(
        application=application,
        slug=role.slug,
        name=role.name,
        kind=role.kind,
        target_ref=f"{application.name} {role.name}" if app.is_relay else role.slug,
        sentence=role.sentence,
        risk=role.risk,
        data_classes=list(role.data),
        is_privileged=role.privileged,
        is_requestable=role.requestable,
        policy=policy,
        created_at=at,
    )


def _rule(world: World, shelf: Shelf, rule: rules.Birthright) -> Rule:
    created_at = since(world, rule.days_ago)
    row = world.add(BirthrightRule(slug=rule.slug, name=rule.name, created_at=created_at))
    first = _rule_version(world, shelf, row, rule, 1, rule.gives, created_at)
    gives = [(shelf[name], first) for name in rule.gives]
    if rule.added:
        every = (*rule.gives, *rule.added)
        second = _rule_version(world, shelf, row, rule, 2, every, since(world, rule.added_days_ago))
        gives += [(shelf[name], second) for name in rule.added]
    return Rule(rule.name, rule.condition, () if rule.keeps_away else tuple(gives))


def _rule_version(
    world: World,
    shelf: Shelf,
    row: BirthrightRule,
    rule: rules.Birthright,
    number: int,
    gives: tuple[str, ...],
    at: datetime,
) -> BirthrightRuleVersion:
    actor = world.system("rollout")
    version = world.add(
        BirthrightRuleVersion(
            rule=row,
            number=number,
            effective_at=at,
            created_at=at,
            created_by_ref=actor.ref,
            condition=rule.condition,
            effect=RuleEffect.KEEP_AWAY if rule.keeps_away else RuleEffect.GIVE,
            priority=rule.priority,
            grace=timedelta(days=rule.grace_days),
        )
    )
    link: type[Model] = BirthrightRuleVersion.entitlements.through
    for name in gives:
        world.add(link(birthrightruleversion_id=version.pk, entitlement_id=shelf[name].entitlement.pk))
    subjects = [Subject("entitlement", str(shelf[name].entitlement.pk)) for name in gives]
    world.record(
        events.RULE_CHANGED, Subject("rule", row.slug), *subjects, actor=actor, at=at, data={"version": number}
    )
    return version

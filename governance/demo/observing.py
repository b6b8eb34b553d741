"""What the applications showed: accounts and what is held on them, from orders that were read back, and beyond them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from governance.catalog.models import Application
from governance.demo import staff
from governance.demo.ordering import Ordered
from governance.demo.people import Company, Member
from governance.demo.plans import Plan
from governance.demo.shelf import Offer, Shelf
from governance.demo.software import App
from governance.demo.world import World
from governance.provisioning.models import Account, AccountKind, Holding, OperationKind

#: An account that was not used for so long is dormant.
_DORMANT_DAYS = (95, 260)


@dataclass(slots=True)
class Seen:
    """Everything seen in applications. Rows get their ids at the end, in the order in which they were seen."""

    world: World
    accounts: dict[tuple[int, str], Account] = field(default_factory=dict)
    holdings: list[Holding] = field(default_factory=list)
    open: dict[tuple[int, str, int], Holding] = field(default_factory=dict)
    apps: dict[int, App] = field(default_factory=dict)
    #: Accounts by application, in the order in which they were seen.
    by_application: dict[int, list[Account]] = field(default_factory=lambda: defaultdict(list))

    def account(self, app: App, application: Application, name: str, at: datetime, **about: object) -> Account:
        """Return the account of this user name, seen now for the first time or again."""
        self.apps[application.pk] = app
        found = self.accounts.get((application.pk, name))
        if found is None:
            found = Account(
                application=application,
                target_id=self.world.word(24),
                user_name=name,
                first_seen_at=at,
                confirmed_at=at,
                **about,
            )
            self.accounts[application.pk, name] = found
            self.by_application[application.pk].append(found)
        return found

    def hold(self, account: Account, offer: Offer, at: datetime) -> None:
        """See a role on an account, now or still."""
        place = (account.application_id, account.user_name, offer.entitlement.pk)
        if place not in self.open:
            holding = Holding(account=account, entitlement=offer.entitlement, first_seen_at=at, confirmed_at=at)
            self.open[place] = holding
            self.holdings.append(holding)

    def lose(self, account: Account, offer: Offer, at: datetime) -> None:
        """See that a role is gone from an account."""
        holding = self.open.pop((account.application_id, account.user_name, offer.entitlement.pk), None)
        if holding is not None:
            holding.gone_at = at
            holding.confirmed_at = max(holding.first_seen_at, at - timedelta(minutes=15))

    def of(self, member: Member, offer: Offer) -> Account | None:
        """Return somebody's account in the application of a role."""
        return self.accounts.get((offer.application.pk, member.person.user_name))


def observe(world: World, company: Company, shelf: Shelf, orders: list[Ordered]) -> Seen:
    """Return what the applications showed by now."""
    seen = Seen(world)
    verified = [order for order in orders if order.operation.verified_at is not None]
    for order in sorted(verified, key=lambda one: (one.operation.verified_at, one.operation.pk)):
        _see(seen, order)
    _see_what_failed_to_go(seen, orders)
    _add_unexplained(seen, company, shelf, orders)
    _lose_unexplained(seen, orders)
    _add_orphans(seen, shelf)
    return seen


def write_accounts(world: World, seen: Seen, last_read: dict[int, datetime]) -> None:
    """Make the rows, confirmed when their application was last read completely."""
    for account in sorted(seen.accounts.values(), key=lambda one: (one.first_seen_at, one.application_id)):
        account.confirmed_at = max(account.first_seen_at, last_read[account.application_id])
        if account.gone_at is not None:
            account.confirmed_at = max(account.first_seen_at, account.gone_at - timedelta(minutes=15))
        account.last_used_at = _last_used(world, account)
        world.add(account)
    for holding in sorted(seen.holdings, key=lambda one: (one.first_seen_at, one.account.pk)):
        if holding.gone_at is None:
            holding.confirmed_at = max(holding.first_seen_at, last_read[holding.account.application_id])
        holding.account_id = holding.account.pk
        world.add(holding)


def _see(seen: Seen, order: Ordered) -> None:
    operation, plan = order.operation, order.plan
    at = operation.verified_at
    assert at is not None
    account = _account_of(seen, plan, at)
    if operation.kind == OperationKind.GIVE:
        account.is_active, account.gone_at = True, None
        seen.hold(account, plan.offer, at)
        return
    seen.lose(account, plan.offer, at)
    if operation.closes_account:
        account.is_active, account.gone_at = False, at


def _account_of(seen: Seen, plan: Plan, at: datetime) -> Account:
    person = plan.member.person
    was_there = at < seen.world.rollout_at + timedelta(days=1)
    return seen.account(
        plan.offer.app,
        plan.offer.application,
        person.user_name,
        at,
        display_name=person.display_name,
        email=person.email,
        person_id=person.pk,
        linked_by="email" if was_there else "created",
    )


def _see_what_failed_to_go(seen: Seen, orders: list[Ordered]) -> None:
    """An account on which a removal failed is still open."""
    for order in orders:
        account = seen.of(order.plan.member, order.plan.offer)
        if account is not None and order.operation.kind == OperationKind.TAKE and order.operation.failed_at is not None:
            account.is_active, account.gone_at = True, None


#: Powerful roles that people have in applications without any reason on record: departments, role, how many.
UNEXPLAINED = (
    ("Engineering", "github-organization/owner", 2),
    ("Engineering", "amazon-web-services/administrator", 1),
    ("Engineering", "datadog/admin", 2),
    ("Engineering", "kubernetes/cluster-admin", 1),
    ("Engineering", "launchdarkly/writer", 3),
    ("Data", "snowflake/sysadmin", 2),
    ("Data", "looker/developer", 2),
    ("Product", "notion/owner", 2),
    ("Engineering", "figma/editor", 2),
    ("Clinical", "box/study-reader", 2),
    ("Support", "zendesk/admin", 2),
    ("Support", "stripe/refunds", 2),
    ("Sales", "hubspot/super-admin", 2),
    ("Sales", "salesforce/export", 3),
    ("Finance", "docusign/admin", 1),
    ("People", "greenhouse/recruiter", 1),
    ("Security", "okta/super-admin", 1),
)


def _add_unexplained(seen: Seen, company: Company, shelf: Shelf, orders: list[Ordered]) -> None:
    covered = {(one.plan.member.handle, one.plan.offer.key) for one in orders}
    world = seen.world
    for department, key, number in UNEXPLAINED:
        offer = shelf[key]
        people = [one for one in company.active(department) if (one.handle, key) not in covered]
        for member in world.chance.sample(people, number):
            at = world.workday(world.chance.randrange(12, 320), first_hour=3, last_hour=4)
            at = max(at, member.stages[-1].effective_at)
            account = seen.account(
                offer.app,
                offer.application,
                member.person.user_name,
                at,
                display_name=member.person.display_name,
                email=member.person.email,
                person_id=member.person.pk,
                linked_by="user_name",
            )
            account.is_active, account.gone_at = True, None
            seen.hold(account, offer, max(at, account.first_seen_at))


def _lose_unexplained(seen: Seen, orders: list[Ordered]) -> None:
    """Some of what was given is not there any more: somebody took it away inside the application."""
    world = seen.world
    standing = [
        order.plan
        for order in orders
        if order.operation.kind == OperationKind.GIVE
        and order.operation.verified_at is not None
        and order.plan.covers(world.at)
        and order.plan.starts_at < world.at - timedelta(days=90)
        and order.plan.offer.role.policy in ("standard", "sensitive")
    ]
    for plan in world.chance.sample(standing, 7):
        account = seen.of(plan.member, plan.offer)
        assert account is not None
        seen.lose(account, plan.offer, world.workday(world.chance.randrange(2, 40), first_hour=3, last_hour=4))


_SERVICE, _SHARED, _HUMAN = AccountKind.SERVICE, AccountKind.SHARED, AccountKind.HUMAN
#: Accounts without a person: user name, name shown, kind, roles, first seen days ago (400: since the rollout).
ORPHANS = (
    ("svc-backup", "Backup service", _SERVICE, ("amazon-web-services/administrator", "snowflake/sysadmin"), 400),
    ("svc-ci", "Build service", _SERVICE, ("github-organization/owner", "amazon-web-services/operator"), 400),
    ("svc-export", "Nightly export", _SERVICE, ("snowflake/phi-analyst",), 340),
    ("zapier-sync", "Automation of marketing", _SERVICE, ("hubspot/super-admin", "slack/admin"), 250),
    ("grafana-agent", "Monitoring agent", _SERVICE, ("kubernetes/view", "amazon-web-services/read-only"), 400),
    ("bi-loader", "Report loader", _SERVICE, ("looker/developer",), 190),
    ("svc-signing", "Contract signing", _SERVICE, ("docusign/admin",), 131),
    ("terraform", "Infrastructure as code", _SERVICE, ("cloudflare/admin", "okta/super-admin"), 400),
    ("front-desk", "Front desk", _SHARED, ("zoom/webinar", "slack/member"), 400),
    ("marketing", "Marketing team", _SHARED, ("hubspot/marketer", "figma/editor"), 400),
    ("oncall-phone", "On-call phone", _SHARED, ("pagerduty/responder",), 288),
    (f"k.olsen@{staff.DOMAIN}", "Kirsten Olsen", _HUMAN, ("github-organization/write", "figma/editor"), 400),
    (f"r.achterberg@{staff.DOMAIN}", "Ruud Achterberg", _HUMAN, ("salesforce/export", "gong/listener"), 400),
    (f"p.lavigne@{staff.DOMAIN}", "Pascale Lavigne", _HUMAN, ("zendesk/admin",), 400),
    (f"j.mbeki@{staff.DOMAIN}", "Joy Mbeki", _HUMAN, ("box/study-reader",), 400),
    (f"old.admin@{staff.DOMAIN}", "Former administrator", _HUMAN, ("google-workspace/groups-admin",), 400),
    (f"s.iversen@{staff.DOMAIN}", "Signe Iversen", _HUMAN, ("stripe/refunds",), 400),
    ("dana.whitlock@mail.example", "Dana W.", _HUMAN, ("hubspot/super-admin", "zendesk/agent"), 212),
    (
        "devbench.freelance@post.example",
        "Freelance developer",
        _HUMAN,
        ("github-organization/write", "sentry/member"),
        154,
    ),
    ("tomas.h@mail.example", "Tomás H.", _HUMAN, ("looker/viewer",), 98),
    ("agency@brightfold.example", "Brightfold agency", _HUMAN, ("figma/editor", "hubspot/viewer"), 76),
    ("m.lind@mail.example", "Maya L", _HUMAN, ("notion/guest",), 43),
    ("trial-user-7", "Trial user 7", _HUMAN, ("mixpanel/analyst",), 21),
    ("contractor.temp@northbeam.example", "Northbeam temp", _HUMAN, ("datadog/editor",), 9),
)


def _add_orphans(seen: Seen, shelf: Shelf) -> None:
    world = seen.world
    for name, shown, kind, keys, days_ago in ORPHANS:
        at = world.rollout_at + timedelta(hours=4) if days_ago == 400 else world.workday(days_ago, last_hour=8)
        for key in keys:
            offer = shelf[key]
            email = name if "@" in name else ""
            account = seen.account(offer.app, offer.application, name, at, display_name=shown, kind=kind, email=email)
            seen.hold(account, offer, at)


def _last_used(world: World, account: Account) -> datetime | None:
    """Return when an account was last used: lately, long ago, or never."""
    fate = world.chance.random()
    days = world.chance.uniform(*_DORMANT_DAYS) if fate < 0.08 else world.chance.expovariate(1 / 4)
    at = world.at - timedelta(days=days, minutes=world.chance.randrange(1, 600))
    if not account.is_active:
        at = account.first_seen_at + (world.at - account.first_seen_at) * 0.5
    at = at.replace(microsecond=0)
    return at if fate < 0.97 and at > account.first_seen_at else None

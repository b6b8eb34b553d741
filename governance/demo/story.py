"""What happens at Halden Health right now, and the few things that went wrong: what a visitor should find at once."""

from __future__ import annotations

from datetime import datetime, timedelta

from governance.access.models import GrantCause, RequestState
from governance.core.clock import OPEN_END
from governance.demo import staff
from governance.demo.asking import Desk
from governance.demo.mishaps import NO_LICENCE, failed, who_left
from governance.demo.people import Member
from governance.demo.plans import Course, Plan
from governance.demo.shelf import Offer

#: Who (a handle or a department), what, minutes left, minutes in all.
RUNNING = (
    ("maya.lindqvist", "amazon-web-services/operator", 132, 240),
    ("maya.lindqvist", "kubernetes/edit", 18, 120),
    ("aiko.tanaka", "postgresql/masked", 64, 120),
    ("devon.mcallister", "launchdarkly/writer", 27, 60),
    ("tomas.herrera", "snowflake/phi-analyst", 200, 480),
    ("jonas.weber", "github-organization/owner", 95, 120),
    ("Engineering", "amazon-web-services/operator", 6, 60),
    ("Engineering", "postgresql/read", 41, 60),
    ("Engineering", "github-organization/release", 150, 240),
    ("Engineering", "circleci/secrets", 310, 480),
    ("Data", "snowflake/sysadmin", 75, 120),
    ("Data", "postgresql/masked", 88, 240),
    ("Clinical", "snowflake/phi-analyst", 96, 240),
    ("Clinical", "box/study-reader", 47, 60),
    ("Clinical", "windows-file-shares/archive-read", 7000, 10080),
    ("Support", "stripe/refunds", 388, 480),
    ("Support", "zendesk/admin", 12, 60),
    ("Support", "okta/help-desk", 3100, 10080),
    ("Sales", "salesforce/export", 35, 60),
    ("Sales", "zoom/webinar", 2400, 10080),
    ("Finance", "workday/compensation", 58, 60),
    ("Finance", "oracle-netsuite/payables", 1130, 1440),
    ("People", "google-workspace/groups-admin", 205, 240),
    ("Security", "okta/super-admin", 22, 60),
    ("Security", "splunk/power", 300, 480),
    ("Security", "crowdstrike-falcon/real-time", 33, 60),
    ("Product", "snowflake/analyst", 12000, 43200),
)
#: Who, what, hours until it begins, hours it lasts.
UPCOMING = (
    ("maya.lindqvist", "github-organization/release", 18, 4),
    ("Engineering", "amazon-web-services/operator", 42, 4),
    ("Clinical", "box/study-reader", 66, 8),
    ("Finance", "snowflake/analyst", 120, 168),
)
#: Approved in applications that are worked by hand, and not done yet: who, what, minutes ago, hours it lasts.
UNDONE = (
    ("Support", "windows-file-shares/archive-read", 35, 168),
    ("Finance", "oracle-netsuite/payables", 85, 24),
)
#: Who, what, minutes since they asked, hours asked for (0: without end), purpose, why, stages that said yes.
WAITING = (
    (
        "Engineering",
        "relay/on-call-bridge",
        4,
        0.25,
        "Fix an incident",
        "Northgate Children's gets no messages; I have the logs and join the line.",
        0,
    ),
    (
        "devon.mcallister",
        "postgresql/masked",
        38,
        4,
        "Fix an incident",
        "Appointments of Harbour Oncology show twice since the release of this morning.",
        1,
    ),
    (
        "maya.lindqvist",
        "postgresql/read",
        52,
        1,
        "Work on a ticket",
        "The migration of Lakeside Family Practice left rows the masked role cannot show.",
        0,
    ),
    (
        "Clinical",
        "snowflake/phi-analyst",
        95,
        8,
        "Build a report",
        "Readmissions of Riverside Dialysis for their quarterly safety board.",
        1,
    ),
    (
        "tomas.herrera",
        "snowflake/sysadmin",
        130,
        2,
        "Work on a ticket",
        "Moving the nightly export to the bigger warehouse, agreed with Jonas.",
        0,
    ),
    (
        "Data",
        "snowflake/phi-analyst",
        190,
        24,
        "Build a report",
        "Cohort for the study of St. Brigid's; the de-identified schema lacks the dates.",
        0,
    ),
    (
        "Finance",
        "snowflake/analyst",
        260,
        720,
        "Build a report",
        "Revenue by clinic for the budget of next year, refreshed every week.",
        0,
    ),
    (
        "Product",
        "snowflake/analyst",
        1500,
        168,
        "Something else",
        "Learning which screens clinics use before we redesign the waiting list.",
        0,
    ),
    (
        "Support",
        "relay/broadcast",
        340,
        4,
        "Fix an incident",
        "Telling every clinic about the maintenance window of tonight.",
        1,
    ),
    (
        "Data",
        "looker/developer",
        2900,
        0,
        "Something else",
        "I take over the reports of a colleague who moved to Engineering.",
        0,
    ),
    (
        "Engineering",
        "postgresql/superuser",
        21,
        1,
        "Fix an incident",
        "The index of the message table is broken and the queue grows.",
        0,
    ),
    (
        "Engineering",
        "amazon-web-services/administrator",
        47,
        2,
        "Work on a ticket",
        "Rotating the backup keys, four-eyes with Aiko.",
        1,
    ),
    (
        "Finance",
        "workday/compensation",
        64,
        2,
        "Build a report",
        "Accruals for the bonus of this year, to be closed with payroll today.",
        1,
    ),
    (
        "Security",
        "1password/vault-owner",
        33,
        1,
        "Work on a ticket",
        "Replacing the root credentials that are printed in the old runbook.",
        1,
    ),
    (
        "ana.ruiz",
        "github-organization/write",
        75,
        720,
        "Work on a ticket",
        "Reviewing the export jobs of my team while our lead is away.",
        0,
    ),
    (
        "Security",
        "splunk/power",
        180,
        8,
        "Answer an audit",
        "The auditors sampled sign-ins of October and want the raw lines.",
        0,
    ),
    (
        "Sales",
        "salesforce/export",
        420,
        1,
        "Build a report",
        "List of clinics for the invitation to the user conference.",
        0,
    ),
    (
        "People",
        "workday/partner",
        3100,
        0,
        "Something else",
        "I look after Engineering from the first of next month on.",
        0,
    ),
)

#: Running grants whose order to give failed: who, what.
NOT_GIVEN = (("Sales", "zoom/webinar"), ("Product", "snowflake/analyst"))


_LATER_TODAY = timedelta(hours=6)


def tell(desk: Desk) -> None:
    """Plan what happens now and what went wrong."""
    _break_glass(desk)
    _two_reasons(desk)
    for who, key, left, total in RUNNING:
        _run(desk, who, desk.shelf[key], timedelta(minutes=left), timedelta(minutes=total))
    for who, key, hours_until, hours in UPCOMING:
        _book(desk, who, desk.shelf[key], timedelta(hours=hours_until), timedelta(hours=hours))
    for who, key, minutes_ago, hours in UNDONE:
        _leave_undone(desk, who, desk.shelf[key], timedelta(minutes=minutes_ago), timedelta(hours=hours))
    for who, key, minutes_ago, hours_asked, purpose, reason, said_yes in WAITING:
        at = desk.world.at - timedelta(minutes=minutes_ago)
        duration = timedelta(hours=hours_asked) if hours_asked else None
        member = _find(desk, who, desk.shelf[key], at)
        ask = desk.ask(member, desk.shelf[key], at, duration, purpose=purpose, reason=reason)
        for number in range(said_yes):
            desk.answer(ask, at + timedelta(minutes=minutes_ago * 0.3 * (number + 1)))
    _ask_to_extend(desk)
    _close_with_leaver(desk)


def _run(desk: Desk, who: str, offer: Offer, left: timedelta, total: timedelta) -> None:
    pause = timedelta(minutes=1, seconds=30)
    since = desk.world.at + left - total
    stages = 0 if offer.role.policy == "instant" else len(offer.version_at(since).stages)
    at = since - pause * stages
    member = _find(desk, who, offer, at)
    plan = desk.approve(desk.ask(member, offer, at, total), quickly=pause)
    if plan is not None and (who, offer.key) in NOT_GIVEN:
        plan.give = failed(offer, NO_LICENCE, timedelta(seconds=3))
    elif plan is not None and offer.app.by_hand:
        plan.give = Course((total - left) * 0.3, None)


def _leave_undone(desk: Desk, who: str, offer: Offer, ago: timedelta, duration: timedelta) -> None:
    at = desk.world.at - ago
    plan = desk.approve(desk.ask(_find(desk, who, offer, at), offer, at, duration), quickly=ago / 5)
    assert plan is not None
    plan.give = Course(_LATER_TODAY, None)


def _book(desk: Desk, who: str, offer: Offer, until: timedelta, duration: timedelta) -> None:
    at = desk.world.at - timedelta(hours=5)
    member = _find(desk, who, offer, at)
    ask = desk.ask(member, offer, at, duration, purpose="Work on a ticket", starts_at=desk.world.at + until)
    desk.approve(ask, quickly=timedelta(minutes=40))


def _break_glass(desk: Desk) -> None:
    for handle, minutes_ago in (("aiko.tanaka", 8.0), ("jonas.weber", 63 * 1440.0)):
        member, offer = desk.company[handle], desk.shelf["amazon-web-services/administrator"]
        at = desk.world.at - timedelta(minutes=minutes_ago)
        plan = Plan(
            member, offer, GrantCause.BREAK_GLASS, at, at + timedelta(hours=1), at, desk.world.by(member.person)
        )
        if desk.books.is_free(member, offer, at, plan.ends_at):
            desk.books.keep(plan)


def _two_reasons(desk: Desk) -> None:
    """Give some people by hand what they also have by role, and some what nobody asked for."""
    offer, member = desk.shelf["snowflake/analyst"], desk.company["tomas.herrera"]
    at = desk.world.rollout_at + timedelta(hours=2)
    desk.books.keep(Plan(member, offer, GrantCause.IMPORTED, at, OPEN_END, at, desk.imported()))
    for who, key, days_ago in (
        ("Security", "cloudflare/admin", 96),
        ("Engineering", "datadog/editor", 61),
        ("Support", "launchdarkly/reader", 44),
        ("People", "drata/contributor", 29),
    ):
        given_at = desk.world.workday(days_ago)
        receiver = _find(desk, who, desk.shelf[key], given_at)
        actor = desk.world.by(desk.admins[1].person)
        desk.books.keep(Plan(receiver, desk.shelf[key], GrantCause.MANUAL, given_at, OPEN_END, given_at, actor))


def _ask_to_extend(desk: Desk) -> None:
    member, offer = desk.company["tomas.herrera"], desk.shelf["snowflake/phi-analyst"]
    running = next(plan for plan in desk.books.of(member, offer) if plan.covers(desk.world.at))
    desk.ask(
        member,
        offer,
        desk.world.at - timedelta(minutes=12),
        timedelta(hours=4),
        purpose="Build a report",
        reason="The query over three years takes longer than I thought; two clinics are left.",
        extends=running,
    )


def _close_with_leaver(desk: Desk) -> None:
    """What the last one to leave had asked for died with their leaving; one removal waits for a person."""
    leaver = who_left(desk, staff.LEFT_TODAY)
    left_at = leaver.now.recorded_at
    archive, since = desk.shelf["windows-file-shares/archive-read"], leaver.settled_at + timedelta(hours=3)
    by = desk.world.by(archive.owners[0].person)
    held = desk.books.keep(Plan(leaver, archive, GrantCause.MANUAL, since, OPEN_END, since, by))
    held.take = Course(_LATER_TODAY, None)
    offer = next(
        offer
        for offer in desk.shelf
        if offer.role.policy == "standard"
        and offer.role.requestable
        and leaver not in offer.owners
        and desk.books.is_free(leaver, offer, left_at - timedelta(days=2))
    )
    ask = desk.ask(leaver, offer, left_at - timedelta(hours=20), timedelta(days=7))
    desk.close(ask, RequestState.CLOSED, left_at, because="left")


def _find(desk: Desk, who: str, offer: Offer, at: datetime) -> Member:
    """Return the person of this handle, or somebody of this department who may ask and has nothing of it."""
    if "." in who:
        return desk.company[who]
    people = [
        one
        for one in desk.company.active(who)
        if one.person_type == "Employee" and not one.is_lead and one.settled_at <= at
    ]
    desk.world.chance.shuffle(people)
    return next(one for one in people if desk.books.is_free(one, offer, at))

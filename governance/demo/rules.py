"""The rules of the house: access policies with their versions, and who gets what by role."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from governance.catalog.policy_terms import PolicyTerms
from governance.catalog.stages import BY_SECURITY, SECURITY, Approvers, Stage
from governance.demo import staff
from governance.demo.software import RELAY

_NOT_CONTRACTORS = 'not (userType eq "Contractor")'
#: Who may take what is critical in an emergency.
_ON_CALL = 'department eq "Engineering" or department eq "Security"'
_EMPLOYEES = 'userType eq "Employee"'


def _asking(*kinds: str) -> tuple[Stage, ...]:
    """Return stages that each ask security when there is nobody."""
    return tuple(Stage(Approvers(kind), fallback=None if kind == SECURITY else BY_SECURITY) for kind in kinds)


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy and its versions: since how many days, and what it says then."""

    slug: str
    name: str
    versions: tuple[tuple[float, PolicyTerms], ...]


POLICIES = (
    Policy(
        "standard",
        "Standard",
        (
            (400, PolicyTerms(_asking("manager", "owner"), default_duration=timedelta(days=7), allows_open_end=True)),
            (
                230,
                PolicyTerms(
                    _asking("owner"),
                    default_duration=timedelta(days=7),
                    max_duration=timedelta(days=90),
                    allows_open_end=True,
                ),
            ),
        ),
    ),
    Policy(
        "instant",
        "Low risk, at once",
        (
            (
                400,
                PolicyTerms(
                    _asking("manager"),
                    default_duration=timedelta(hours=8),
                    max_duration=timedelta(days=90),
                    allows_open_end=True,
                    auto_approve=_EMPLOYEES,
                    auto_approve_up_to=timedelta(days=30),
                ),
            ),
        ),
    ),
    Policy(
        "sensitive",
        "Sensitive data",
        (
            (
                400,
                PolicyTerms(
                    _asking("manager", "owner"),
                    may_request=_NOT_CONTRACTORS,
                    default_duration=timedelta(hours=4),
                    max_duration=timedelta(days=14),
                    allows_open_end=True,
                    lapses_after=timedelta(days=7),
                ),
            ),
        ),
    ),
    Policy(
        "critical",
        "Critical, two people",
        (
            (
                400,
                PolicyTerms(
                    _asking("owner", "security"),
                    may_request=_NOT_CONTRACTORS,
                    default_duration=timedelta(hours=2),
                    max_duration=timedelta(hours=24),
                    requires_ticket=True,
                    break_glass_up_to=timedelta(hours=1),
                    may_break_glass=_ON_CALL,
                    lapses_after=timedelta(days=3),
                ),
            ),
            (
                150,
                PolicyTerms(
                    _asking("owner", "security"),
                    may_request=_NOT_CONTRACTORS,
                    default_duration=timedelta(hours=1),
                    max_duration=timedelta(hours=8),
                    requires_ticket=True,
                    break_glass_up_to=timedelta(hours=1),
                    may_break_glass=_ON_CALL,
                    lapses_after=timedelta(days=3),
                ),
            ),
        ),
    ),
    Policy(
        "minutes",
        "A quarter of an hour",
        (
            (
                20,
                PolicyTerms(
                    _asking("owner"),
                    default_duration=timedelta(minutes=15),
                    max_duration=timedelta(hours=8),
                    lapses_after=timedelta(days=1),
                ),
            ),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Birthright:
    """A birthright rule. `gives` names application and role; `added` is what its second version added, and when.

    `days_ago` is when its first version took effect; zero is the moment the demo is loaded.
    """

    slug: str
    name: str
    condition: str
    gives: tuple[str, ...]
    added: tuple[str, ...] = ()
    added_days_ago: float = 0
    days_ago: float = 400
    keeps_away: bool = False
    priority: int = 100
    grace_days: int = 0


def _of(department: str) -> str:
    return f'department eq "{department}"'


BIRTHRIGHT = (
    Birthright(
        "everybody-at-work",
        "Everybody at work",
        f'{_EMPLOYEES} or userType eq "Contractor"',
        ("google-workspace/account", "slack/member", "zoom/basic", "okta/user", "1password/member", "knowbe4/learner"),
    ),
    Birthright(
        "employees", "Employees", _EMPLOYEES, ("notion/editor", "workday/self-service"), ("expensify/submitter",), 310
    ),
    Birthright("contractors", "Contractors", 'userType eq "Contractor"', ("notion/guest",)),
    Birthright(
        "engineering",
        "Engineering baseline",
        _of("Engineering"),
        ("jira-cloud/member", "datadog/viewer", "sentry/member", "circleci/contributor"),
        ("grafana/viewer",),
        260,
    ),
    Birthright(
        "engineers",
        "Engineers who write code",
        f"{_of('Engineering')} and {_EMPLOYEES}",
        ("github-organization/write", "kubernetes/view"),
    ),
    Birthright("on-call", "On call", f'groups.display eq "{staff.ON_CALL}"', ("pagerduty/responder",), grace_days=7),
    Birthright(
        "contractors-and-production",
        "Contractors stay out of production",
        'userType eq "Contractor"',
        ("kubernetes/view",),
        keeps_away=True,
        priority=10,
    ),
    Birthright(
        "data",
        "Data baseline",
        _of("Data"),
        ("jira-cloud/member", "snowflake/analyst", "looker/viewer", "github-organization/read"),
    ),
    Birthright(
        "product", "Product baseline", _of("Product"), ("jira-cloud/member", "figma/editor", "mixpanel/analyst")
    ),
    Birthright("clinical", "Clinical baseline", _of("Clinical"), ("zendesk/light-agent", "box/uploader")),
    Birthright("support", "Support baseline", _of("Support"), ("zendesk/agent", "intercom/agent", "jira-cloud/member")),
    Birthright(
        "sales",
        "Sales baseline",
        f"{_of('Sales')} and {_EMPLOYEES}",
        ("salesforce/sales", "hubspot/viewer", "gong/listener"),
    ),
    Birthright(
        "finance", "Finance baseline", _of("Finance"), ("oracle-netsuite/reader", "stripe/viewer", "looker/viewer")
    ),
    Birthright("people", "People baseline", _of("People"), ("greenhouse/interviewer", "docusign/sender")),
    Birthright(
        "security", "Security baseline", _of("Security"), ("jira-cloud/member", "splunk/user", "datadog/viewer")
    ),
    Birthright(
        "relay-support",
        "Relay for clinical staff with PHI training",
        f'{_of("Clinical")} and groups.display eq "{staff.PHI_TRAINED}"',
        (f"{RELAY}/member",),
        days_ago=0,
    ),
)

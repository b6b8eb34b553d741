"""What stands around every page: navigation by role with counts, theme, keys, the end of the session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.http import HttpRequest

from governance.core import clock
from governance.identity.models import RoleName
from governance.web import counts, preferences, sessions
from governance.web.roles import GUEST, Standing, standing_of

EVERYBODY: frozenset[str] = frozenset()
OWNER, ADMIN, AUDITOR = RoleName.OWNER.value, RoleName.SECURITY_ADMIN.value, RoleName.AUDITOR.value


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the navigation: its page, who sees it, and the key that follows it after `g`."""

    page: str
    name: str
    icon: str
    href: str
    roles: frozenset[str] = EVERYBODY
    key: str = ""
    #: Shown only while something is there, to people without one of `roles`.
    if_counted: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """A link as this person sees it. `count` is open work, not a total."""

    link: Link
    count: int


GROUPS: tuple[tuple[str, tuple[Link, ...]], ...] = (
    (
        "My work",
        (
            Link("home", "Home", "house", "/", key="h"),
            Link("catalogue", "Request access", "layout-grid", "/access/", key="c"),
            Link("mine", "My access", "key-round", "/me/access/", key="y"),
            Link("approvals", "Approvals", "inbox", "/approvals/", frozenset({OWNER, ADMIN}), "a", if_counted=True),
            Link("notices", "Notices", "bell", "/notices/", key="i"),
        ),
    ),
    (
        "Govern",
        (
            Link("matrix", "Access matrix", "grid-3x3", "/matrix/", frozenset({OWNER, ADMIN, AUDITOR}), "m"),
            Link("reach", "Who could reach", "history", "/reach/", frozenset({OWNER, ADMIN, AUDITOR})),
            Link("people", "People", "users", "/people/", frozenset({OWNER, ADMIN, AUDITOR}), "p"),
            Link("leavers", "Leavers", "user-x", "/leavers/", frozenset({ADMIN, AUDITOR})),
            Link("applications", "Applications", "plug", "/applications/", frozenset({OWNER, ADMIN, AUDITOR}), "t"),
            Link("orphans", "Orphan accounts", "unlink", "/orphans/", frozenset({OWNER, ADMIN, AUDITOR}), "o"),
            Link("drift", "Drift", "circle-help", "/drift/", frozenset({OWNER, ADMIN, AUDITOR})),
            Link("break_glass", "Break-glass", "siren", "/break-glass/", frozenset({OWNER, ADMIN, AUDITOR}), "b"),
        ),
    ),
    (
        "Rules",
        (
            Link("policies", "Policies", "scale", "/policies/", frozenset({OWNER, ADMIN, AUDITOR})),
            Link("packages", "Packages", "layers", "/packages/", frozenset({OWNER, ADMIN, AUDITOR})),
            Link("duties", "Separation of duties", "shield-alert", "/duties/", frozenset({OWNER, ADMIN, AUDITOR}), "d"),
            Link("risk", "Risk", "gauge", "/risk/", frozenset({ADMIN, AUDITOR})),
        ),
    ),
    (
        "Operate",
        (
            Link("holds", "Held changes", "hand", "/holds/", frozenset({ADMIN, AUDITOR})),
            Link("operations", "Operations", "workflow", "/operations/", frozenset({OWNER, ADMIN})),
            Link("expiries", "Expiries", "timer-off", "/expiries/", frozenset({OWNER, ADMIN, AUDITOR}), "x"),
            Link("connections", "Connections", "webhook", "/connections/", frozenset({ADMIN}), "n"),
            Link("ticket_systems", "Ticket systems", "ticket", "/ticket-systems/", frozenset({ADMIN})),
            Link("mail", "Mail and webhooks", "mail", "/mail/", frozenset({ADMIN})),
        ),
    ),
    (
        "Assure",
        (
            Link("engagements", "Audits", "briefcase", "/engagements/", frozenset({ADMIN, AUDITOR, GUEST}), "u"),
            Link("evidence", "Evidence", "file-check-2", "/evidence/", frozenset({ADMIN, AUDITOR}), "e"),
            Link(
                "control_exceptions",
                "Exceptions",
                "list-checks",
                "/control-exceptions/",
                frozenset({ADMIN, AUDITOR}),
                if_counted=True,
            ),
            Link("ledger", "Ledger", "scroll-text", "/ledger/", frozenset({ADMIN, AUDITOR}), "l"),
            Link("log_reviews", "Log reviews", "clipboard-check", "/ledger/reviews/", frozenset({ADMIN, AUDITOR})),
            Link("privacy", "Retention", "archive", "/ledger/privacy/", frozenset({ADMIN, AUDITOR})),
            Link("findings", "Findings", "triangle-alert", "/ledger/findings/", frozenset({ADMIN, AUDITOR})),
        ),
    ),
)


def shell(request: HttpRequest) -> dict[str, Any]:
    """Return what `base.html` needs. Context processor; what costs a query is called only by pages that show it."""
    known = {"theme": preferences.theme_of(request), "single_keys": preferences.single_keys_of(request)}
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return known
    return known | {
        "nav": _once(lambda: nav(request)),
        "standing": _once(lambda: standing_of(request)),
        "session_seconds": sessions.seconds_left(request, clock.now()),
    }


def nav(request: HttpRequest) -> list[tuple[str, list[Shown]]]:
    """Return the groups of links this person has something behind."""
    standing, open_work = standing_of(request), counts.open_work(request)
    groups = [(name, [_shown(link, open_work) for link in links]) for name, links in GROUPS]
    seen = [(name, [shown for shown in links if _is_seen(shown, standing)]) for name, links in groups]
    return [(name, links) for name, links in seen if links]


def _shown(link: Link, open_work: dict[str, int]) -> Shown:
    return Shown(link, open_work.get(link.page, 0))


def _is_seen(shown: Shown, standing: Standing) -> bool:
    link = shown.link
    if standing.is_guest:
        return GUEST in link.roles
    return not link.roles or standing.has_any(link.roles) or (link.if_counted and shown.count > 0)


def _once(make: Callable[[], Any]) -> Callable[[], Any]:
    """Return a callable for templates that works the value out at its first use and then keeps it."""
    return cache(make)

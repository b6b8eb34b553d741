"""The table of kinds: what people can be told, in which group of their preferences, and where it leads. Pure.

The words of each kind stand in `templates/notices/<kind>.txt`: the title in the first line, then sentences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Pace(StrEnum):
    """How soon a group of kinds goes by mail."""

    AT_ONCE = "at_once"
    HOURLY = "hourly"
    DAILY = "daily"
    NEVER = "never"


PACE_WORDS = {
    Pace.AT_ONCE: "At once",
    Pace.HOURLY: "Once an hour",
    Pace.DAILY: "Once a day",
    Pace.NEVER: "Not by mail",
}


@dataclass(frozen=True, slots=True)
class Topic:
    """A group of kinds that people have one preference about."""

    slug: str
    name: str
    sentence: str
    default: Pace


TOPICS = {
    topic.slug: topic
    for topic in (
        Topic("asked", "What waits for you", "Requests you can decide, reminders, questions to you.", Pace.AT_ONCE),
        Topic("answered", "What others answered", "Requests you were asked about that somebody decided.", Pace.DAILY),
        Topic("requests", "Your requests", "Each step of what you asked for, until you can use it.", Pace.AT_ONCE),
        Topic("access", "Your access", "What ends soon, and what somebody gave you or took away.", Pace.AT_ONCE),
        Topic("owning", "What you answer for", "Failed removals, and duties that came to you.", Pace.AT_ONCE),
        Topic("audits", "Audits", "What is asked and answered in audits, and when one ends.", Pace.AT_ONCE),
        Topic("security", "Security", "Break-glass, changes that are held, and other alarms.", Pace.AT_ONCE),
    )
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing people can be told. `path` leads to the page, made of the facts; what is missing leads to the list."""

    slug: str
    topic: str
    icon: str
    #: What administrators of webhooks and people read of the kind itself.
    name: str
    path: str
    tone: str = ""
    #: It cannot be silenced, nor wait for a digest.
    is_mandatory: bool = False


_REQUEST = "/requests/R-{number}/"
_DECIDE = "/approvals/?item=R-{number}"
_CELL = "/matrix/{person_ref}/{application_slug}/"
_GLASS = "/break-glass/{glass}/"
_PROPOSAL = "/policy-proposals/{proposal}/"
_RULE = "/rules/{rule}/"
_LEAVER = "/leavers/{person_ref}/"
_EXCEPTION = "/control-exceptions/{exception}/"
_NEW_EXCEPTIONS = "/control-exceptions/?state=new&owner=me"
_AUDIT = "/engagements/{audit_ref}/"
_ASKED = "/engagements/{audit_ref}/requests/{asked}/"
_REVIEW = "/ledger/reviews/{review}/"
_UNOWNED = "/control-exceptions/?owner=nobody"

KINDS = {
    kind.slug: kind
    for kind in (
        Kind("approval.wanted", "asked", "inbox", "A request waits for an answer", _DECIDE),
        Kind("approval.reminded", "asked", "bell", "A requester reminds", _DECIDE),
        Kind("approval.escalated", "asked", "trending-up", "A request nobody answered", _DECIDE),
        Kind("approval.replied", "asked", "message-square", "A requester answered a question", _DECIDE),
        Kind("absence.deputy", "asked", "user-check", "You answer for somebody who is away", "/approvals/"),
        Kind("end.asked", "asked", "calendar-clock", "An end asks whether access lasts", _CELL),
        Kind("policy.proposed", "asked", "scale", "A policy change waits for a second person", _PROPOSAL),
        Kind("break_glass.review_wanted", "asked", "siren", "Break-glass waits for a review", _GLASS),
        Kind("approval.taken", "answered", "check", "Somebody else answered", _REQUEST),
        Kind("request.stage_approved", "requests", "check", "A step was approved", _REQUEST),
        Kind("request.approved", "requests", "check", "A request was approved", _REQUEST),
        Kind("request.denied", "requests", "x", "A request was declined", _REQUEST, "t-bad"),
        Kind("request.ready", "requests", "check-check", "Access can be used", _REQUEST, "t-good"),
        Kind("request.failed", "requests", "circle-alert", "Access could not be opened", _REQUEST, "t-bad"),
        Kind("request.lapsed", "requests", "timer-off", "A request lapsed", _REQUEST),
        Kind("request.closed", "requests", "circle-slash", "A request was closed", _REQUEST),
        Kind("request.question", "requests", "message-square", "Somebody asks you back", _REQUEST, "t-warn"),
        Kind("request.called_off", "requests", "calendar-x", "Booked access was called off", "/me/access/", "t-warn"),
        Kind("policy.answered", "requests", "scale", "Your policy change was answered", _PROPOSAL),
        Kind("request.withheld", "requests", "shield-alert", "Access was withheld by a rule", "/me/access/", "t-warn"),
        Kind("access.ending", "access", "timer", "Access ends soon", "/me/access/{grant}/extend/"),
        Kind("access.kept", "access", "hourglass", "Access runs on while somebody is asked", "/me/access/"),
        Kind("access.extended", "access", "timer-reset", "Access lasts longer", "/me/access/"),
        Kind("access.given", "access", "key-round", "Somebody gave access", "/me/access/"),
        Kind("access.shortened", "access", "timer", "Access ends sooner", "/me/access/", "t-warn"),
        Kind("access.revoked", "access", "user-minus", "Somebody took access away", "/me/access/", "t-warn"),
        Kind("removal.failed", "owning", "circle-alert", "A removal failed", "/operations/?show=failed", "t-bad"),
        Kind("giving.failed", "owning", "circle-alert", "An opening failed", "/operations/?show=failed", "t-bad"),
        Kind(
            "connector.stopped",
            "owning",
            "power",
            "Nothing is sent to an application",
            "/applications/{application_slug}/connector/",
            "t-warn",
        ),
        Kind(
            "connector.works_again",
            "owning",
            "plug",
            "An application works again",
            "/applications/{application_slug}/connector/",
        ),
        Kind(
            "ownership.received", "owning", "user-check", "An application is yours", "/applications/{application_slug}/"
        ),
        Kind("handover.received", "owning", "users-round", "Something of a leaver is yours", "/notices/"),
        Kind("handover.undecided", "security", "user-x", "A leaver left something without an heir", _LEAVER, "t-warn"),
        Kind(
            "hold.opened", "security", "hand", "A change is held for a decision", "/holds/", "t-bad", is_mandatory=True
        ),
        Kind("stream.stopped", "security", "power", "A SIEM gets nothing", "/ledger/streams/{stream_ref}/", "t-warn"),
        Kind("rule.parked", "security", "circle-alert", "A birthright rule could not be applied", _RULE, "t-warn"),
        Kind(
            "exceptions.found", "owning", "list-checks", "Auditors would ask you about something new", _NEW_EXCEPTIONS
        ),
        Kind(
            "exceptions.due", "owning", "calendar-clock", "Exceptions are to be fixed", "/control-exceptions/", "t-warn"
        ),
        Kind("exception.given", "owning", "user-check", "You answer for an exception", _EXCEPTION),
        Kind("exceptions.unowned", "security", "list-checks", "Exceptions nobody answers for", _UNOWNED, "t-warn"),
        Kind("audit.came", "audits", "user-check", "A guest came to an audit", _AUDIT),
        Kind("audit.asked", "audits", "inbox", "An auditor asks for something", _ASKED),
        Kind("audit.answered", "audits", "check", "A request of an audit was answered", _ASKED),
        Kind("audit.flagged", "audits", "flag", "An auditor wants another answer", _ASKED, "t-warn"),
        Kind("audit.said", "audits", "message-square", "Somebody said something in an audit", _ASKED),
        Kind("audit.ending", "audits", "calendar-clock", "An audit ends soon", _AUDIT, "t-warn"),
        Kind("log_review.due", "security", "clipboard-check", "A stretch of the log is to be looked through", _REVIEW),
        Kind("log_review.overdue", "security", "clipboard-check", "A review of the log is overdue", _REVIEW, "t-warn"),
        Kind("duties.withheld", "security", "shield-alert", "A rule about duties withheld access", "/duties/"),
        Kind("duties.excepted", "owning", "shield-alert", "Somebody may break a rule about duties", "/duties/"),
        Kind(
            "break_glass.overdue",
            "security",
            "siren",
            "A review of break-glass is overdue",
            _GLASS,
            "t-bad",
            is_mandatory=True,
        ),
        Kind("break_glass.reviewed", "security", "clipboard-check", "Break-glass was reviewed", _GLASS),
        Kind(
            "break_glass.used",
            "security",
            "siren",
            "Break-glass was used",
            "/people/{person_ref}/",
            "t-bad",
            is_mandatory=True,
        ),
    )
}
#: Kinds that ask for an answer to a request.
ASKING = ("approval.wanted", "approval.reminded", "approval.escalated")
#: Kinds about an end that is near or has come: another end settles them.
ENDING = ("access.ending", "end.asked")
#: Kinds about a review of break-glass that is not written.
REVIEWING = ("break_glass.review_wanted", "break_glass.overdue")
#: Kinds about a stretch of the log that nobody has signed.
LOG_REVIEWING = ("log_review.due", "log_review.overdue")
#: Facts that stay inside: they are shown on the page of the signed-in reader, and never leave by mail or webhook.
INSIDE = frozenset({"reason", "cause"})


class _Missing(dict[str, object]):
    """Facts in which something may be missing."""

    def __missing__(self, key: str) -> str:
        raise LookupError(key)


def path_of(kind: str, facts: Mapping[str, object]) -> str:
    """Return the page a notice leads to; the list of notices for a kind that is no longer known or lacks a fact."""
    known = KINDS.get(kind)
    if known is None:
        return "/notices/"
    try:
        return known.path.format_map(_Missing(facts))
    except LookupError:
        return "/notices/"

"""Filters of the pages "Govern" and "Assure"."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from django import template

from governance.catalog.models import AccessPolicyVersion, Application, ApproverKind
from governance.catalog.session_bounds import longest_session_after_removal
from governance.web.clock_words import short_length
from governance.web.govern.filters import is_shaped
from governance.web.roles import standing_of

register = template.Library()


@register.inclusion_tag("govern/parts/history_link.html", takes_context=True)
def history_link(context: Any, kind: str, key: object) -> dict[str, object]:
    """Link to the history of a piece of configuration, for those who may read it."""
    standing = standing_of(context["request"])
    return {"kind": kind, "key": str(key), "may_read": standing.is_security_admin or standing.is_auditor}


@register.filter
def session_after(application: Application) -> timedelta | None:
    """Return how long at most an open session goes on there after its access was taken away. None: not known."""
    return longest_session_after_removal(application)


@register.filter
def thousands(number: int) -> str:
    """Return a number with thousands separated: `1,204`."""
    return f"{number:,}"


@register.filter
def after_signal(seconds: float | None) -> str:
    """Return how long something took: `4.1 s`, `2 min 05 s`, `3 h 12`; nothing for what has not happened."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{int(seconds) // 60} min {int(seconds) % 60:02} s"
    return short_length(timedelta(seconds=seconds))


@register.filter
def value_of(known: Mapping[Any, Any], name: Any) -> Any:
    """Return what a mapping holds under a name, or nothing."""
    return known.get(name)


@register.filter
def name_there(account: Any) -> str:
    """Return what an account is called in its application; not of somebody whose name is put aside (ADR 24)."""
    is_aside = account.person is not None and account.person.user_name == f"restricted-{account.person.ref}"
    return "Put aside" if is_aside else str(account.user_name)


@register.filter
def order_state(operation: Any) -> str:
    """Return how an order looks: ordered, delivered, verified or failed. Green is only what was read back."""
    return {"delivered": "delivered", "verified": "verified", "failed": "failed"}.get(operation.state, "ordered")


@register.filter
def link_word(how: str) -> str:
    """Return how the person of an account was found."""
    known = {"created": "Made by Gatehouse", "user_name": "Same name", "email": "Same address", "by_hand": "By hand"}
    return known.get(how, how.replace("_", " ").capitalize())


@register.filter
def door_word(door: str) -> str:
    """Return through which door something came, in words."""
    known = {
        "web": "on a page",
        "api": "by script",
        "scim": "from the directory",
        "clock": "by the clock",
        "database": "in the database itself",
    }
    return known.get(door, "on the server")


@register.filter
def stage_words(version: AccessPolicyVersion | None) -> str:
    """Return who decides, in order: `Manager, then application owner`."""
    words = [ApproverKind(stage).label for stage in (version.stage_kinds if version else [])]
    return ", then ".join([words[0], *(word.lower() for word in words[1:])]) if words else "Nobody"


@register.filter
def range_of(total: int, start: int) -> str:
    """Return which part of a list is shown: `51 to 100 of 1,204`."""
    return f"{start + 1:,} to {min(start + 50, total):,} of {total:,}"


@register.filter
def day(value: date | str | None) -> str:
    """Return a day as a date field wants it, whether it was typed or is one."""
    return value.isoformat() if isinstance(value, date) else value or ""


@register.filter
def late_words(seconds: float | str | None) -> str:
    """Return a lateness as exactly as it matters: `0.04 s`, `4.2 s`, `3 min 20 s`, `2 h 05`; nothing for none."""
    if seconds is None or isinstance(seconds, str):
        return "none yet"
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return short_length(timedelta(seconds=seconds))


@register.filter
def moment_value(text: str | None) -> str:
    """Return a day or instant of an address as a `datetime-local` field wants it: a day means its end."""
    shown = day_or_moment(text)
    return f"{shown}T23:59" if len(shown) == len("2026-03-31") else shown


@register.filter
def day_or_moment(text: str | None) -> str:
    """Return a day or instant of an address, and nothing for what is neither: browsers complain about it."""
    return text if text and is_shaped(text) else ""


@register.filter
def after_words(span: timedelta) -> str:
    """Return a length of time that something took: seconds below a minute, cut off to minutes above."""
    seconds = int(span.total_seconds())
    if seconds < 60:
        return f"{seconds} {'second' if seconds == 1 else 'seconds'}"
    return short_length(span)


@register.filter
def moment_kind(text: str | None) -> str:
    """Return which kind of field shows a day or instant of an address."""
    return "datetime-local" if text and "T" in text else "date"

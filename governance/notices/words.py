"""The words of notices: the title in the first line of the kind's file, then a sentence or two.

The files are plain text, rendered without escaping; whoever puts them into HTML escapes them there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

from django.conf import settings
from django.template import Context, Engine, Template

from governance.notices.kinds import INSIDE, KINDS, Kind, path_of
from governance.notices.models import Notice

#: Facts that are instants, written out in the reader's zone.
_INSTANTS = frozenset({"since", "until"})
_LONGEST_TITLE = 200


@dataclass(frozen=True, slots=True)
class Said:
    """A notice in words. `path` leads to its page."""

    kind: Kind
    title: str
    body: str
    path: str


def said(notice: Notice, zone: ZoneInfo, *, leaves_the_house: bool) -> Said:
    """Return a notice in words; what leaves the house says names, roles and applications only."""
    facts = {name: fact for name, fact in notice.facts.items() if not (leaves_the_house and name in INSIDE)}
    title, _, body = _template(notice.kind).render(Context(_plain(facts, zone), autoescape=False)).partition("\n")
    kind = KINDS[notice.kind]
    return Said(kind, one_line(title)[:_LONGEST_TITLE], body.strip(), path_of(notice.kind, notice.facts))


def spoken(at: datetime, zone: ZoneInfo) -> str:
    """Return an instant so that it is right whenever it is read: `on Thu 26 Nov 2026 at 16:24 CET`."""
    local = at.astimezone(zone)
    return f"on {local:%a} {local.day} {local:%b %Y} at {local:%H:%M %Z}"


def _plain(facts: Mapping[str, object], zone: ZoneInfo) -> dict[str, str]:
    """Return the facts as texts of one line each: a name with a line break in it must not become a sentence of ours."""
    return {
        name: spoken(datetime.fromisoformat(str(fact)), zone) if name in _INSTANTS and fact else one_line(str(fact))
        for name, fact in facts.items()
        if fact is not None
    }


def one_line(text: str) -> str:
    """Return a text without line breaks and what cannot be printed."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


@cache
def _template(kind: str) -> Template:
    return _engine().get_template(f"{kind.replace('.', '_')}.txt")


@cache
def _engine() -> Engine:
    return Engine(dirs=[str(settings.BASE_DIR / "templates" / "notices" / "words")], autoescape=False)

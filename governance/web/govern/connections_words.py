"""How connections look in words: their states, the answers of exchanges, sections of RFCs. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from governance.identity.connections.queries import ConnectionDetail, ConnectionLine, TokenLine

#: A token that ends sooner than this is worth a word: replacing it takes somebody at the provider.
SOON = timedelta(days=14)
#: One refusal is not a state. From one request in so many refused it is.
ERRORS_ONE_IN = 20
#: A longer body is cut on the page.
MOST_OF_A_BODY = 40_000

_SECTION = re.compile(r"RFC (\d+)(?: §([\d.]+))?")


@dataclass(frozen=True, slots=True)
class State:
    """A state as a badge: its word, icon and tone. Lower `place` comes first in the list."""

    word: str
    icon: str
    tone: str
    place: int


def states_of(line: ConnectionLine, at: datetime) -> list[State]:
    """Return what is to be said about a connection, what needs somebody first."""
    if line.state == "revoked":
        return [State("Revoked", "ban", "", 9)]
    if line.state == "unopened":
        return [State("No key", "lock", "t-warn", 1)]
    said = []
    if has_errors(line):
        said.append(State("Errors", "circle-alert", "t-bad", 0))
    if line.closes_at is not None and line.closes_at - at <= SOON:
        said.append(State("Key ends soon", "timer", "t-warn", 1))
    if line.last_used_at is None:
        said.append(State("Never used", "circle-dashed", "k-pending", 3))
    return said or [State("Working", "check", "t-good", 5)]


def has_errors(line: ConnectionLine) -> bool:
    """Tell whether enough of the last day's requests were refused to look."""
    return line.errors_24h > 0 and line.errors_24h * ERRORS_ONE_IN >= line.requests_24h


def place_of(line: ConnectionLine, at: datetime) -> tuple[int, str]:
    """Return what lines are ordered by: those that need somebody first, then by name."""
    first = states_of(line, at)[0].place
    return (min(first, 1) if line.open_conflicts else first, line.name.casefold())


def chart_label(line: ConnectionLine) -> str:
    """Return the chart in a sentence."""
    if not line.requests_24h:
        return "No requests in the last 24 hours"
    busiest = max(hour.requests for hour in line.hours)
    return (
        f"{_counted(line.requests_24h, 'request')} in the last 24 hours, {line.errors_24h:,} refused; "
        f"at most {busiest:,} in an hour"
    )


def still_carried(detail: ConnectionDetail, at: datetime) -> TokenLine | None:
    """Return the older token that the provider still uses though it ends soon and a newer one is there; or None."""
    live = [token for token in detail.tokens if token.state == "live"]
    if len(live) < 2 or live[0].last_used_at is not None:
        return None
    used = [token for token in live[1:] if token.last_used_at and token.expires_at and token.expires_at - at <= SOON]
    return max(used, key=lambda token: token.last_used_at or at, default=None)


def section_url(section: str) -> str:
    """Return the address of a section (`RFC 7644 §3.5.2`), or nothing for what is none."""
    found = _SECTION.match(section)
    if found is None:
        return ""
    anchor = f"#section-{found[2].rstrip('.')}" if found[2] else ""
    return f"https://www.rfc-editor.org/rfc/rfc{found[1]}{anchor}"


def body_text(body: Any) -> str:
    """Return a body as indented JSON, or nothing for none."""
    if body is None:
        return ""
    text = json.dumps(body, indent=2, ensure_ascii=False)
    return text if len(text) <= MOST_OF_A_BODY else f"{text[:MOST_OF_A_BODY]}\n…"


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"

"""When silence has lasted for too long. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

SCHEMA = 2


@dataclass(frozen=True, slots=True)
class Silence:
    """How long a stage has waited: since when, how long it may, how long it waited for who asked, and until when."""

    since: datetime
    allowed: timedelta
    paused: timedelta
    at: datetime

    @property
    def due_at(self) -> datetime:
        """Return when the fallback is to be asked."""
        return self.since + self.allowed + self.paused

    @property
    def is_over(self) -> bool:
        """Tell whether the fallback is to be asked."""
        return self.at >= self.due_at

    def as_receipt(self) -> dict[str, Any]:
        """Return what is kept of it as JSON, from which `from_receipt` makes it again."""
        return {
            "schema": SCHEMA,
            "since": self.since.isoformat(),
            "allowed_seconds": self.allowed.total_seconds(),
            "paused_seconds": self.paused.total_seconds(),
            "at": self.at.isoformat(),
            "due_at": self.due_at.isoformat(),
        }


def from_receipt(kept: dict[str, Any]) -> Silence:
    """Return the silence of a receipt. Raises KeyError or ValueError for what is none."""
    return Silence(
        since=datetime.fromisoformat(kept["since"]),
        allowed=timedelta(seconds=kept["allowed_seconds"]),
        paused=timedelta(seconds=kept["paused_seconds"]),
        at=datetime.fromisoformat(kept["at"]),
    )

"""How long ago somebody proved who they are: what is dangerous asks for a fresh proof, at every door."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

#: Where a session keeps when the password was given, as a time stamp.
CONFIRMED = "confirmed_at"
#: How long after a password was given, or a token was made for somebody, no second proof is needed.
FRESH = timedelta(minutes=10)


def is_fresh_session(session: Mapping[str, Any], at: datetime) -> bool:
    """Tell whether the password was given to this session a short time ago."""
    stamp = session.get(CONFIRMED)
    return stamp is not None and is_fresh_since(datetime.fromtimestamp(stamp, UTC), at)


def is_fresh_since(proved_at: datetime, at: datetime) -> bool:
    """Tell whether a proof of then still counts as fresh."""
    return at - proved_at <= FRESH

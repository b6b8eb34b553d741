"""What a decision keeps of what it saw, so that it can be recomputed."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from governance.policy.facts import RequestFacts
from governance.policy.risk import Risk
from governance.policy.verdicts import Verdict


def receipt(seen: RequestFacts, verdict: Verdict, risk: Risk) -> dict[str, Any]:
    """Return the verdict with the facts it saw, as JSON, so that it can be recomputed."""
    return {name: plain(asdict(part)) for name, part in (("facts", seen), ("verdict", verdict), ("risk", risk))}


def plain(value: Any) -> Any:
    """Return facts as JSON: lengths as seconds, instants as text."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        return value.isoformat()
    return value

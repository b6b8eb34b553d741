"""What a decision keeps of what it saw, so that it can be recomputed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from governance.core.errors import Reason
from governance.policy.decisions import DecisionFacts
from governance.policy.facts import RequestFacts
from governance.policy.recomputing import SCHEMA
from governance.policy.risk import Risk
from governance.policy.verdicts import Verdict


def receipt(seen: RequestFacts, verdict: Verdict, risk: Risk) -> dict[str, Any]:
    """Return the verdict with the facts it saw, as JSON, so that it can be recomputed."""
    parts = (("facts", seen), ("verdict", verdict), ("risk", risk))
    return {"schema": SCHEMA, **{name: plain(asdict(part)) for name, part in parts}}


def answer_receipt(
    verdict: dict[str, Any],
    facts: DecisionFacts,
    reasons: Sequence[Reason],
    shown: dict[str, Any],
    again: tuple[RequestFacts, Risk] | None = None,
) -> dict[str, Any]:
    """Return what an answer keeps: the receipt of the request, what was looked at again, and what was shown beside.

    `again` is what a yes was scored from and its risk at that moment.
    """
    decision: dict[str, Any] = {"facts": plain(asdict(facts)), "reasons": [reason.code for reason in reasons]}
    if again is not None:
        decision |= {"again": plain(asdict(again[0])), "risk": plain(asdict(again[1]))}
    return {**verdict, "decision": decision, "duties": decision["facts"]["duties"], "shown": plain(shown)}


def plain(value: Any) -> Any:
    """Return facts as JSON: lengths as seconds, instants as text, sets in order."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(inner) for inner in value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        return value.isoformat()
    return value

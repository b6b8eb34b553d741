"""Facts read back from what a decision kept of them, and the decision made again from them. Pure."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from governance.catalog.weights import FIRST, weights_of
from governance.policy import escalation
from governance.policy.decisions import DecisionFacts, refuse_decision
from governance.policy.facts import RequestFacts
from governance.policy.risk import Risk, score
from governance.policy.verdicts import Verdict, decide_request

#: 1 had no number, no weights and no facts of the answer itself; older ones stay readable.
SCHEMA = 2

Facts = TypeVar("Facts")


class CannotRead(Exception):
    """What was kept cannot be read. The text says why."""


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What came of making a decision again: the fields that differ, or why it could not be made."""

    differs: tuple[str, ...] = ()
    cannot: str = ""

    @property
    def is_equal(self) -> bool:
        """Tell whether the same came of it."""
        return not self.differs and not self.cannot


def facts_of(kept: Mapping[str, Any]) -> RequestFacts:
    """Return the facts a verdict looked at, from its receipt. Raises CannotRead."""
    _check_schema(kept)
    return read(RequestFacts, kept.get("facts"), "facts")


def recompute(kept: Mapping[str, Any], *, approved: bool, by_policy: bool) -> Recomputed:
    """Make a decision on a request again from its receipt, and compare."""
    try:
        facts = facts_of(kept)
        risk = score(facts, _weights(kept))
        verdict = decide_request(facts, risk)
        answer = _answer(kept)
        again = [] if answer is None else list(_scored_again(kept["decision"], answer))
    except CannotRead as problem:
        return Recomputed(cannot=str(problem))
    differs = [*_risk_differs(kept, risk), *_verdict_differs(kept, verdict)]
    if by_policy and not (verdict.is_automatic if approved else verdict.is_denied):
        differs.append("by policy")
    if answer is not None and not by_policy:
        codes = [reason.code for reason in refuse_decision(answer)]
        if codes != list(kept["decision"].get("reasons", [])):
            differs.append("decision.reasons")
        if answer.approves != approved:
            differs.append("decision.approves")
        differs += again
    return Recomputed(tuple(differs))


def recompute_escalation(kept: Mapping[str, Any]) -> Recomputed:
    """Decide again from its receipt whether silence had lasted for too long, and compare."""
    try:
        _check_schema(kept)
        silence = escalation.from_receipt(dict(kept))
    except CannotRead as problem:
        return Recomputed(cannot=str(problem))
    except (KeyError, ValueError, TypeError) as problem:
        return Recomputed(cannot=f"It cannot be read: {problem}.")
    differs = [] if silence.is_over else ["is_over"]
    if kept.get("due_at") != silence.due_at.isoformat():
        differs.append("due_at")
    return Recomputed(tuple(differs))


def read(kind: type[Facts], kept: Any, where: str) -> Facts:
    """Return a dataclass from the JSON that was kept of one; what did not exist then has its usual value.

    Raises CannotRead naming what is missing or wrong.
    """
    if not isinstance(kept, Mapping):
        raise CannotRead(f"It kept no {where}.")
    hints = _hints(kind)  # type: ignore[arg-type]  # a class can be hashed
    values: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]  # every kind is a dataclass
        name = f"{where}.{field.name}"
        if field.name in kept:
            values[field.name] = _value(hints[field.name], kept[field.name], name)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise CannotRead(f"It kept no {name}.")
    return kind(**values)


@lru_cache(maxsize=64)
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


def _value(hint: Any, kept: Any, where: str) -> Any:
    try:
        return _converted(hint, kept, where)
    except (TypeError, ValueError) as problem:
        raise CannotRead(f"{where} cannot be read: {problem}.") from problem


def _converted(hint: Any, kept: Any, where: str) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        if kept is None:
            return None
        (hint,) = (one for one in get_args(hint) if one is not type(None))
        return _converted(hint, kept, where)
    if get_origin(hint) in (tuple, frozenset):
        return get_origin(hint)(_members(get_args(hint), kept, where))
    if is_dataclass(hint):
        return read(hint, kept, where)  # type: ignore[arg-type]  # a class, not an instance
    if hint is datetime:
        return datetime.fromisoformat(kept)
    if hint is timedelta:
        return timedelta(seconds=kept)
    if not isinstance(kept, hint):
        raise TypeError(f"{kept!r} is no {hint.__name__}")
    return kept


def _members(hints: tuple[Any, ...], kept: Any, where: str) -> Iterator[Any]:
    alike = len(hints) == 1 or hints[-1] is Ellipsis
    for number, one in enumerate(kept):
        yield _converted(hints[0] if alike else hints[number], one, f"{where}[{number}]")


def _check_schema(kept: Mapping[str, Any]) -> None:
    schema = kept.get("schema", 1)
    if not isinstance(schema, int) or schema > SCHEMA:
        raise CannotRead(f"It was kept by a later version (schema {schema}).")


def _weights(kept: Mapping[str, Any]) -> Any:
    risk = kept.get("risk")
    if not isinstance(risk, Mapping):
        raise CannotRead("It kept no risk.")
    said = risk.get("weights")
    return FIRST if said is None else weights_of(dict(said))


def _answer(kept: Mapping[str, Any]) -> DecisionFacts | None:
    decision = kept.get("decision")
    return None if decision is None else read(DecisionFacts, decision.get("facts"), "decision.facts")


def _scored_again(decision: Mapping[str, Any], answer: DecisionFacts) -> Iterator[str]:
    """Say what differs when the risk that a yes looked at is scored again. Before it did, nothing was kept of it."""
    if "again" not in decision:
        return
    risk = score(read(RequestFacts, decision["again"], "decision.again"), _weights(decision))
    for name in _risk_differs(decision, risk):
        yield f"decision.{name}"
    if answer.risk_points != risk.points:
        yield "decision.facts.risk_points"


def _risk_differs(kept: Mapping[str, Any], risk: Risk) -> Iterator[str]:
    said = kept["risk"]
    if said.get("points") != risk.points:
        yield "risk.points"
    if said.get("level") != risk.level:
        yield "risk.level"
    before = [(part["code"], part["points"]) for part in said.get("parts", []) if part["points"]]
    if before != [(part.code, part.points) for part in risk.parts if part.points]:
        yield "risk.parts"


def _verdict_differs(kept: Mapping[str, Any], verdict: Verdict) -> Iterator[str]:
    said = kept.get("verdict", {})
    if [one["code"] for one in said.get("reasons", [])] != [reason.code for reason in verdict.reasons]:
        yield "verdict.reasons"
    if list(said.get("stages", [])) != list(verdict.stages):
        yield "verdict.stages"
    for name in ("is_automatic", "is_denied", "first_only", "adds_security"):
        if name in said and said[name] != getattr(verdict, name):
            yield f"verdict.{name}"

"""Decisions made again from what they kept."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.access.receipts import answer_receipt, receipt
from governance.catalog.weights import FIRST, NAMES, STANDARD, Weights, check, weights_of
from governance.core.errors import Invalid
from governance.policy.escalation import Silence
from governance.policy.facts import RequestFacts
from governance.policy.recomputing import facts_of, recompute, recompute_escalation
from governance.policy.risk import score
from governance.policy.verdicts import decide_request
from tests.policy.test_decisions import NO, YES
from tests.policy.test_verdicts import ADA, FACTS, NOW, ROLE


def kept(facts: RequestFacts = FACTS, weights: Weights = STANDARD) -> dict[str, Any]:
    risk = score(facts, weights)
    made: dict[str, Any] = json.loads(json.dumps(receipt(facts, decide_request(facts, risk), risk)))
    return made


def answered(approves: bool = True) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(answer_receipt(kept(), YES if approves else NO, (), {"grants": []})))
    return made


def changed(path: str, value: object) -> dict[str, Any]:
    made = deepcopy(answered())
    inner: Any = made
    *way, last = path.split(".")
    for name in way:
        inner = inner[name]
    inner[last] = value
    return made


def test_facts_come_back_from_json_as_they_were() -> None:
    facts = replace(FACTS, person=replace(ADA, joined_at=NOW, time_zone="Europe/Berlin"))

    assert facts_of(kept(facts)) == facts


@pytest.mark.parametrize("approves", [True, False])
def test_an_answer_is_made_again_and_is_equal(approves: bool) -> None:
    assert recompute(answered(approves), approved=approves, by_policy=False).is_equal


@pytest.mark.parametrize(
    ("path", "value", "differs"),
    [
        ("risk.points", 3, "risk.points"),
        ("risk.level", 4, "risk.level"),
        ("risk.parts", [], "risk.parts"),
        ("facts.entitlement.risk", 4, "risk.points"),
        ("verdict.is_automatic", True, "verdict.is_automatic"),
        ("verdict.stages", [], "verdict.stages"),
        ("facts.policy.may_request", False, "verdict.reasons"),
        ("decision.facts.person_is_active", False, "decision.reasons"),
        ("decision.facts.eligible_ids", [], "decision.reasons"),
    ],
)
def test_what_was_changed_afterwards_is_named(path: str, value: object, differs: str) -> None:
    assert differs in recompute(changed(path, value), approved=True, by_policy=False).differs


def looked_at_again() -> dict[str, Any]:
    seen = replace(FACTS, ask=replace(FACTS.ask, reason="", duration=timedelta(hours=1)), now=NOW + timedelta(days=1))
    risk = score(seen)
    answer = replace(YES, risk_points=risk.points)
    made: dict[str, Any] = json.loads(json.dumps(answer_receipt(kept(), answer, (), {"grants": []}, (seen, risk))))
    return made


def test_the_risk_a_yes_looked_at_is_scored_again_and_is_equal() -> None:
    assert recompute(looked_at_again(), approved=True, by_policy=False).is_equal


@pytest.mark.parametrize(
    ("path", "value", "differs"),
    [
        (("risk", "points"), 99, "decision.risk.points"),
        (("again", "entitlement", "risk"), 4, "decision.risk.points"),
        (("facts", "risk_points"), 99, "decision.facts.risk_points"),
        (("facts", "refused_from"), 0, "decision.reasons"),
    ],
)
def test_a_risk_looked_at_again_that_was_changed_afterwards_is_named(
    path: tuple[str, ...], value: object, differs: str
) -> None:
    made = looked_at_again()
    inner = made["decision"]
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value

    assert differs in recompute(made, approved=True, by_policy=False).differs


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("schema", 99, "later version"),
        ("facts", None, "It kept no facts."),
        ("facts.person.name", 7, "facts.person.name cannot be read"),
        ("facts.now", "yesterday", "facts.now cannot be read"),
    ],
)
def test_what_cannot_be_read_says_why(path: str, value: object, why: str) -> None:
    assert why in recompute(changed(path, value), approved=True, by_policy=False).cannot


def test_a_receipt_of_before_versions_is_made_again_with_the_weights_of_then() -> None:
    old = kept(weights=FIRST)
    del old["schema"], old["risk"]["weights"], old["facts"]["person"]["time_zone"]

    assert recompute(old, approved=True, by_policy=False).is_equal


def test_an_answer_by_policy_needs_a_verdict_that_says_so() -> None:
    assert recompute(kept(), approved=True, by_policy=True).differs == ("by policy",)
    assert recompute(kept(), approved=False, by_policy=True).differs == ("by policy",)


@given(st.builds(lambda said: weights_of(said, 7), st.fixed_dictionaries({name: st.integers(0, 90) for name in NAMES})))
def test_a_score_under_any_weights_is_made_again(weights: Weights) -> None:
    facts = replace(FACTS, person=replace(ADA, person_type="Contractor", time_zone="Asia/Tokyo"))

    assert recompute(kept(facts, weights), approved=True, by_policy=False).differs in ((), ("verdict.is_automatic",))


HOUR = timedelta(hours=1)


def test_an_escalation_is_made_again() -> None:
    made = Silence(since=NOW, allowed=24 * HOUR, paused=2 * HOUR, at=NOW + 26 * HOUR).as_receipt()

    assert recompute_escalation(made).is_equal
    assert recompute_escalation({**made, "paused_seconds": 3 * 3600}).differs == ("is_over", "due_at")
    assert "later version" in recompute_escalation({**made, "schema": 99}).cannot
    assert recompute_escalation({}).cannot


@pytest.mark.parametrize(
    ("begins", "zone", "codes"),
    [
        (datetime(2026, 3, 3, 12, tzinfo=UTC), "Europe/Berlin", []),
        (datetime(2026, 3, 3, 2, tzinfo=UTC), "Europe/Berlin", ["hour"]),
        (datetime(2026, 3, 3, 2, tzinfo=UTC), "Asia/Tokyo", []),
        (datetime(2026, 3, 7, 12, tzinfo=UTC), "Europe/Berlin", ["weekend"]),
        (datetime(2026, 3, 6, 23, 30, tzinfo=UTC), "Europe/Berlin", ["weekend", "hour"]),
        (datetime(2026, 3, 7, 2, tzinfo=UTC), "", []),
        (datetime(2026, 3, 7, 2, tzinfo=UTC), "Nowhere/At All", []),
        (datetime(2026, 3, 7, 2, tzinfo=UTC), "../etc", []),
    ],
)
def test_an_hour_is_unusual_where_the_person_is(begins: datetime, zone: str, codes: list[str]) -> None:
    facts = replace(FACTS, now=begins, person=replace(ADA, time_zone=zone), entitlement=replace(ROLE, risk=1))

    assert [part.code for part in score(facts).parts if part.points] == codes


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"privileged": 101}, "privileged"),
        ({"privileged": -1}, "privileged"),
        ({"privileged": "15"}, "privileged"),
        ({"privileged": True}, "privileged"),
        ({"colour": 3}, "colour"),
        ({"high_from": 20}, "high_from"),
        ({"day_ends": 6}, "day_ends"),
    ],
)
def test_weights_out_of_order_are_refused_by_name(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check({**STANDARD.as_json(), **change})

    assert field in refusal.value.fields

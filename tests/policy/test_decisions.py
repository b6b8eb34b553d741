"""Who may decide a request that waits."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from governance.policy.decisions import DecisionFacts, refuse_decision

YES = DecisionFacts(
    approver_id=3,
    approver_is_active=True,
    requester_id=1,
    person_id=1,
    person_name="Ada",
    person_is_active=True,
    entitlement_is_retired=False,
    entitlement_name="Analyst in Snowflake",
    may_still_request=True,
    eligible_ids=frozenset({3}),
    asked_duration=timedelta(hours=4),
    max_duration=timedelta(hours=8),
    chosen_duration=None,
    reason="",
    approves=True,
)
NO = replace(YES, approves=False, reason="Use the report in Looker.")


@pytest.mark.parametrize("facts", [YES, NO, replace(YES, chosen_duration=timedelta(hours=1))])
def test_somebody_who_was_asked_may_decide(facts: DecisionFacts) -> None:
    assert refuse_decision(facts) == ()


@pytest.mark.parametrize(
    ("facts", "codes"),
    [
        (replace(YES, requester_id=3), ["own_request"]),
        (replace(YES, person_id=3), ["own_request"]),
        (replace(NO, person_id=3), ["own_request"]),
        (replace(YES, eligible_ids=frozenset({4})), ["not_asked"]),
        (replace(YES, approver_is_active=False), ["approver_left"]),
        (replace(YES, person_is_active=False), ["person_left"]),
        (replace(YES, entitlement_is_retired=True), ["retired"]),
        (replace(YES, may_still_request=False), ["not_eligible"]),
        (replace(YES, auto_denies=True), ["declined_by_policy"]),
        (replace(YES, risk_points=40, refused_from=40), ["too_risky"]),
        (replace(YES, risk_points=39, refused_from=40), []),
        (replace(YES, risk_points=40, needs_security_from=40), ["needs_security"]),
        (replace(YES, risk_points=40, needs_security_from=40, asks_security=True), []),
        (replace(YES, risk_points=40, needs_security_from=30, refused_from=40), ["too_risky"]),
        (replace(YES, chosen_duration=timedelta(hours=5)), ["longer_than_asked"]),
        (replace(YES, chosen_duration=timedelta(0)), ["too_short"]),
        (replace(YES, asked_duration=None, chosen_duration=timedelta(hours=9)), ["too_long"]),
        (replace(NO, reason="no"), ["needs_reason"]),
        (replace(NO, reason="x" * 2001), ["reason_too_long"]),
        (
            replace(YES, person_is_active=False, entitlement_is_retired=True, may_still_request=False),
            ["person_left", "retired", "not_eligible"],
        ),
    ],
)
def test_a_decision_out_of_order_is_refused_for_every_reason(facts: DecisionFacts, codes: list[str]) -> None:
    assert [reason.code for reason in refuse_decision(facts)] == codes


@pytest.mark.parametrize(
    "state",
    [{"person_is_active": False}, {"may_still_request": False}, {"auto_denies": True}, {"refused_from": 0}],
    ids=str,
)
def test_what_forbids_a_yes_does_not_forbid_a_no(state: dict[str, Any]) -> None:
    assert refuse_decision(replace(NO, **state)) == ()

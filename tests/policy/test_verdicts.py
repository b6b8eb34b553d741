"""The verdict on a request, as tables of one difference each."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from governance.core.clock import OPEN_END
from governance.policy.durations import spoken
from governance.policy.duties import DutyConflict
from governance.policy.facts import (
    Ask,
    EntitlementFacts,
    HeldFacts,
    PersonFacts,
    PolicyFacts,
    RequestFacts,
    StageFacts,
)
from governance.policy.risk import score
from governance.policy.verdicts import decide_request

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
ADA = PersonFacts(id=1, name="Ada", is_active=True, person_type="Employee", manager_id=2)
ROLE = EntitlementFacts(id=5, name="Analyst", application_name="Snowflake", risk=2)
POLICY = PolicyFacts(
    version_id=9,
    policy_name="Standard",
    may_request=True,
    auto_approves=False,
    default_duration=timedelta(hours=4),
    max_duration=timedelta(hours=8),
    allows_open_end=False,
    purposes=("Fix an incident",),
    requires_ticket=False,
    auto_approve_up_to=timedelta(0),
    stages=(StageFacts("owner", ((3, "Linus"),)),),
)
ASK = Ask(timedelta(hours=2), "Fix an incident", "The nightly load failed again.")
FACTS = RequestFacts(ADA, ADA, ROLE, POLICY, ASK, HeldFacts(), NOW)


def codes(facts: RequestFacts) -> list[str]:
    return [reason.code for reason in decide_request(facts).reasons]


def test_a_request_in_order_is_allowed_and_waits_for_its_stages() -> None:
    verdict = decide_request(FACTS)

    assert verdict.is_allowed
    assert not verdict.is_automatic
    assert verdict.stages == ("owner",)


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"ask": replace(ASK, duration=timedelta(hours=9))}, "too_long", "duration"),
        ({"ask": replace(ASK, duration=timedelta(0))}, "too_short", "duration"),
        ({"person": replace(ADA, leaves_at=NOW + timedelta(hours=1))}, "beyond_leaving", "duration"),
        ({"ask": replace(ASK, duration=timedelta(hours=-2))}, "too_short", "duration"),
        ({"ask": replace(ASK, duration=None)}, "needs_end", "duration"),
        ({"ask": replace(ASK, starts_at=NOW - timedelta(days=1))}, "starts_in_the_past", "starts_at"),
        ({"ask": replace(ASK, starts_at=NOW + timedelta(days=400))}, "starts_too_late", "starts_at"),
        ({"ask": replace(ASK, purpose="Curiosity")}, "unknown_purpose", "purpose"),
        ({"ask": replace(ASK, reason="because")}, "reason_too_short", "reason"),
        ({"ask": replace(ASK, reason="x" * 2001)}, "reason_too_long", "reason"),
        ({"ask": replace(ASK, ticket="x" * 121)}, "ticket_too_long", "ticket"),
        ({"policy": replace(POLICY, requires_ticket=True)}, "needs_ticket", "ticket"),
        ({"policy": replace(POLICY, may_request=False)}, "not_eligible", "entitlement"),
        ({"policy": replace(POLICY, stages=(StageFacts("owner", ()),))}, "no_approver", ""),
        ({"policy": replace(POLICY, stages=(StageFacts("group", ((3, "Linus"),), quorum=2),))}, "no_approver", ""),
        (
            {"policy": replace(POLICY, ticket_pattern="INC[0-9]+"), "ask": replace(ASK, ticket="INC")},
            "wrong_ticket",
            "ticket",
        ),
        (
            {"policy": replace(POLICY, ticket_pattern="INC[0-9]+"), "ask": replace(ASK, ticket="INC12 or so")},
            "wrong_ticket",
            "ticket",
        ),
        ({"policy": replace(POLICY, refused_from=15)}, "too_risky", "duration"),
        ({"entitlement": replace(ROLE, is_requestable=False)}, "not_requestable", "entitlement"),
        ({"entitlement": replace(ROLE, is_retired=True)}, "retired", "entitlement"),
        ({"person": replace(ADA, is_active=False)}, "person_left", "person"),
        ({"requester": replace(ADA, is_active=False)}, "requester_left", ""),
        ({"requester": replace(ADA, id=77)}, "not_on_behalf", "person"),
        ({"held": HeldFacts(until=NOW + timedelta(hours=1))}, "already_held", "entitlement"),
        ({"held": HeldFacts(until=OPEN_END)}, "already_held", "entitlement"),
        ({"held": HeldFacts(waiting_request=2041)}, "already_waiting", "entitlement"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_one_thing_out_of_order_is_refused_for_that_reason(change: dict[str, object], code: str, field: str) -> None:
    reasons = decide_request(replace(FACTS, **change)).reasons

    assert [(reason.code, reason.field) for reason in reasons] == [(code, field)]


def test_a_refusal_names_all_its_reasons() -> None:
    worst = replace(
        FACTS,
        ask=Ask(timedelta(days=3), "Curiosity", "no"),
        policy=replace(POLICY, requires_ticket=True, may_request=False),
        entitlement=replace(ROLE, is_retired=True),
    )

    assert set(codes(worst)) == {
        "too_long",
        "unknown_purpose",
        "reason_too_short",
        "needs_ticket",
        "not_eligible",
        "retired",
    }


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({"requester": PersonFacts(id=2, name="Grace", is_active=True)}, True),
        (
            {
                "ask": replace(ASK, starts_at=NOW + timedelta(hours=2)),
                "held": HeldFacts(until=NOW + timedelta(hours=1)),
            },
            True,
        ),
        ({"held": HeldFacts(until=NOW + timedelta(hours=1), is_extension=True)}, True),
        ({"ask": replace(ASK, duration=timedelta(hours=8))}, True),
        ({"ask": replace(ASK, duration=None), "policy": replace(POLICY, allows_open_end=True)}, True),
    ],
    ids=[
        "manager asks for a report",
        "starts after what is held ends",
        "extends what is held",
        "exactly the longest",
        "open end where allowed",
    ],
)
def test_what_is_just_in_order_is_allowed(change: dict[str, object], allowed: bool) -> None:
    assert decide_request(replace(FACTS, **change)).is_allowed is allowed


@pytest.mark.parametrize(
    ("policy", "automatic"),
    [
        (replace(POLICY, stages=()), True),
        (replace(POLICY, auto_approves=True, auto_approve_up_to=timedelta(hours=2)), True),
        (replace(POLICY, auto_approves=True, auto_approve_up_to=timedelta(hours=1)), False),
        (replace(POLICY, auto_approves=False, auto_approve_up_to=timedelta(hours=8)), False),
    ],
    ids=["no stages", "within the automatic time", "longer than the automatic time", "not for this person"],
)
def test_the_policy_approves_by_itself_only_where_it_says_so(policy: PolicyFacts, automatic: bool) -> None:
    assert decide_request(replace(FACTS, policy=policy)).is_automatic is automatic


def test_what_is_approved_by_itself_needs_no_approver() -> None:
    nobody = replace(
        POLICY, stages=(StageFacts("owner", ()),), auto_approves=True, auto_approve_up_to=timedelta(hours=2)
    )

    assert decide_request(replace(FACTS, policy=nobody)).is_allowed


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (None, "no end"),
        (timedelta(seconds=90), "90 seconds"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(days=7), "7 days"),
        (timedelta(0), "0 seconds"),
    ],
)
def test_durations_are_said_in_words(duration: timedelta | None, words: str) -> None:
    assert spoken(duration) == words


def test_risk_adds_up_from_parts_that_say_why_and_never_falls_below_the_role() -> None:
    quiet = score(FACTS)
    loud = score(
        replace(
            FACTS,
            entitlement=replace(ROLE, risk=4, is_privileged=True, data_classes=("phi",)),
            ask=replace(ASK, duration=None),
            held=HeldFacts(denied_lately=1),
        )
    )

    assert (quiet.level, loud.level) == (2, 4)
    assert sum(part.points for part in loud.parts) == loud.points
    assert {part.code for part in loud.parts} >= {"entitlement", "privileged", "phi", "open_end", "denied"}
    assert score(replace(FACTS, entitlement=replace(ROLE, risk=4))).level == 4


CONFLICT = DutyConflict(
    7, 70, "pay", "Pay and approve", "They could pay themselves", 3, True, ("Payer in Ledgerline",), (1,), NOW
)


@pytest.mark.parametrize(
    ("conflict", "refusals"),
    [
        (CONFLICT, ["breaks_duties"]),
        (replace(CONFLICT, blocks=False), []),
        (replace(CONFLICT, is_excepted=True, excepted_until=NOW + timedelta(days=9)), []),
    ],
    ids=["blocks", "warns", "is excepted"],
)
def test_a_broken_rule_about_duties_refuses_unless_it_warns_or_is_excepted(
    conflict: DutyConflict, refusals: list[str]
) -> None:
    assert codes(replace(FACTS, duties=(conflict,))) == refusals


def test_a_warning_about_duties_is_for_a_person_to_read_and_adds_to_the_risk() -> None:
    at_once = replace(FACTS, policy=replace(POLICY, auto_approves=True, auto_approve_up_to=timedelta(hours=8)))
    warned = replace(at_once, duties=(replace(CONFLICT, blocks=False),))

    assert decide_request(at_once).is_automatic
    assert not decide_request(warned).is_automatic
    assert score(warned).points - score(at_once).points == 25
    assert "together with Payer in Ledgerline" in score(warned).parts[-1].sentence


#: The role of `FACTS` alone is worth these points.
POINTS = score(FACTS).points
AT_ONCE = replace(POLICY, auto_approves=True, auto_approve_up_to=timedelta(hours=8))
EXTENDS = HeldFacts(until=NOW + timedelta(hours=5), is_extension=True)
BY_SECURITY = (StageFacts("security", ((4, "Sam"),)),)
TWO = (StageFacts("manager", ((2, "Grace"),)), StageFacts("owner", ((3, "Linus"),)))


@pytest.mark.parametrize(
    ("policy", "automatic", "stages"),
    [
        (replace(AT_ONCE, never_automatic_from=POINTS + 1), True, ("owner",)),
        (replace(AT_ONCE, never_automatic_from=POINTS), False, ("owner",)),
        (replace(AT_ONCE, needs_security_from=POINTS + 1), True, ("owner",)),
        (replace(AT_ONCE, needs_security_from=POINTS), False, ("owner", "security")),
        (replace(AT_ONCE, needs_security_from=POINTS, stages=BY_SECURITY), False, ("security",)),
        (replace(POLICY, stages=(), never_automatic_from=POINTS), False, ("security",)),
        (replace(POLICY, stages=(), never_automatic_from=POINTS + 1), True, ()),
    ],
    ids=[
        "below",
        "needs a person",
        "below security",
        "adds security",
        "security is there",
        "nobody else would look",
        "nobody has to look",
    ],
)
def test_risk_decides_whether_a_person_looks_and_which(
    policy: PolicyFacts, automatic: bool, stages: tuple[str, ...]
) -> None:
    verdict = decide_request(replace(FACTS, policy=policy))

    assert (verdict.is_allowed, verdict.is_automatic, verdict.stages) == (True, automatic, stages)


def test_security_that_is_added_has_to_be_somebody_else() -> None:
    policy = replace(POLICY, needs_security_from=POINTS, security=())

    assert codes(replace(FACTS, policy=policy)) == ["no_approver"]
    assert codes(replace(FACTS, policy=replace(policy, security=((4, "Sam"),)))) == []


def test_what_the_policy_declines_is_no_refusal_and_never_automatic() -> None:
    declined = decide_request(replace(FACTS, policy=replace(AT_ONCE, auto_denies=True)))
    refused = decide_request(
        replace(FACTS, policy=replace(AT_ONCE, auto_denies=True), ask=replace(ASK, purpose="Curiosity"))
    )

    assert (declined.is_allowed, declined.is_denied, declined.is_automatic) == (True, True, False)
    assert (refused.is_allowed, refused.is_denied) == (False, False)


@pytest.mark.parametrize(
    ("extending", "held", "hours", "automatic", "stages"),
    [
        ("full", EXTENDS, 2, False, ("manager", "owner")),
        ("one", EXTENDS, 2, False, ("manager",)),
        ("one", HeldFacts(), 2, False, ("manager", "owner")),
        ("automatic", EXTENDS, 3, True, ("manager", "owner")),
        ("automatic", EXTENDS, 4, False, ("manager", "owner")),
        ("automatic", HeldFacts(), 3, False, ("manager", "owner")),
    ],
    ids=["full", "the first decides", "no extension", "within the longest", "beyond the longest", "asked anew"],
)
def test_an_extension_is_decided_as_the_policy_says(
    extending: str, held: HeldFacts, hours: int, automatic: bool, stages: tuple[str, ...]
) -> None:
    policy = replace(POLICY, extending=extending, stages=TWO)
    asked = replace(ASK, duration=timedelta(hours=hours))

    verdict = decide_request(replace(FACTS, policy=policy, held=held, ask=asked))

    assert (verdict.is_automatic, verdict.stages, verdict.first_only) == (automatic, stages, len(stages) == 1)


@pytest.mark.parametrize(
    ("said", "hours", "automatic", "refused"),
    [
        ({"extending": "automatic"}, 1, True, []),
        ({"extending": "automatic"}, 2, False, ["longest_reached"]),
        ({"stages": ()}, 1, True, []),
        ({"stages": ()}, 2, False, ["longest_reached"]),
        ({"stages": (), "allows_open_end": True}, 2, True, []),
        ({"auto_approves": True, "auto_approve_up_to": timedelta(hours=8)}, 1, True, []),
        ({"auto_approves": True, "auto_approve_up_to": timedelta(hours=8)}, 2, False, []),
        ({"extending": "full"}, 2, False, []),
    ],
    ids=[
        "by itself within",
        "by itself beyond",
        "nobody decides, within",
        "nobody decides, beyond",
        "nobody decides, open end",
        "approved by policy within",
        "beyond, people decide",
        "people decide",
    ],
)
def test_nobody_extends_by_themselves_for_ever_what_was_approved_once(
    said: dict[str, object], hours: int, automatic: bool, refused: list[str]
) -> None:
    """An hour is left of seven that were: counted from now there would be room for seven more."""
    held = HeldFacts(until=NOW + timedelta(hours=1), is_extension=True, lasts=timedelta(hours=7))
    policy = replace(POLICY, **{"stages": TWO, **said})  # type: ignore[arg-type]

    verdict = decide_request(
        replace(FACTS, policy=policy, held=held, ask=replace(ASK, duration=timedelta(hours=hours)))
    )

    assert [reason.code for reason in verdict.reasons] == refused
    assert verdict.is_automatic == automatic
    if refused:
        assert "8 hours at the longest, counted from its start" in verdict.reasons[0].sentence
        assert "Ask again" in verdict.reasons[0].sentence


def test_a_warning_about_duties_is_read_by_security_where_nobody_else_decides() -> None:
    warned = replace(FACTS, policy=replace(POLICY, stages=()), duties=(replace(CONFLICT, blocks=False),))

    assert decide_request(warned).stages == ("security",)
    assert not decide_request(warned).is_automatic

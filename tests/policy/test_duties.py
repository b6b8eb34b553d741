"""Which rules about duties are broken, as tables of worlds and against counting hour by hour."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.core.clock import OPEN_END
from governance.policy.duties import Duty, DutyConflict, DutyRule, Exemption, conflicts, refusals

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
PAY, APPROVE, BOOK, SHIP = 1, 2, 3, 4
NAMES = {
    PAY: "Payer in Ledgerline",
    APPROVE: "Approver in Ledgerline",
    BOOK: "Booker in Tally",
    SHIP: "Shipper in Dock",
}


def hour(number: int) -> datetime:
    return NOON + timedelta(hours=number)


def duty(entitlement_id: int, start: int = 0, end: int | None = None) -> Duty:
    return Duty(entitlement_id, NAMES[entitlement_id], hour(start), OPEN_END if end is None else hour(end))


def rule(first: set[int], second: set[int] = frozenset(), **said: Any) -> DutyRule:
    terms = {"severity": 3, "blocks": True, "at_most": None} | said
    why = "They could pay themselves"
    return DutyRule(7, 70, "pay", "Pay and approve", why, first=frozenset(first), second=frozenset(second), **terms)


PAIR = rule({PAY, BOOK}, {APPROVE})
LIMIT = rule({PAY, APPROVE, BOOK}, at_most=2)


def exempt(start: int, end: int, rule_id: int = 7) -> Exemption:
    return Exemption(rule_id, hour(start), hour(end))


@pytest.mark.parametrize(
    ("known", "asked", "held", "others"),
    [
        pytest.param(PAIR, duty(PAY), [duty(APPROVE)], [APPROVE], id="one of each set"),
        pytest.param(PAIR, duty(APPROVE), [duty(PAY), duty(BOOK)], [BOOK, PAY], id="the other way round, each named"),
        pytest.param(PAIR, duty(PAY), [duty(BOOK)], None, id="two of the same set"),
        pytest.param(PAIR, duty(PAY), [], None, id="nothing held"),
        pytest.param(PAIR, duty(PAY), [duty(SHIP)], None, id="something the rule does not name"),
        pytest.param(PAIR, duty(SHIP), [duty(PAY), duty(APPROVE)], None, id="what is broken already is not asked for"),
        pytest.param(PAIR, duty(PAY, 0, 2), [duty(APPROVE, 2, 4)], None, id="one ends as the other begins"),
        pytest.param(PAIR, duty(PAY, 0, 3), [duty(APPROVE, 2, 4)], [APPROVE], id="a future one overlaps"),
        pytest.param(PAIR, duty(PAY, 4), [duty(APPROVE, -3, 4)], None, id="begins when the other has ended"),
        pytest.param(PAIR, duty(PAY), [duty(PAY), duty(APPROVE)], [APPROVE], id="extending what breaks it"),
        pytest.param(LIMIT, duty(PAY), [duty(APPROVE)], None, id="within the limit"),
        pytest.param(LIMIT, duty(PAY), [duty(APPROVE), duty(BOOK)], [APPROVE, BOOK], id="over the limit"),
        pytest.param(LIMIT, duty(PAY), [duty(APPROVE), duty(APPROVE)], None, id="the same one twice counts once"),
        pytest.param(LIMIT, duty(PAY), [duty(PAY), duty(APPROVE)], None, id="one held already counts once"),
        pytest.param(LIMIT, duty(PAY), [duty(APPROVE, 0, 1), duty(BOOK, 1, 2)], None, id="never both at once"),
        pytest.param(LIMIT, duty(PAY), [duty(APPROVE, 0, 3), duty(BOOK, 2, 4)], [APPROVE, BOOK], id="both for an hour"),
    ],
)
def test_a_rule_is_broken_exactly_when_it_says_so(
    known: DutyRule, asked: Duty, held: list[Duty], others: list[int] | None
) -> None:
    found = conflicts([known], asked, held)

    names = None if others is None else tuple(sorted(NAMES[one] for one in others))
    assert [one.others for one in found] == ([] if names is None else [names])


@pytest.mark.parametrize(
    ("asked", "exemptions", "is_excepted", "begins"),
    [
        pytest.param(duty(PAY, 0, 4), [exempt(0, 4)], True, 0, id="covers the whole time"),
        pytest.param(duty(PAY, 0, 5), [exempt(0, 4)], False, 4, id="ends before the access does"),
        pytest.param(duty(PAY, 5, 6), [exempt(0, 4)], False, 5, id="is over when it begins"),
        pytest.param(duty(PAY, 0, 6), [exempt(0, 4), exempt(3, 6)], True, 0, id="two in a row"),
        pytest.param(duty(PAY, 0, 4), [exempt(0, 4, rule_id=8)], False, 0, id="is for another rule"),
    ],
)
def test_an_exception_covers_only_its_own_rule_and_time(
    asked: Duty, exemptions: list[Exemption], is_excepted: bool, begins: int
) -> None:
    (found,) = conflicts([PAIR], asked, [duty(APPROVE)], exemptions)

    assert (found.is_excepted, found.begins_at) == (is_excepted, hour(begins))
    assert bool(list(refusals([found]))) is not is_excepted


def test_every_rule_that_blocks_is_a_reason_and_one_that_warns_is_none() -> None:
    warns = rule({PAY}, {BOOK}, blocks=False, severity=4)

    found = conflicts([PAIR, warns, LIMIT], duty(PAY), [duty(APPROVE), duty(BOOK)])

    assert [one.severity for one in found] == [4, 3, 3]
    assert [reason.code for reason in refusals(found)] == ["breaks_duties", "breaks_duties"]


def test_a_reason_names_the_rule_what_is_held_why_it_matters_and_when_an_exception_ends() -> None:
    found = conflicts([PAIR], duty(PAY, 0, 9), [duty(APPROVE)], [exempt(0, 4)])

    (reason,) = refusals(found)
    assert reason.sentence == (
        "It breaks the rule “Pay and approve” together with Approver in Ledgerline. They could pay themselves. "
        "The exception ends 03 March 2026, 16:00 UTC; choose a time that ends before."
    )
    assert reason.field == "duration"


SPANS = st.tuples(st.sampled_from(sorted(NAMES)), st.integers(0, 6), st.integers(1, 6)).map(
    lambda said: duty(said[0], said[1], said[1] + said[2])
)
EXEMPTIONS = st.tuples(st.integers(0, 6), st.integers(1, 6)).map(lambda said: exempt(said[0], said[0] + said[1]))


@given(st.sampled_from([PAIR, LIMIT]), SPANS, st.lists(SPANS, max_size=5), st.lists(EXEMPTIONS, max_size=2))
def test_it_agrees_with_looking_at_every_hour(
    known: DutyRule, asked: Duty, held: list[Duty], exemptions: list[Exemption]
) -> None:
    found = conflicts([known], asked, held, exemptions)

    hours = [hour(number) for number in range(14) if asked.covers(hour(number))]
    broken = [
        at for at in hours if _breaks(known, {one.entitlement_id for one in [*held, asked] if one.covers(at)}, asked)
    ]
    uncovered = [at for at in broken if not any(one.covers(at) for one in exemptions)]
    assert _is_open(found) == bool(uncovered)
    assert bool(found) == bool(broken)
    if uncovered:
        assert found[0].begins_at == uncovered[0]


def _is_open(found: tuple[DutyConflict, ...]) -> bool:
    return any(not one.is_excepted for one in found)


def _breaks(known: DutyRule, together: set[int], asked: Duty) -> bool:
    if asked.entitlement_id not in known.roles:
        return False
    if known.at_most is not None:
        return len(together & known.first) > known.at_most
    return bool(together & (known.second if asked.entitlement_id in known.first else known.first))

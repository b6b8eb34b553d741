"""R01: who has access as of an instant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from governance.core.actor import Actor, Door
from governance.core.clock import OPEN_END
from governance.ledger.recording import Record, Subject, record_many
from governance.provisioning.models import Account
from tests.evidence.conftest import Rows, World, day, question, rows_of

TICK = timedelta(microseconds=1)
END_OF_MARCH = day(4, 1)
Report = Callable[..., Rows]


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "is_in"),
    [
        (day(3, 1), OPEN_END, True),
        (END_OF_MARCH - TICK, OPEN_END, True),
        (END_OF_MARCH, OPEN_END, False),
        (day(3, 1), END_OF_MARCH, True),
        (day(3, 1), END_OF_MARCH - TICK, False),
        (day(3, 1), day(3, 1), False),
    ],
    ids=["open", "begins with the last tick", "begins after", "ends just after", "ends with the last tick", "empty"],
)
def test_as_of_is_half_open(world: World, report: Report, starts_at: datetime, ends_at: datetime, is_in: bool) -> None:
    world.grant("ada", "snowflake/analyst", starts_at, ends_at)

    assert [row["person_name"] for row in report("R01")] == ["Ada"] * is_in


def test_midnight_is_midnight_in_the_zone_asked_for(world: World, report: Report) -> None:
    world.grant("ada", "snowflake/analyst", datetime(2026, 3, 29, 22, 30, tzinfo=UTC))
    sunday = {"first": date(2026, 3, 29), "last": date(2026, 3, 29)}

    assert len(report("R01", **sunday, zone="UTC")) == 1
    assert len(report("R01", **sunday, zone="Europe/Berlin")) == 0


def test_what_was_recorded_after_the_cut_is_not_known(world: World, report: Report) -> None:
    grant = world.grant("ada", "snowflake/analyst", day(3, 1), recorded_at=day(4, 10))
    world.change(grant, "revoked", day(5, 20), ends_at=day(3, 15))

    assert [len(report("R01", known_at=known)) for known in (day(4, 9), day(4, 11), day(5, 21))] == [0, 1, 0]


def test_an_act_that_was_sealed_behind_the_pin_is_not_known(world: World, report: Report) -> None:
    grant = world.grant("ada", "snowflake/analyst", day(3, 1))
    revision = grant.revisions.get()
    late = Actor.system("test", door=Door.COMMAND, correlation_id=revision.correlation_id)

    record_many([Record("grant.started", late, [Subject("grant", str(grant.pk))])])

    assert report("R01") == []


def test_what_is_seen_without_a_grant_is_a_source_of_its_own(world: World, report: Report) -> None:
    world.grant("ada", "snowflake/analyst", day(3, 1))
    world.see("ada", "snowflake/analyst", day(3, 1, 1))
    world.see("ada", "snowflake/admin", day(3, 5))
    world.see("grace", "snowflake/admin", day(3, 5), gone_at=day(3, 20))
    world.see("mallory", "snowflake/admin", day(3, 5), gone_at=day(5, 1))
    world.see(None, "snowflake/admin", day(3, 6))

    rows = report("R01")

    assert [(row["person_name"], row["entitlement"], row["source"], row["exceptions"]) for row in rows] == [
        ("Ada", "admin", "seen, not granted", "not_granted"),
        ("Mallory", "admin", "seen, not granted", "not_granted"),
        ("", "admin", "seen, not granted", "not_granted no_person"),
        ("Ada", "analyst", "granted", ""),
        ("Grace", "", "account, no entitlement seen", ""),
    ]
    assert rows[3]["seen_at"] == "2026-03-01T01:00:00.000000Z"


def test_a_service_account_is_in_the_population(world: World, report: Report) -> None:
    role = world.role("snowflake/loader")
    Account.objects.create(
        application=role.application, target_id="9", user_name="etl", kind="service", first_seen_at=day(1, 1),
        confirmed_at=day(1, 1),
    )  # fmt: skip

    assert [(row["account"], row["account_kind"], row["exceptions"]) for row in report("R01")] == [
        ("etl", "service", "")
    ]


def test_names_are_those_of_the_instant(world: World, report: Report) -> None:
    world.grant("ada", "snowflake/analyst", day(2, 1))
    world.revise("ada", "updated", day(3, 10), display_name="Ada King", department="Sales")
    world.revise("ada", "updated", day(4, 10), display_name="Countess Lovelace", department="Court")

    (row,) = report("R01")

    assert (row["person_name"], row["department"]) == ("Ada King", "Sales")


def test_a_leaver_who_still_has_access_is_flagged(world: World, report: Report) -> None:
    world.grant("ada", "snowflake/analyst", day(2, 1))
    world.revise("ada", "left", day(3, 10))

    assert [row["exceptions"] for row in report("R01")] == ["person_has_left"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(world: World, report: Report, start: str) -> None:
    world.person("ada", display_name=f'{start}HYPERLINK("x")\n,"y"')
    world.grant("ada", "snowflake/analyst", day(3, 1))

    (row,) = report("R01")

    assert row["person_name"] == f'\'{start}HYPERLINK("x")\n,"y"'


def test_ordinals_and_order_are_stable(world: World, report: Report) -> None:
    for who in ("ada", "grace", "linus"):
        for what in ("zoom/user", "snowflake/analyst"):
            world.grant(who, what, day(3, 1))

    rows = report("R01")

    assert [row["row_no"] for row in rows] == [str(number) for number in range(1, 7)]
    assert [row["application"] for row in rows] == ["snowflake"] * 3 + ["zoom"] * 3
    assert rows == report("R01")


def test_nobody_having_access_is_an_empty_report_with_names_of_columns(report: Report) -> None:
    assert report("R01") == []


HOURS = st.integers(min_value=0, max_value=96)
HISTORIES = st.lists(
    st.tuples(st.sampled_from(["ada", "grace"]), HOURS, HOURS, st.lists(st.tuples(HOURS, HOURS), max_size=3)),
    max_size=5,
)
START = day(3, 1)


def at(hours: int) -> datetime:
    return START + timedelta(hours=hours)


class AsOfAgreesWithLookingAtEachInstant(TestCase):
    """Any history of grants, asked at any cut, against a model that knows nothing of SQL."""

    @settings(max_examples=40, deadline=None)
    @given(histories=HISTORIES, days=st.integers(0, 3), known=HOURS)
    def test_as_of_agrees_with_the_model(
        self, histories: list[tuple[str, int, int, list[tuple[int, int]]]], days: int, known: int
    ) -> None:
        world, expected = World(), []
        asked = question(date(2026, 3, 1), date(2026, 3, 1 + days), known_at=at(known))
        instant = min(at(24 * (days + 1)) - TICK, at(known))
        for who, start, length, moves in histories:
            grant = world.grant(who, "snowflake/analyst", at(start), at(start + length), recorded_at=at(start))
            told = [(start, start + length)]
            for moved, end in sorted(moves):
                told.append((moved, start + end))
                world.change(grant, "extended" if end > length else "shortened", at(moved), ends_at=at(start + end))
            believed = [end for recorded, end in told if recorded <= known]
            if believed and at(start) <= instant < at(believed[-1]):
                expected.append(who.title())

        found = sorted(row["person_name"] for row in rows_of("R01", asked))

        assert found == sorted(expected)

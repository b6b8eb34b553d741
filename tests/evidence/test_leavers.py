"""R05: everybody who left in a window, and how long their access really lasted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from governance.core.actor import Actor, Door
from governance.ledger.recording import Record, Subject, record_many
from tests.evidence.conftest import Rows, World, day

Report = Callable[..., Rows]
LEFT = day(3, 10, 17)
HOUR = timedelta(hours=1)
SNOWFLAKE, GITHUB = "snowflake/analyst", "github/developer"


def leave(world: World, name: str = "ada", at: datetime = LEFT, recorded_at: datetime | None = None) -> None:
    world.person(name)
    world.revise(name, "left", at, recorded_at)


def held(world: World, what: str, ended_at: datetime | None = LEFT, name: str = "ada") -> None:
    """Give access long before, and end it because of the leaving unless it never ended."""
    grant = world.grant(name, what, day(1, 1))
    if ended_at is not None:
        world.change(grant, "left", ended_at, ends_at=ended_at)


def test_a_leaver_without_access_is_in_the_population(world: World, report: Report) -> None:
    leave(world)

    (row,) = report("R05")

    assert (row["person_name"], row["verdict"], row["accesses_held"], row["exceptions"]) == (
        "Ada",
        "no access",
        "0",
        "",
    )
    assert row["hours_effective_to_last"] == ""


def test_the_time_runs_to_the_last_confirmed_removal(world: World, report: Report) -> None:
    held(world, SNOWFLAKE)
    held(world, GITHUB)
    leave(world)
    world.take("ada", SNOWFLAKE, LEFT, verified_at=LEFT + HOUR / 2)
    world.take("ada", GITHUB, LEFT, verified_at=LEFT + 3 * HOUR)

    (row,) = report("R05")

    assert (row["first_confirmed_at"], row["last_confirmed_at"]) == (
        "2026-03-10T17:30:00.000000Z",
        "2026-03-10T20:00:00.000000Z",
    )
    assert (row["hours_effective_to_last"], row["verdict"], row["exceptions"]) == ("3.000", "in time", "")
    assert (row["accesses_held"], row["systems_held"], row["confirmed"], row["still_open"]) == ("2", "2", "2", "0")


def test_a_removal_that_was_only_sent_is_still_open(world: World, report: Report) -> None:
    held(world, SNOWFLAKE)
    held(world, GITHUB)
    world.connect("snowflake")
    leave(world)
    world.take("ada", SNOWFLAKE, LEFT, delivered_at=LEFT + HOUR)
    world.take("ada", GITHUB, LEFT, verified_at=LEFT + HOUR)

    (row,) = report("R05")

    assert (row["verdict"], row["still_open"], row["open_items"]) == ("overdue", "1", SNOWFLAKE)
    assert (row["hours_effective_to_last"], row["last_confirmed_at"]) == ("", "2026-03-10T18:00:00.000000Z")
    assert row["exceptions"] == "still_open over_sla"


def test_access_that_was_never_ended_keeps_the_leaver_in_the_population(world: World, report: Report) -> None:
    held(world, SNOWFLAKE, ended_at=None)
    leave(world)

    (row,) = report("R05")

    assert (row["verdict"], row["open_items"]) == ("overdue", SNOWFLAKE)


@pytest.mark.parametrize(
    ("verified_after", "verdict", "exceptions"),
    [
        (24 * HOUR, "in time", ""),
        (24 * HOUR + timedelta(microseconds=1), "late", "over_sla"),
    ],
)
def test_the_allowed_time_is_a_policy_value(
    world: World, report: Report, verified_after: timedelta, verdict: str, exceptions: str
) -> None:
    held(world, SNOWFLAKE)
    leave(world)
    world.take("ada", SNOWFLAKE, LEFT, verified_at=LEFT + verified_after)

    (row,) = report("R05")
    (strict,) = report("R05", sla_hours=1)

    assert (row["verdict"], row["exceptions"], row["sla_hours"]) == (verdict, exceptions, "24")
    assert (strict["verdict"], strict["sla_hours"]) == ("late", "1")


def test_what_is_open_and_not_yet_due_is_running(world: World, report: Report) -> None:
    held(world, SNOWFLAKE)
    leave(world)

    found = [report("R05", known_at=LEFT + hours * HOUR)[0]["verdict"] for hours in (1, 24, 25)]

    assert found == ["running", "running", "overdue"]


def test_a_confirmation_after_the_cut_is_not_known(world: World, report: Report) -> None:
    held(world, SNOWFLAKE)
    leave(world)
    world.take("ada", SNOWFLAKE, LEFT, verified_at=day(3, 20))

    found = [report("R05", known_at=known)[0]["verdict"] for known in (day(3, 19), day(3, 20))]

    assert found == ["overdue", "late"]


def test_late_notice_counts_from_the_effective_moment_and_says_so(world: World, report: Report) -> None:
    recorded = LEFT + 72 * HOUR
    held(world, SNOWFLAKE, ended_at=recorded)
    leave(world, recorded_at=recorded)
    world.take("ada", SNOWFLAKE, recorded, verified_at=recorded + HOUR)

    (row,) = report("R05")

    assert (row["hours_effective_to_last"], row["hours_recorded_to_last"]) == ("73.000", "1.000")
    assert (row["verdict"], row["exceptions"]) == ("late", "over_sla late_notice")


def test_a_back_dated_leaving_belongs_to_the_window_it_took_effect_in(world: World, report: Report) -> None:
    leave(world, at=day(3, 28), recorded_at=day(4, 3))

    assert [len(report("R05", known_at=known)) for known in (day(4, 2), day(4, 4))] == [0, 1]


def test_a_corrected_leaving_is_one_row_with_the_earliest_moment(world: World, report: Report) -> None:
    leave(world, at=day(3, 12), recorded_at=day(3, 12))
    leave(world, at=day(3, 8), recorded_at=day(3, 14))
    world.revise("ada", "unlisted", day(3, 20))

    (row,) = report("R05")

    assert (row["effective_at"][:10], row["recorded_at"][:10]) == ("2026-03-08", "2026-03-12")


def test_somebody_who_came_back_and_left_again_has_two_rows(world: World, report: Report) -> None:
    held(world, SNOWFLAKE, ended_at=day(3, 5))
    leave(world, at=day(3, 5))
    world.take("ada", SNOWFLAKE, day(3, 5), verified_at=day(3, 5, 1))
    world.revise("ada", "rejoined", day(3, 15))
    again = world.grant("ada", GITHUB, day(3, 16))
    world.change(again, "left", day(3, 25), ends_at=day(3, 25))
    leave(world, at=day(3, 25))

    first, second = report("R05")

    assert (first["rejoined_at"][:10], first["verdict"], first["accesses_held"]) == ("2026-03-15", "in time", "1")
    assert (second["rejoined_at"], second["verdict"], second["open_items"]) == ("", "overdue", GITHUB)


def test_somebody_who_came_back_elsewhere_still_left_in_the_window(world: World, report: Report) -> None:
    leave(world)
    world.revise("ada", "rejoined", day(5, 1))

    assert [row["rejoined_at"][:10] for row in report("R05")] == ["2026-05-01"]


def test_access_begun_after_leaving_is_an_exception(world: World, report: Report) -> None:
    leave(world)
    world.grant("ada", SNOWFLAKE, LEFT + HOUR)

    (row,) = report("R05")

    assert row["exceptions"] == "still_open over_sla access_after_leaving"


def test_access_that_ended_before_leaving_was_not_held(world: World, report: Report) -> None:
    world.grant("ada", SNOWFLAKE, day(1, 1), LEFT - timedelta(microseconds=1))
    cancelled = world.grant("ada", GITHUB, day(4, 1), recorded_at=day(3, 1))
    world.change(cancelled, "left", LEFT, ends_at=day(4, 1))
    leave(world)

    assert [row["verdict"] for row in report("R05")] == ["no access"]


def test_two_reasons_for_one_access_are_one_access(world: World, report: Report) -> None:
    held(world, SNOWFLAKE)
    held(world, SNOWFLAKE)
    leave(world)
    world.take("ada", SNOWFLAKE, LEFT, verified_at=LEFT + HOUR)

    (row,) = report("R05")

    assert (row["accesses_held"], row["confirmed"], row["verdict"]) == ("1", "1", "in time")


def test_a_read_back_from_before_the_last_reason_ended_confirms_nothing(world: World, report: Report) -> None:
    held(world, SNOWFLAKE, ended_at=LEFT + HOUR)
    leave(world)
    world.take("ada", SNOWFLAKE, LEFT, verified_at=LEFT + HOUR / 2)

    assert report("R05")[0]["verdict"] == "overdue"


def test_access_that_was_only_seen_counts_and_its_disappearance_confirms(world: World, report: Report) -> None:
    world.see("ada", "snowflake/admin", day(2, 1), gone_at=LEFT + 2 * HOUR)
    leave(world)

    (row,) = report("R05")

    assert (row["accesses_held"], row["accounts_held"], row["hours_effective_to_last"]) == ("1", "1", "2.000")
    assert (row["verdict"], row["exceptions"]) == ("in time", "seen_without_grant")


def test_a_removal_by_hand_is_somebodys_word(world: World, report: Report) -> None:
    held(world, SNOWFLAKE)
    world.connect("snowflake", kind="manual")
    leave(world)
    world.take("ada", SNOWFLAKE, LEFT, delivered_at=LEFT + 2 * HOUR)

    (row,) = report("R05")

    assert (row["confirmed"], row["attested"], row["last_confirmed_at"]) == ("0", "1", "")
    assert (row["verdict"], row["hours_effective_to_last"]) == ("in time, partly by hand", "2.000")


def test_the_window_follows_the_zone_over_a_change_of_clocks(world: World, report: Report) -> None:
    leave(world, "ada", datetime(2026, 10, 24, 21, 59, tzinfo=UTC))
    leave(world, "grace", datetime(2026, 10, 24, 22, 0, tzinfo=UTC))
    leave(world, "linus", datetime(2026, 10, 25, 22, 59, tzinfo=UTC))
    leave(world, "sam", datetime(2026, 10, 25, 23, 0, tzinfo=UTC))

    rows = report("R05", first=date(2026, 10, 25), last=date(2026, 10, 25), zone="Europe/Berlin", known_at=day(12, 1))

    assert {row["person_name"] for row in rows} == {"Grace", "Linus"}


def test_a_leaving_still_to_come_has_not_happened(world: World, report: Report) -> None:
    leave(world, at=day(3, 20), recorded_at=day(3, 1))

    assert report("R05", known_at=day(3, 19)) == []


def test_somebody_who_was_never_active_did_not_leave(world: World, report: Report) -> None:
    world.person("ada", joined_at=day(3, 2), first_status="left")
    world.revise("ada", "unlisted", day(3, 5))

    assert report("R05") == []


def test_a_leaving_that_is_not_sealed_yet_is_not_known_at_the_pinned_size(world: World, report: Report) -> None:
    leave(world)
    ada = world.people["ada"]
    act = Actor.system("test", door=Door.SCIM, correlation_id=ada.revisions.get(change="left").correlation_id)
    record_many([Record("person.left", act, [Subject("person", str(ada.ref))])])

    assert report("R05") == []

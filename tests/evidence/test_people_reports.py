"""R04 and R06: who joined and who moved in a window, and the access that went with it, against what is told by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from governance.access.models import Grant
from tests.evidence.conftest import Rows, World, day

Report = Callable[..., Rows]
SNOWFLAKE, GITHUB = "snowflake/analyst", "github/developer"
TICK = timedelta(microseconds=1)


def only(rows: Rows) -> dict[str, str]:
    assert len(rows) == 1, rows
    return rows[0]


@pytest.mark.parametrize(
    ("joined", "is_in"),
    [(day(3, 1), True), (day(3, 1) - TICK, False), (day(4, 1) - TICK, True), (day(4, 1), False)],
    ids=["first tick", "just before", "last tick", "just after"],
)
def test_joiners_of_a_window_are_in_it_with_or_without_access(
    world: World, report: Report, joined: object, is_in: bool
) -> None:
    world.person("ada", joined)  # type: ignore[arg-type]

    assert [row["person_name"] for row in report("R04")] == ["Ada"] * is_in


def test_a_joiner_is_shown_with_what_came_by_rule_and_what_came_besides(world: World, report: Report) -> None:
    world.person("ada", day(3, 3))
    world.grant("ada", SNOWFLAKE, day(3, 3, 1), cause="birthright")
    asked = world.request("ada", GITHUB, day(3, 4))
    world.approve(asked, "linus", day(3, 5))
    world.grant("ada", GITHUB, day(3, 5, 1), cause="request", request=asked)
    world.grant("ada", "okta/admin", day(4, 20))

    row = only(report("R04"))

    assert (row["by_role"], row["extra"], row["birthright"]) == ("1", "1", SNOWFLAKE)
    assert row["extra_access"].startswith(f"{GITHUB} (request R-")
    assert "Linus [" in row["extra_access"]
    assert row["first_access_at"] == "2026-03-03T01:00:00.000000Z"
    assert row["exceptions"] == ""


def test_what_a_joiner_has_too_early_or_without_approval_is_an_exception(world: World, report: Report) -> None:
    world.person("ada", day(3, 3))
    world.grant("ada", SNOWFLAKE, day(3, 2))
    world.person("grace", day(3, 10))
    world.grant("grace", SNOWFLAKE, day(3, 9), day(3, 9, 12))

    rows = {row["person_name"]: row["exceptions"] for row in report("R04")}

    assert rows == {"Ada": "access_before_start extra_without_approval", "Grace": ""}


def test_a_back_dated_joining_counts_when_it_took_effect_and_says_when_it_was_learnt(
    world: World, report: Report
) -> None:
    world.person("ada")
    world.revise("ada", "left", day(1, 5))
    world.revise("ada", "rejoined", day(3, 30), day(4, 2))

    row = only(report("R04"))

    assert (row["change"], row["exceptions"]) == ("rejoined", "late_notice")
    assert report("R04", known_at=day(4, 1)) == []


def test_a_mover_keeps_what_a_rule_or_a_new_approval_gives_and_the_rest_is_unsettled(
    world: World, report: Report
) -> None:
    world.person("ada", department="Data")
    world.revise("ada", "updated", day(1, 2), department="Data")
    moved = day(3, 10)
    world.grant("ada", SNOWFLAKE, day(1, 3))
    world.grant("ada", GITHUB, day(1, 3), day(3, 12), cause="birthright")
    world.grant("ada", "okta/user", day(1, 3), cause="birthright")
    world.grant("ada", "aws/reader", day(1, 3))
    again = world.request("ada", "aws/reader", moved + timedelta(days=1))
    world.approve(again, "linus", moved + timedelta(days=2))
    world.revise("ada", "updated", moved, department="Sales")

    row = only(report("R06"))

    assert (row["old_department"], row["department"]) == ("Data", "Sales")
    assert [row[name] for name in ("held", "removed", "by_rule", "approved_again")] == ["4", "1", "1", "1"]
    assert (row["unsettled"], row["settling"], row["exceptions"]) == (SNOWFLAKE, "over", "kept_without_reason")


def test_while_the_time_to_settle_runs_nothing_is_an_exception(world: World, report: Report) -> None:
    world.person("ada")
    world.grant("ada", SNOWFLAKE, day(1, 3))
    world.revise("ada", "updated", day(3, 28), title="Lead")

    row = only(report("R06", known_at=day(4, 1)))

    assert (row["settling"], row["exceptions"], row["unsettled"]) == ("running", "", SNOWFLAKE)


def test_somebody_whose_name_changed_did_not_move(world: World, report: Report) -> None:
    world.person("ada")
    world.revise("ada", "updated", day(3, 10), display_name="Ada King")

    assert report("R06") == []


def test_a_move_at_midnight_belongs_to_the_day_of_the_zone(world: World, report: Report) -> None:
    world.person("ada")
    world.revise("ada", "updated", day(3, 28, 23, 30), title="Lead")

    berlin = {"first": date(2026, 3, 29), "last": date(2026, 3, 29), "zone": "Europe/Berlin"}
    assert len(report("R06", **berlin)) == 1
    assert report("R06", **berlin | {"zone": "UTC"}) == []
    assert not Grant.objects.exists()


def test_what_was_before_a_move_is_what_was_so_before_it_and_not_what_was_written_down_before(
    world: World, report: Report
) -> None:
    world.person("ada")
    world.revise("ada", "updated", day(2, 1), department="Data")
    world.revise("ada", "updated", day(3, 20), department="Sales")
    world.revise("ada", "updated", day(3, 10), day(3, 25), department="Legal")

    moves = [(row["effective_at"][:10], row["old_department"], row["department"]) for row in report("R06")]

    assert sorted(moves) == [("2026-03-10", "Data", "Legal"), ("2026-03-20", "Legal", "Sales")]
    assert [row["old_department"] for row in report("R06", known_at=day(3, 21))] == ["Data"]


def test_a_correction_of_a_move_is_one_move(world: World, report: Report) -> None:
    world.person("ada")
    world.revise("ada", "updated", day(3, 10), department="Sales")
    world.revise("ada", "updated", day(3, 10), day(3, 12), department="Legal")
    world.person("grace")
    world.revise("grace", "updated", day(3, 10), department="Sales")
    world.revise("grace", "updated", day(3, 10), day(3, 12))

    assert [(row["person_name"], row["department"]) for row in report("R06")] == [("Ada", "Legal")]

"""R03: every change of access in a window."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from governance.access.models import AccessRequest
from governance.catalog.models import AccessPolicyVersion
from governance.core.clock import OPEN_END
from governance.evidence.reading import read_roll_forward
from tests.evidence.conftest import Rows, World, day, question, rows_of

Report = Callable[..., Rows]
TICK = timedelta(microseconds=1)
ROLE = "snowflake/analyst"


def changes(rows: Rows) -> list[tuple[str, str]]:
    return [(row["person_name"], row["change"]) for row in rows]


def approved_request(world: World, at: datetime, *, by: str = "linus", asked_by: str = "ada") -> AccessRequest:
    request = world.request("ada", ROLE, at, by=asked_by)
    world.approve(request, by, at + timedelta(minutes=5))
    return request


@pytest.mark.parametrize(
    ("instant", "is_in"),
    [(day(3, 1), True), (day(3, 1) - TICK, False), (day(4, 1) - TICK, True), (day(4, 1), False)],
    ids=["first tick", "just before", "last tick", "just after"],
)
def test_the_window_is_half_open_for_starts_and_for_ends(
    world: World, report: Report, instant: datetime, is_in: bool
) -> None:
    world.grant("ada", ROLE, instant)
    world.grant("grace", ROLE, day(1, 1), instant)

    assert changes(report("R03")) == [("Ada", "started"), ("Grace", "ended")] * is_in


@pytest.mark.parametrize(
    ("zone", "found"), [("Europe/Berlin", ["Ada"]), ("UTC", ["Grace"])], ids=["summer time begins", "utc"]
)
def test_the_window_follows_the_zone_over_a_change_of_clocks(
    world: World, report: Report, zone: str, found: list[str]
) -> None:
    world.grant("ada", ROLE, datetime(2026, 3, 28, 23, 30, tzinfo=UTC))
    world.grant("grace", ROLE, datetime(2026, 3, 29, 22, 30, tzinfo=UTC))

    rows = report("R03", first=date(2026, 3, 29), last=date(2026, 3, 29), zone=zone)

    assert [row["person_name"] for row in rows] == found


def test_a_grant_that_runs_through_the_window_did_not_change_in_it(world: World, report: Report) -> None:
    world.grant("ada", ROLE, day(2, 1), day(5, 1))

    assert report("R03") == []


def test_a_grant_cancelled_before_it_began_neither_started_nor_ended(world: World, report: Report) -> None:
    grant = world.grant("ada", ROLE, day(3, 10), recorded_at=day(3, 1))
    world.change(grant, "returned", day(3, 5), ends_at=day(3, 10))

    assert report("R03") == []


def test_the_whole_story_of_a_request_is_in_the_row(world: World, report: Report) -> None:
    request = approved_request(world, day(3, 3, 9), asked_by="grace")
    world.grant("ada", ROLE, day(3, 3, 10), day(3, 3, 12), cause="request", request=request)

    started, ended = sorted(report("R03"), key=lambda row: row["effective_at"])

    assert started["request"] == f"R-{request.number}"
    assert started["requester_name"] == "Grace"
    assert started["approvers"] == f"Linus [{world.people['linus'].ref}] as owner"
    assert started["decided_at"] == "2026-03-03T09:05:00.000000Z"
    assert started["decided_under"] == "usual v1"
    assert started["new_end"] == "2026-03-03T12:00:00.000000Z"
    assert (ended["end_cause"], ended["actor_ref"]) == ("expired", "expiry")
    assert [started["exceptions"], ended["exceptions"]] == ["", ""]


@pytest.mark.parametrize(
    ("by", "asked_by", "approved_at", "exceptions"),
    [
        ("linus", "ada", day(3, 3, 9), ""),
        (None, "ada", day(3, 3, 9), ""),
        ("ada", "ada", day(3, 3, 9), "approved_by_beneficiary approved_by_requester"),
        ("ada", "grace", day(3, 3, 9), "approved_by_beneficiary"),
        ("grace", "grace", day(3, 3, 9), "approved_by_requester"),
        ("linus", "ada", day(3, 3, 11), "approved_after_start"),
    ],
    ids=["owner", "policy", "oneself", "beneficiary", "requester", "afterwards"],
)
def test_who_approved_and_when_is_judged(
    world: World, report: Report, by: str | None, asked_by: str, approved_at: datetime, exceptions: str
) -> None:
    request = world.request("ada", ROLE, day(3, 3, 8), by=asked_by)
    world.approve(request, by, approved_at)
    world.grant("ada", ROLE, day(3, 3, 10), cause="request", request=request)

    assert [row["exceptions"] for row in report("R03")] == [exceptions]


def test_access_without_an_approval_is_an_exception(world: World, report: Report) -> None:
    request = world.request("ada", ROLE, day(3, 3))
    world.grant("ada", ROLE, day(3, 3), cause="request", request=request)
    world.grant("grace", ROLE, day(3, 3), cause="manual")
    world.grant("linus", ROLE, day(3, 3), cause="birthright")
    world.grant("sam", ROLE, day(3, 3), cause="break_glass")

    assert [(row["person_name"], row["exceptions"]) for row in report("R03")] == [
        ("Ada", "no_approval"),
        ("Grace", "no_approval"),
        ("Linus", ""),
        ("Sam", "break_glass"),
    ]


def test_an_approval_that_came_after_the_cut_is_not_known(world: World, report: Report) -> None:
    request = world.request("ada", ROLE, day(3, 3))
    world.approve(request, "linus", day(5, 1))
    world.grant("ada", ROLE, day(3, 3), cause="request", request=request)

    assert [report("R03", known_at=known)[0]["exceptions"] for known in (day(4, 15), day(5, 2))] == [
        "no_approval",
        "approved_after_start",
    ]


def test_fewer_approvals_than_stages_is_an_exception(world: World, report: Report) -> None:
    request = approved_request(world, day(3, 3))
    two = AccessPolicyVersion.objects.create(
        policy=request.policy_version.policy, number=2, effective_at=day(1, 1), created_at=day(1, 1),
        created_by_ref="x", stages=[{"kind": "manager"}, {"kind": "owner"}],
    )  # fmt: skip
    AccessRequest.objects.filter(pk=request.pk).update(policy_version=two)
    world.grant("ada", ROLE, day(3, 4), cause="request", request=request)

    assert [(row["exceptions"], row["decided_under"]) for row in report("R03")] == [("approvals_missing", "usual v2")]


@pytest.mark.parametrize(
    ("answered", "found"),
    [((0, 0), "approvals_missing"), ((0, 1), "approvals_missing"), ((0, 0, 1), "")],
    ids=["the second stage was never asked", "one of the two who were needed", "everybody who was needed"],
)
def test_two_approvals_at_one_stage_do_not_stand_for_another(
    world: World, report: Report, answered: tuple[int, ...], found: str
) -> None:
    request = world.request("ada", ROLE, day(3, 1))
    version = request.policy_version
    AccessPolicyVersion.objects.create(
        policy=version.policy, number=2, effective_at=day(1, 1), created_at=day(1, 1), created_by_ref="x",
        stages=[{"kind": "manager", "quorum": 2}, {"kind": "owner"}],
    )  # fmt: skip
    AccessRequest.objects.update(policy_version=AccessPolicyVersion.objects.get(number=2))
    for number, stage in enumerate(answered):
        world.approve(request, f"approver{number}", day(3, 2), stage=stage)
    world.grant("ada", ROLE, day(3, 4), cause="request", request=request)

    assert [row["exceptions"] for row in report("R03")] == [found]


def test_who_decided_stands_in_the_order_of_the_answers(world: World, report: Report) -> None:
    request = world.request("ada", ROLE, day(3, 1))
    for name, at in (("grace", day(3, 3)), ("linus", day(3, 2))):
        world.approve(request, name, at)
    world.grant("ada", ROLE, day(3, 4), cause="request", request=request)

    (row,) = report("R03")

    assert row["approvers"].index("Linus") < row["approvers"].index("Grace")


def test_a_stage_that_declined_is_an_exception(world: World, report: Report) -> None:
    request = approved_request(world, day(3, 3))
    world.approve(request, "grace", day(3, 3), approved=False, stage=1)
    world.grant("ada", ROLE, day(3, 4), cause="request", request=request)

    (row,) = report("R03")

    assert row["exceptions"] == "declined_by_somebody"
    assert row["approvers"].endswith("as owner (declined)")


def test_back_dated_access_is_an_exception_and_counts_when_it_took_effect(world: World, report: Report) -> None:
    world.grant("ada", ROLE, day(3, 28), recorded_at=day(4, 3), cause="birthright")
    world.grant("grace", ROLE, day(3, 28), recorded_at=day(4, 3), cause="imported")

    assert [(row["person_name"], row["exceptions"]) for row in report("R03")] == [("Ada", "back_dated"), ("Grace", "")]
    assert report("R03", known_at=day(4, 2)) == []


def test_an_extension_names_the_request_it_rests_on(world: World, report: Report) -> None:
    grant = world.grant("ada", ROLE, day(2, 27), day(3, 2), cause="imported")
    longer = world.request("ada", ROLE, day(3, 1), extends=grant)
    world.approve(longer, "linus", day(3, 1, 9))
    world.change(grant, "extended", day(3, 1, 9), ends_at=day(3, 5))
    world.change(grant, "extended", day(3, 1, 10), ends_at=day(3, 6))
    world.change(grant, "shortened", day(3, 1, 11), ends_at=day(3, 4))

    rows = sorted(report("R03"), key=lambda row: row["effective_at"])

    told = [
        (row["change"], row["request"], row["earlier_end"][:10], row["new_end"][:10], row["exceptions"]) for row in rows
    ]
    assert told == [
        ("extended", f"R-{longer.number}", "2026-03-02", "2026-03-05", ""),
        ("extended", "", "2026-03-05", "2026-03-06", "no_approval"),
        ("shortened", "", "2026-03-06", "2026-03-04", ""),
        ("ended", "", "2026-03-06", "2026-03-04", ""),
    ]  # fmt: skip


@pytest.mark.parametrize("cause", ["returned", "revoked", "left", "rule", "retired"])
def test_an_end_before_its_time_says_why_and_by_whom(world: World, report: Report, cause: str) -> None:
    grant = world.grant("ada", ROLE, day(2, 1))
    world.change(grant, cause, day(3, 9), ends_at=day(3, 9))

    assert [(row["change"], row["end_cause"], row["actor_ref"], row["earlier_end"]) for row in report("R03")] == [
        ("ended", cause, "somebody", "")
    ]


def test_an_end_still_to_come_has_not_happened(world: World, report: Report) -> None:
    world.grant("ada", ROLE, day(3, 1), day(3, 20))

    assert changes(report("R03", known_at=day(3, 15))) == [("Ada", "started")]
    assert changes(report("R03", known_at=day(3, 20))) == [("Ada", "ended"), ("Ada", "started")]


HOURS = st.integers(min_value=0, max_value=120)
START = day(3, 1)


def at(hours: int) -> datetime:
    return START + timedelta(hours=hours)


class ChangesAgreeWithLookingDayByDay(TestCase):
    """Any set of grants in any window, against a model that looks at every hour."""

    @settings(max_examples=40, deadline=None)
    @given(
        intervals=st.lists(st.tuples(HOURS, st.none() | HOURS), max_size=6),
        first=st.integers(0, 4),
        length=st.integers(0, 4),
        more=st.integers(0, 130),
    )
    def test_starts_ends_and_the_roll_forward_agree_with_the_model(
        self, intervals: list[tuple[int, int | None]], first: int, length: int, more: int
    ) -> None:
        world, known = World(), 24 * first + more
        asked = question(START.date() + timedelta(first), START.date() + timedelta(first + length), known_at=at(known))
        for number, (start, hours) in enumerate(intervals):
            world.grant(
                f"p{number}", ROLE, at(start), OPEN_END if hours is None else at(start + hours), recorded_at=START
            )
        begins, ends = 24 * first, 24 * (first + length + 1)
        seen = [hour for hour in range(begins, ends) if hour <= known]
        real = [(start, None if hours is None else start + hours) for start, hours in intervals if hours != 0]
        started = sum(start in seen for start, _ in real)
        ended = sum(end in seen for _, end in real)

        rows = rows_of("R03", asked)
        rolled = read_roll_forward(asked.parameters())

        assert [row["change"] for row in rows].count("started") == started == rolled.started
        assert [row["change"] for row in rows].count("ended") == ended == rolled.ended
        assert rolled.opening == sum(start < begins and (end is None or end >= begins) for start, end in real)
        assert rolled.closing == len(rows_of("R01", asked))
        assert rolled.difference == 0

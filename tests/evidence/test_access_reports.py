"""R02, R07 to R11 and R23, against what is told by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from governance.access.models import BreakGlass, BreakGlassReview
from governance.catalog.sod import SodTerms, grant_sod_exception, save_sod_rule
from governance.core.actor import Actor, ActorKind, Door
from governance.core.clock import OPEN_END
from governance.evidence.reading import read_roll_forward
from governance.identity import roles
from governance.identity.models import Person
from governance.ledger.sequencer import seal_pending
from governance.provisioning.models import SyncRun
from tests.cast import TESTING
from tests.evidence.conftest import Rows, World, day, question, rows_of

Report = Callable[..., Rows]
SNOWFLAKE, GITHUB = "snowflake/analyst", "github/developer"
HOUR = timedelta(hours=1)


def only(rows: Rows) -> dict[str, str]:
    assert len(rows) == 1, rows
    return rows[0]


def numbers(row: dict[str, str], *names: str) -> list[int]:
    return [int(row[name]) for name in names]


ROLLED = ("opening", "started", "ended", "closing", "difference")


HOURS = st.integers(-60, 140)
#: A grant: the application, its start and planned end, when it was written down, and what was revised of it later:
#: how many hours after the word before, and to which end.
TOLD = st.tuples(
    st.sampled_from((SNOWFLAKE, GITHUB, "okta/user")),
    HOURS,
    st.none() | st.integers(0, 90),
    HOURS,
    st.lists(st.tuples(st.integers(0, 40), st.none() | HOURS), max_size=3),
)
OPENED = day(3, 1)


class TestRollForward(TestCase):
    """Any history, however it was revised, in any window, as known at any moment: against a walk through the hours."""

    @settings(max_examples=60, deadline=None)
    @given(told=st.lists(TOLD, max_size=8), first=st.integers(0, 3), days=st.integers(1, 3), known=st.integers(0, 160))
    def test_the_roll_forward_balances_and_is_what_a_walk_through_the_hours_counts(
        self, told: list[Any], first: int, days: int, known: int
    ) -> None:
        world, walked = World(), {name: Counter[str]() for name in ("snowflake", "github", "okta")}
        last = date(2026, 3, first + days)
        asked = question(date(2026, 3, 1 + first), last, known_at=OPENED + known * HOUR)
        if known < 24 * first:
            return
        window = range(24 * first, 24 * (first + days))
        for number, (role, starts, lasts, recorded, revised) in enumerate(told):
            ends = None if lasts is None else starts + lasts
            held = world.grant(f"p{number}", role, at(starts), at(ends), recorded_at=at(recorded))
            said = [(recorded, ends)]
            for after, end in revised:
                said.append((said[-1][0] + after, end if end is None else max(end, starts)))
                world.change(held, "shortened", at(said[-1][0]), ends_at=at(said[-1][1]))
            believed = [end for when, end in said if when <= known]
            if believed:
                self._walk(walked[role.partition("/")[0]], starts, believed[-1], window, known)

        rows = {row["application"]: numbers(row, *ROLLED) for row in rows_of("R02", asked)}
        rolled = read_roll_forward(asked.parameters())

        assert rows == {name: [walked[name][each] for each in ROLLED[:4]] + [0] for name in rows}
        assert {name for name, counted in walked.items() if counted.total()} <= rows.keys()
        together = [sum(each) for each in zip([0] * 4, *(row[:4] for row in rows.values()), strict=False)]
        assert [rolled.opening, rolled.started, rolled.ended, rolled.closing] == together
        assert rolled.difference == 0

    def _walk(self, counted: Counter[str], starts: int, ends: int | None, window: range, known: int) -> None:
        """Look at every hour of the window, and count the changes on the way."""
        has = [starts <= hour and (ends is None or hour < ends) for hour in range(window.start - 1, window.stop)]
        reached = [hour <= known for hour in window]
        changes = [
            (before, after) for (before, after), is_known in zip(pairwise(has), reached, strict=True) if is_known
        ]
        counted["opening"] += has[0]
        counted["started"] += changes.count((False, True))
        counted["ended"] += changes.count((True, False))
        counted["closing"] += changes[-1][1] if changes else has[0]


def at(hours: int | None) -> datetime:
    return OPEN_END if hours is None else OPENED + hours * HOUR


def test_what_the_application_returned_is_held_against_what_is_kept(world: World, report: Report) -> None:
    world.grant("ada", SNOWFLAKE, day(2, 1))
    world.see("ada", SNOWFLAKE, day(2, 2))
    world.see(None, SNOWFLAKE, day(2, 2))
    SyncRun.objects.create(
        application=world.role(SNOWFLAKE).application, started_at=day(3, 30), finished_at=day(3, 30, 1), pages=1,
        received=3, holdings_received=2, digest="d", is_complete=True,
    )  # fmt: skip

    row = only(report("R02"))

    assert numbers(row, "accesses", "seen", "unexplained") == [1, 2, 1]
    assert numbers(row, "accounts_at_source", "accounts_kept", "accounts_difference") == [3, 2, 1]
    assert row["exceptions"] == "accounts_differ seen_without_grant"


def test_an_application_that_was_not_read_is_no_silence(world: World, report: Report) -> None:
    world.role(SNOWFLAKE)

    row = only(report("R02"))

    assert (row["exceptions"], row["accounts_kept"], row["read_at"]) == ("not_read", "", "")


@pytest.fixture
def sealed(world: World, signer: Any) -> Callable[[], int]:
    """Seal what is recorded and return the size."""

    def seal() -> int:
        while seal_pending(signer=signer):
            pass
        with connection.cursor() as cursor:
            cursor.execute("SELECT max(size) FROM ledger_checkpoint")
            return int(cursor.fetchone()[0])

    return seal


def test_powerful_access_is_listed_with_why_and_standing_access_needs_a_reason(world: World, report: Report) -> None:
    world.role("aws/admin", is_privileged=True)
    world.grant("ada", "aws/admin", day(2, 1))
    asked = world.request("grace", "aws/admin", day(3, 1))
    world.approve(asked, "linus", day(3, 2))
    world.grant("grace", "aws/admin", day(3, 3), day(5, 1), cause="request", request=asked)
    world.grant("grace", SNOWFLAKE, day(3, 3))

    rows = {row["person_name"]: row for row in report("R07")}

    assert {name: row["standing"] for name, row in rows.items()} == {"Ada": "standing", "Grace": "temporary"}
    assert rows["Ada"]["exceptions"] == "standing_without_justification no_owner"
    assert rows["Grace"]["justification"] == f"R-{asked.number} Fix an incident"
    assert rows["Grace"]["exceptions"] == "no_owner"


def test_who_administers_gatehouse_is_privileged_access_too(
    world: World, report: Report, sealed: Callable[[], int], time_machine: Any
) -> None:
    ada = world.person("ada")
    time_machine.move_to(day(3, 5), tick=False)
    own = Actor(ActorKind.PERSON, str(ada.ref), Door.WEB, person_id=ada.pk)
    roles.assign_role(ada, "security_admin", actor=own)
    time_machine.move_to(day(4, 20), tick=False)
    roles.remove_role(ada, "security_admin", actor=TESTING)
    size = sealed()

    held = only(report("R07", ledger_size=size))
    changed = only(report("R08", ledger_size=size))

    assert (held["application"], held["entitlement"], held["person_name"]) == ("gatehouse", "security_admin", "Ada")
    assert (changed["change"], changed["exceptions"]) == ("assigned", "given_to_oneself")
    assert report("R08", ledger_size=0) == []


def test_temporary_access_over_the_edge_of_the_window_is_in_it_with_its_overrun(world: World, report: Report) -> None:
    asked = world.request("ada", SNOWFLAKE, day(2, 27))
    world.approve(asked, "linus", day(2, 27, 1))
    grant = world.grant("ada", SNOWFLAKE, day(2, 28), day(3, 2), cause="request", request=asked)
    world.change(grant, "extended", day(3, 1), day(3, 5))
    world.take("ada", SNOWFLAKE, day(3, 5), verified_at=day(3, 5, 2))
    world.grant("grace", SNOWFLAKE, day(1, 1), day(2, 1), cause="request")
    world.grant("linus", SNOWFLAKE, day(3, 1))

    row = only(report("R09"))

    assert (row["planned_end"], row["ends_at"]) == ("2026-03-02T00:00:00.000000Z", "2026-03-05T00:00:00.000000Z")
    assert (row["extensions"], row["overrun_minutes"], row["end_cause"]) == ("1", "120.000", "expired")
    assert row["exceptions"] == "extension_without_approval overrun"


def test_an_approved_extension_and_a_prompt_removal_are_no_exception(world: World, report: Report) -> None:
    asked = world.request("ada", SNOWFLAKE, day(3, 1))
    world.approve(asked, "linus", day(3, 1))
    grant = world.grant("ada", SNOWFLAKE, day(3, 1, 1), day(3, 2), cause="request", request=asked)
    longer = world.request("ada", SNOWFLAKE, day(3, 1, 12), extends=grant)
    world.approve(longer, "linus", day(3, 1, 13))
    world.change(grant, "extended", day(3, 1, 13), day(3, 3))
    world.take("ada", SNOWFLAKE, day(3, 3), verified_at=day(3, 3, 0, 1))

    assert only(report("R09"))["exceptions"] == ""


def test_access_that_runs_has_no_overrun_and_who_approves_their_own_is_found(world: World, report: Report) -> None:
    asked = world.request("ada", SNOWFLAKE, day(3, 1))
    world.approve(asked, "ada", day(3, 1))
    world.grant("ada", SNOWFLAKE, day(3, 1, 1), day(8, 1), cause="request", request=asked)

    row = only(report("R09"))
    decision = only(report("R10"))

    assert (row["overrun_minutes"], row["end_cause"], row["exceptions"]) == ("", "", "approved_by_beneficiary")
    assert (decision["what"], decision["exceptions"]) == (
        "one person, two parts", "approver_is_beneficiary approver_is_requester",
    )  # fmt: skip


def test_who_holds_both_sides_of_a_rule_is_listed_until_an_exception_allows_it(
    world: World, report: Report, time_machine: Any
) -> None:
    ada, linus, grace = (world.person(name) for name in ("ada", "linus", "grace"))
    time_machine.move_to(day(1, 5), tick=False)
    terms = SodTerms("Pay and order", "Fraud.", [world.role("erp/pay")], linus, [world.role("erp/order")])
    version = save_sod_rule(terms, actor=TESTING)
    world.grant("ada", "erp/pay", day(2, 1))
    world.see("ada", "erp/order", day(2, 10))
    world.grant("grace", "erp/pay", day(2, 1))

    row = only(report("R10"))

    assert (row["first_access"], row["second_access"]) == ("erp/pay", "erp/order")
    assert (row["since"], row["exceptions"]) == ("2026-02-10T00:00:00.000000Z", "conflict_without_exception")
    time_machine.move_to(day(3, 20), tick=False)
    grant_sod_exception(
        version.rule, ada, reason="Until the new hire.", owner=linus, ends_at=day(5, 1), granted_by=grace, actor=TESTING
    )
    allowed = only(report("R10"))
    assert (allowed["exceptions"], allowed["exception_by"]) == ("", str(grace.ref))


@pytest.mark.parametrize(
    ("reviewer", "written", "exceptions", "verdict"),
    [
        (None, None, "no_review", "overdue"),
        ("linus", day(3, 6), "", "justified"),
        ("linus", day(3, 9), "late_review", "justified"),
        ("ada", day(3, 6), "reviewed_by_user", "justified"),
    ],
    ids=["never", "in time", "late", "by the user"],
)
def test_emergency_access_is_listed_with_its_review(
    reviewer: str | None, written: Any, exceptions: str, verdict: str, world: World, report: Report
) -> None:
    grant = world.grant("ada", SNOWFLAKE, day(3, 5), day(3, 5, 4), cause="break_glass")
    used = BreakGlass.objects.create(
        person=world.person("ada"), entitlement=grant.entitlement, grant=grant, reason="Down.", duties=[],
        policy_version=grant.entitlement.policy.versions.get(), opened_at=day(3, 5), review_due_at=day(3, 6, 12),
        correlation_id="1" * 32,
    )  # fmt: skip
    if reviewer:
        BreakGlassReview.objects.create(
            break_glass=used, reviewer=world.person(reviewer), is_justified=True, done="Repaired it.",
            follow_up="None.", written_at=written, correlation_id="2" * 32,
        )  # fmt: skip

    row = only(report("R11"))

    assert (row["exceptions"], row["verdict"]) == (exceptions, verdict)
    assert report("R11", known_at=day(3, 5, 1))[0]["verdict"] == "waiting"


def test_exposure_is_whoever_could_at_any_moment_of_the_window_by_grant_or_only_seen(
    world: World, report: Report
) -> None:
    world.role(SNOWFLAKE, data_classes=["phi"])
    world.grant("ada", SNOWFLAKE, day(2, 1), day(3, 2))
    world.see("ada", SNOWFLAKE, day(2, 1), day(3, 2))
    world.grant("grace", SNOWFLAKE, day(1, 1), day(3, 1))
    world.see("mallory", SNOWFLAKE, day(3, 31), None)
    world.grant("linus", SNOWFLAKE, day(4, 1))

    rows = {(row["person_name"], row["path"]): row["exceptions"] for row in report("R23")}

    assert rows == {("Ada", "manual"): "", ("Mallory", "seen, not granted"): "not_granted"}


@pytest.mark.parametrize(("gap", "is_shown"), [(0, False), (1, True)], ids=["they meet", "an hour between them"])
def test_what_two_grants_cover_together_is_granted_all_the_time(
    world: World, report: Report, gap: int, is_shown: bool
) -> None:
    world.grant("ada", SNOWFLAKE, day(2, 1), day(3, 10))
    world.grant("ada", SNOWFLAKE, day(3, 10, gap))
    world.see("ada", SNOWFLAKE, day(2, 2))

    assert ["seen, not granted" in row["path"] for row in report("R23")].count(True) == is_shown


def test_who_carried_it_out_after_the_cut_is_not_known_at_the_cut(world: World, report: Report) -> None:
    asked = world.request("ada", SNOWFLAKE, day(3, 1))
    world.approve(asked, "linus", day(3, 2))
    grant = world.grant("ada", SNOWFLAKE, day(3, 3), cause="request", request=asked)
    order = world.take("ada", SNOWFLAKE, day(3, 3), delivered_at=day(4, 2))
    order.kind, order.confirmed_by = "give", world.person("linus")
    order.save()
    grant.give_operation = order
    grant.save()

    assert report("R10", known_at=day(4, 1)) == []
    assert only(report("R10", known_at=day(4, 3)))["exceptions"] == "approver_carried_it_out"


def test_who_administered_gatehouse_then_and_left_since_is_still_listed_as_of_then(
    world: World, report: Report, sealed: Callable[[], int], time_machine: Any
) -> None:
    ada = world.person("ada", display_name="Ada Then")
    time_machine.move_to(day(3, 5), tick=False)
    roles.assign_role(ada, "security_admin", actor=TESTING)
    time_machine.move_to(day(4, 20), tick=False)
    roles.remove_role(ada, "security_admin", actor=TESTING)
    world.revise("ada", "left", day(4, 20))
    Person.objects.filter(pk=ada.pk).update(status="left", left_at=day(4, 20), display_name="Ada Since")

    held = only(report("R07", ledger_size=sealed()))

    assert (held["person_name"], held["exceptions"]) == ("Ada Then", "")

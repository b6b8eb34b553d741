"""Break-glass: at once, short, loud, and reviewed by somebody else within one working day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import DatabaseError, connection, transaction

from governance.access import break_glass, glass_queries
from governance.access.models import BreakGlass, Grant
from governance.access.sweep import sweep
from governance.catalog.models import Application, Entitlement
from governance.catalog.stages import MANAGER, Approvers
from governance.core.errors import Conflict, Refused
from governance.identity.models import Person
from governance.ledger.models import Pending
from governance.provisioning.models import Operation
from tests.cast import acting, add_role
from tests.duties import forbid

pytestmark = pytest.mark.django_db

#: A Tuesday.
NOON = datetime(2036, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WHY = "The payment job is stuck and nobody answers."
DONE = "Restarted the job and read nothing else."


@pytest.fixture(autouse=True)
def noon() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def breakable(snowflake: Application) -> Entitlement:
    return add_role(
        snowflake,
        "Root",
        terms={"break_glass_up_to": 2 * HOUR, "may_break_glass": 'department eq "Engineering"'},
    )


def take(person: Person, role: Entitlement, duration: timedelta = HOUR, reason: str = WHY) -> BreakGlass:
    return break_glass.break_glass(person, role, duration=duration, reason=reason, actor=acting(person))


def write(opened: BreakGlass, by: Person, *, is_justified: bool = True, done: str = DONE) -> None:
    break_glass.review(opened, reviewer=by, is_justified=is_justified, done=done, actor=acting(by))


def recorded(event: str) -> list[dict[str, object]]:
    return [one.body for one in Pending.objects.order_by("id") if one.body["event"] == event]


def test_it_is_there_at_once_and_everybody_who_has_to_know_can_be_told(ada: Person, breakable: Entitlement) -> None:
    opened = take(ada, breakable)

    grant = Grant.objects.get()
    assert (grant.cause, grant.starts_at, grant.ends_at) == ("break_glass", NOON, NOON + HOUR)
    assert Operation.objects.get().pk == grant.give_operation_id
    (entry,) = recorded("break_glass.opened")
    assert entry["data"] == {
        "duration_seconds": 3600,
        "ends_at": (NOON + HOUR).isoformat(),
        "policy_version": opened.policy_version_id,
        "review_due_at": (NOON + DAY).isoformat(),
        "breaks_duties": [],
    }
    assert WHY not in str(entry["data"])


@pytest.mark.parametrize(
    ("who", "how", "codes"),
    [
        ("ada", {"duration": 3 * HOUR}, ["too_long"]),
        ("ada", {"duration": timedelta(0)}, ["too_short"]),
        ("ada", {"reason": "now"}, ["reason_too_short"]),
        ("linus", {}, ["not_eligible"]),
        ("linus", {"reason": "", "duration": 3 * HOUR}, ["not_eligible", "too_long", "reason_too_short"]),
    ],
)
def test_it_is_refused_with_every_reason(
    who: str,
    how: dict[str, object],
    codes: list[str],
    breakable: Entitlement,
    ada: Person,
    request: pytest.FixtureRequest,
) -> None:
    with pytest.raises(Refused) as refusal:
        take(request.getfixturevalue(who), breakable, **how)  # type: ignore[arg-type]

    assert [one.code for one in refusal.value.reasons] == codes
    assert not Grant.objects.exists()


def test_where_the_policy_says_nothing_there_is_none(ada: Person, analyst: Entitlement) -> None:
    with pytest.raises(Refused, match="There is no break-glass for Analyst in Snowflake"):
        take(ada, analyst)


def test_what_one_has_needs_no_glass(ada: Person, breakable: Entitlement) -> None:
    take(ada, breakable)

    with pytest.raises(Refused, match="You have Root in Snowflake already"):
        take(ada, breakable)


def test_rules_about_duties_are_recorded_and_stop_nothing(
    ada: Person, sam: Person, breakable: Entitlement, snowflake: Application
) -> None:
    payer = add_role(snowflake, "Payer", terms={"break_glass_up_to": HOUR})
    rule = forbid([breakable], [payer], owner=sam)
    take(ada, payer)

    opened = take(ada, breakable)

    assert [one["slug"] for one in opened.duties] == [rule.slug]
    assert recorded("break_glass.opened")[1]["data"]["breaks_duties"] == [rule.slug]  # type: ignore[index]


def test_it_ends_by_itself(ada: Person, breakable: Entitlement, noon: time_machine.Traveller) -> None:
    opened = take(ada, breakable)
    noon.shift(HOUR)

    sweep()

    opened.grant.refresh_from_db()
    assert opened.grant.take_operation is not None


def test_security_reviews_where_the_policy_says_nothing(ada: Person, sam: Person, breakable: Entitlement) -> None:
    opened = take(ada, breakable)

    assert break_glass.reviewers(opened) == [sam]
    assert glass_queries.reviews_for(sam) == [opened]


def test_whom_the_policy_names_reviews(ada: Person, grace: Person, sam: Person, snowflake: Application) -> None:
    terms = {"break_glass_up_to": HOUR, "break_glass_reviewer": Approvers(MANAGER)}
    opened = take(ada, add_role(snowflake, "Root", terms=terms))

    assert break_glass.reviewers(opened) == [grace]
    with pytest.raises(Refused, match="for somebody else to write"):
        write(opened, sam)


def test_nobody_reviews_their_own_emergency(sam: Person, snowflake: Application) -> None:
    opened = take(sam, add_role(snowflake, "Root", terms={"break_glass_up_to": HOUR}))

    assert break_glass.reviewers(opened) == []
    with pytest.raises(Refused, match="Nobody reviews their own emergency"):
        write(opened, sam)


def test_a_review_says_what_was_found_once_and_for_good(ada: Person, sam: Person, breakable: Entitlement) -> None:
    opened = take(ada, breakable)

    with pytest.raises(Refused, match="one full sentence"):
        write(opened, sam, done="ok")
    write(opened, sam, is_justified=False)
    with pytest.raises(Conflict, match="Sam Okoro reviewed this at 12:00"):
        write(opened, sam)

    assert recorded("break_glass.reviewed")[0]["data"] == {"justified": False, "seconds_late": 0}
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE access_breakglassreview SET is_justified = true")


def test_it_is_overdue_after_a_working_day_and_said_once(
    ada: Person, sam: Person, breakable: Entitlement, noon: time_machine.Traveller
) -> None:
    opened = take(ada, breakable)
    noon.move_to(opened.review_due_at - timedelta(seconds=1))
    sweep()
    assert not recorded("break_glass.overdue")

    noon.move_to(opened.review_due_at)
    sweep()
    sweep()

    assert len(recorded("break_glass.overdue")) == 1
    assert list(glass_queries.break_glasses(at=opened.review_due_at, state="overdue")) == [opened]


@pytest.mark.parametrize("state", ["open", "due", "overdue", "reviewed"])
def test_lists_by_state(
    state: str, ada: Person, sam: Person, breakable: Entitlement, noon: time_machine.Traveller
) -> None:
    first = take(ada, breakable)
    write(first, sam)
    noon.shift(2 * HOUR)
    second = take(ada, breakable)

    expected = {"open": [second], "due": [second], "overdue": [], "reviewed": [first]}

    at = NOON + 2 * HOUR
    assert list(glass_queries.break_glasses(at=at, state=state)) == expected[state]


def test_evidence_lists_what_is_unreviewed_late_or_unjustified(
    ada: Person, sam: Person, breakable: Entitlement, noon: time_machine.Traveller
) -> None:
    fine = take(ada, breakable)
    write(fine, sam)
    noon.shift(2 * HOUR)
    unjustified = take(ada, breakable)
    write(unjustified, sam, is_justified=False)
    noon.shift(2 * HOUR)
    late = take(ada, breakable)
    noon.shift(2 * HOUR)
    unreviewed = take(ada, breakable)
    noon.shift(2 * DAY)
    write(late, sam)

    found = glass_queries.exceptions(opened_from=NOON, opened_before=NOON + DAY, at=NOON + 3 * DAY)

    assert list(found) == [unjustified, late, unreviewed]

"""The expiry report: how late access ended, with everything that was missed by name."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import time_machine

from governance.access.lateness import late_ends, report
from governance.access.models import Grant
from governance.access.sweep import sweep
from governance.catalog.models import Application, Entitlement
from governance.core.clock import now
from governance.identity.models import Person
from governance.ledger.models import Pending
from governance.provisioning.models import Operation, OperationState
from tests import cast
from tests.notices.conftest import HOUR, NOON
from tests.notices.test_reading import give
from tests.web.conftest import SignedIn

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def noon() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def ended(person: Person, role: Entitlement) -> Grant:
    return give(person, role, "manual", HOUR)


def read_back(grant: Grant, *, after: float) -> None:
    grant.refresh_from_db()
    at = grant.ends_at + timedelta(seconds=after)
    state = OperationState.VERIFIED
    Operation.objects.filter(pk=grant.take_operation_id).update(state=state, delivered_at=at, verified_at=at)


def test_the_report_is_true_when_the_sweeper_is_dead(
    noon: time_machine.Traveller, ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    ended(ada, analyst)
    noon.shift(2 * HOUR)

    answer = signed_in(sam).get("/expiries/")

    assert answer.context["report"].total.due == 1
    assert answer.context["report"].total.ordered == 0
    (miss,) = answer.context["misses"]
    assert (miss.person, miss.missing, miss.seconds_late) == ("Ada Lovelace", "ordered", 3600)
    page = answer.content.decode()
    assert "The sweeper is behind" in page
    assert "Not ordered" in page


def test_what_came_back_in_time_is_no_miss(
    noon: time_machine.Traveller, ada: Person, grace: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    prompt, slow = ended(ada, analyst), ended(grace, analyst)
    noon.shift(HOUR)
    sweep()
    read_back(prompt, after=4)
    read_back(slow, after=90)
    noon.shift(HOUR)

    answer = signed_in(sam).get("/expiries/")

    assert [(one.person, one.missing) for one in answer.context["misses"]] == [("Grace Hopper", "late")]
    assert answer.context["report"].total.until_verified.p50 == 4
    assert "1 min 30 s" in answer.content.decode()


def test_a_failed_removal_is_named_with_its_cause(
    noon: time_machine.Traveller, ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    grant = ended(ada, analyst)
    noon.shift(HOUR)
    sweep()
    grant.refresh_from_db()
    Operation.objects.filter(pk=grant.take_operation_id).update(
        state="failed", failed_at=now(), last_error="<b>Token expired.</b>"
    )
    noon.shift(HOUR)

    page = signed_in(sam).get("/expiries/").content.decode()

    assert "&lt;b&gt;Token expired" in page
    assert "Not delivered" not in page


def test_an_owner_sees_only_their_applications(
    noon: time_machine.Traveller, ada: Person, linus: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    other = cast.add_role(cast.add_application("GitHub", owner=sam), "Writer")
    ended(ada, analyst)
    ended(ada, other)
    noon.shift(2 * HOUR)

    answer = signed_in(linus).get("/expiries/")

    assert [one.name for one in answer.context["report"].by_application] == ["Snowflake"]
    assert answer.context["report"].total.due == 1
    assert [one.application for one in answer.context["misses"]] == ["Snowflake"]
    assert signed_in(linus).get("/expiries/?app=github").status_code == 404
    assert "GitHub" not in signed_in(linus).post("/expiries/export/").content.decode()


def test_the_parts_add_up_to_the_whole(noon: time_machine.Traveller, ada: Person, grace: Person, sam: Person,
                                       analyst: Entitlement) -> None:  # fmt: skip
    other = cast.add_role(cast.add_application("GitHub", owner=sam), "Writer")
    for person, role in ((ada, analyst), (grace, analyst), (ada, other)):
        ended(person, role)
    noon.shift(2 * HOUR)

    found = report(NOON, NOON + 24 * HOUR, at=now())

    assert [(one.name, one.lateness.due) for one in found.by_application] == [("GitHub", 1), ("Snowflake", 2)]
    assert found.total.due == 3
    only = [one.pk for one in Application.objects.filter(name="GitHub")]
    assert report(NOON, NOON + 24 * HOUR, at=now(), applications=only).total.due == 1
    minute = timedelta(minutes=1)
    assert len(late_ends(NOON, NOON + 24 * HOUR, at=now(), longer_than=minute, applications=only)) == 1
    assert report(NOON, NOON + 24 * HOUR, at=now(), applications=[]).total.due == 0


def test_misses_are_paged_by_key_and_all_of_them_leave_as_csv(
    noon: time_machine.Traveller, ada: Person, sam: Person, snowflake: Application, signed_in: SignedIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("governance.web.govern.expiries.PAGE", 2)
    for number in range(3):
        ended(ada, cast.add_role(snowflake, f"Role{number}"))
    noon.shift(2 * HOUR)
    client = signed_in(sam)

    first = client.get("/expiries/")
    second = client.get("/expiries/", {"after": first.context["next"]})
    export = client.post("/expiries/export/")

    names = [one.entitlement for one in (*first.context["misses"], *second.context["misses"])]
    assert names == ["Role0", "Role1", "Role2"]
    assert second.context["next"] == ""
    lines = list(csv.DictReader(export.content.decode().splitlines()))
    assert [line["role"] for line in lines] == names
    assert {line["missing"] for line in lines} == {"ordered"}
    assert Pending.objects.filter(body__event="expiries.exported", body__data__rows=3).exists()


def test_a_formula_in_a_name_is_no_formula_in_the_file(
    noon: time_machine.Traveller, ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    Person.objects.filter(pk=ada.pk).update(display_name="=cmd()")
    ended(ada, analyst)
    noon.shift(2 * HOUR)

    lines = list(csv.DictReader(signed_in(sam).post("/expiries/export/").content.decode().splitlines()))

    assert lines[0]["name"] == "'=cmd()"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("from=2026-03-03&to=2026-03-01", "The first day is after the last."),
        ("from=2020-01-01", "Choose at most a year."),
        ("from=yesterday", "Write the day as 2026-03-31."),
        ("late=1", "not one of the available choices"),
    ],
    ids=["backwards", "too long", "no day", "no limit"],
)
def test_a_period_that_is_none_is_said(query: str, said: str, sam: Person, signed_in: SignedIn) -> None:
    page = signed_in(sam).get(f"/expiries/?{query}")

    assert page.status_code == 200
    assert said in page.content.decode()


@pytest.mark.parametrize("after", ["x", "2026-03-03~1", "~", "2026-03-03T00:00:00+00:00~x"])
def test_a_wrong_place_shows_the_beginning(after: str, sam: Person, signed_in: SignedIn) -> None:
    assert signed_in(sam).get("/expiries/", {"after": after}).status_code == 200


def test_all_ends_count_when_they_are_asked_for(
    noon: time_machine.Traveller, ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    cast.move(ada, is_active=False)
    ended_by_hand = give(cast.hire("Ben Test"), analyst, "manual", 9 * HOUR)
    noon.shift(HOUR)
    cast.move(ended_by_hand.person, is_active=False)
    noon.shift(HOUR)
    client = signed_in(sam)

    assert client.get("/expiries/").context["report"].total.due == 0
    assert client.get("/expiries/?ends=all").context["report"].total.due == 1


def test_the_page_costs_few_statements(
    noon: time_machine.Traveller, ada: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn,
    django_assert_max_num_queries: Callable[..., object],
) -> None:  # fmt: skip
    for _ in range(3):
        ended(ada, analyst)
    noon.shift(2 * HOUR)
    client = signed_in(linus)

    with django_assert_max_num_queries(12):
        client.get("/expiries/")
    assert client.get("/expiries/", headers=HTMX).content.decode().strip().startswith('<div id="list"')

"""A page far back is right whatever happened meanwhile, and costs what the first page costs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from governance.core.actor import Actor, Door
from governance.identity.models import Person
from scim_bridge.adapters import Caller
from scim_bridge.storage import waymarks
from scim_bridge.storage.paging import Listing
from scim_bridge.storage.users import Users
from tests.scim_bridge.conftest import USER, Provider

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def marks_every_ten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(waymarks, "STEP", 10)
    waymarks.forget()
    yield
    waymarks.forget()


def _joined(numbers: range, *, at: datetime = LONG_AGO) -> None:
    Person.objects.bulk_create(
        Person(
            user_name=f"u{number}",
            user_name_key=f"u{number}",
            display_name=f"U {number}",
            source="file",
            joined_at=at,
            created_at=at,
            modified_at=at,
            document={"schemas": [USER], "userName": f"u{number}", "title": f"T{number % 3}"},
            document_key={"schemas": [USER.lower()], "username": f"u{number}", "title": f"t{number % 3}"},
        )
        for number in numbers
    )


@pytest.fixture
def shelf(db: None) -> Users:
    _joined(range(97))
    return Users(Caller("scim:test", Actor.service("test", door=Door.SCIM)))


def _page(shelf: Users, start: int, count: int = 7) -> tuple[int, list[str]]:
    total, rows = shelf.page(Listing(start=start, count=count))
    return total, [row.document["userName"] for row in rows]


def _everybody() -> list[str]:
    rows = Person.objects.filter(is_listed=True).order_by("id").values_list("user_name", flat=True)
    return list(rows)


def _holds(shelf: Users) -> bool:
    """Tell whether every page says what counting and skipping would say."""
    everybody = _everybody()
    starts = range(1, len(everybody) + 12)
    return all(_page(shelf, start) == (len(everybody), everybody[start - 1 : start + 6]) for start in starts)


def _unlisted(*names: str) -> None:
    people = Person.objects.filter(user_name__in=names)
    people.update(is_listed=False, status="left", left_at=LONG_AGO)


def test_every_page_is_what_counting_would_say(shelf: Users) -> None:
    assert _holds(shelf)
    marks, total = waymarks.measured(waymarks.WholeList.of(shelf.listed()))
    assert (len(marks.ids), total) == (9, 97)


@pytest.mark.parametrize("name", ["u0", "u9", "u10", "u55", "u96"])
def test_who_leaves_the_list_or_comes_back_moves_the_marks(shelf: Users, name: str) -> None:
    assert _holds(shelf)

    _unlisted(name)
    assert _holds(shelf)
    Person.objects.filter(user_name=name).update(is_listed=True)
    assert _holds(shelf)


def test_who_comes_in_is_counted_behind_the_last_mark(shelf: Users) -> None:
    assert _holds(shelf)

    _joined(range(100, 125))

    assert _holds(shelf)
    assert waymarks.measured(waymarks.WholeList.of(shelf.listed()))[1] == 122


def test_who_changes_hands_moves_the_marks(shelf: Users) -> None:
    ours = shelf.listed().filter(source="file")
    assert waymarks.measured(waymarks.WholeList.of(ours))[1] == 97

    Person.objects.filter(user_name__in=["u3", "u30"]).update(source="scim:other")

    marks, total = waymarks.measured(waymarks.WholeList.of(ours))
    assert total == 95
    assert list(ours.filter(id__lte=marks.ids[2]).order_by("id")) == list(ours.order_by("id")[:30])


def test_a_row_that_is_gone_moves_the_marks(shelf: Users) -> None:
    assert _holds(shelf)

    Person.objects.get(user_name="u20").delete()

    assert _holds(shelf)


def test_what_changes_no_list_moves_no_mark(shelf: Users) -> None:
    assert _holds(shelf)
    before, _ = waymarks.measured(waymarks.WholeList.of(shelf.listed()))

    Person.objects.filter(user_name="u20").update(title="Countess", version=2)

    assert waymarks.measured(waymarks.WholeList.of(shelf.listed()))[0] is before


def test_ground_that_may_still_move_carries_no_mark(shelf: Users) -> None:
    Person.objects.filter(user_name="u25").update(created_at=datetime.now(UTC))

    marks, total = waymarks.measured(waymarks.WholeList.of(shelf.listed()))

    assert len(marks.ids) == 9, "u25 is no mark itself"
    Person.objects.filter(id=marks.ids[3]).update(created_at=datetime.now(UTC))
    waymarks.forget()
    marks, total = waymarks.measured(waymarks.WholeList.of(shelf.listed()))
    assert (len(marks.ids), total) == (3, 97)
    assert _holds(shelf)


def test_a_filtered_or_sorted_page_far_back_is_right_too(strict: Provider, shelf: Users) -> None:
    chosen = [name for name in _everybody() if int(name[1:]) % 3 == 1]

    page = strict.get("Users?filter=title%20eq%20%22t1%22&startIndex=21&count=5")
    assert (page["totalResults"], [each["userName"] for each in page["Resources"]]) == (32, chosen[20:25])
    page = strict.get("Users?sortBy=userName&sortOrder=descending&startIndex=91&count=5")
    assert [each["userName"] for each in page["Resources"]] == sorted(_everybody(), reverse=True)[90:95]


def test_a_page_far_back_costs_four_statements_and_skips_less_than_one_step(strict: Provider, shelf: Users) -> None:
    strict.get("Users?startIndex=11&count=5")  # measures, and notes that the token was used

    with CaptureQueriesContext(connection) as captured:
        page = strict.get("Users?startIndex=88&count=5")

    assert [each["userName"] for each in page["Resources"]] == [f"u{n}" for n in range(87, 92)]
    statements = [each["sql"] for each in captured if "SAVEPOINT" not in each["sql"]]
    assert len(statements) <= 4
    assert not any("OFFSET 8" in sql for sql in statements)
    assert sum("OFFSET 7" in sql for sql in statements) == 1


@pytest.mark.django_db(transaction=True)
def test_who_leaves_while_marks_are_measured_is_gone_from_them_once_it_is_committed(transactional_db: None) -> None:
    _joined(range(97))
    shelf = Users(Caller("scim:test", Actor.service("test", door=Door.SCIM)))
    is_open, is_measured = threading.Event(), threading.Event()

    def leave() -> None:
        try:
            with transaction.atomic():
                _unlisted("u5")
                is_open.set()
                is_measured.wait(30)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        leaving = pool.submit(leave)
        is_open.wait(30)
        assert _page(shelf, 31) == (97, [f"u{n}" for n in range(30, 37)])
        is_measured.set()
        leaving.result(30)

    assert _page(shelf, 31) == (96, [f"u{n}" for n in range(31, 38)])
    assert _holds(shelf)


@pytest.mark.django_db(transaction=True)
def test_many_deletions_at_once_do_not_wait_for_each_other_or_lose_a_move(transactional_db: None) -> None:
    _joined(range(97))
    shelf = Users(Caller("scim:test", Actor.service("test", door=Door.SCIM)))
    assert _holds(shelf)

    def leave(number: int) -> None:
        try:
            _unlisted(f"u{number}")
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(leave, range(0, 97, 4)))

    assert _holds(shelf)

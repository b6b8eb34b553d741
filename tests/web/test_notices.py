"""The pages of what people are told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.cache import cache

from governance.catalog.models import Entitlement
from governance.identity.models import Person
from governance.notices.models import Notice
from tests.notices.conftest import HOSTILE, NOON
from tests.web.conftest import SignedIn

HTMX = {"HX-Request": "true"}


def note(person: Person, number: int = 1, *, kind: str = "approval.wanted") -> Notice:
    facts = {"number": number, "person": f"Ada {HOSTILE}", "role": "Analyst", "application": "Snowflake"}
    return Notice.objects.create(
        person=person, kind=kind, cause=f"tests:{number}", facts=facts, at=NOON, created_at=NOON
    )


def test_what_somebody_was_told_stands_on_their_page_alone(ada: Person, linus: Person, signed_in: SignedIn) -> None:
    note(linus, 2041)

    mine, theirs = (signed_in(who).get("/notices/").content.decode() for who in (linus, ada))

    assert 'href="/approvals/?item=R-2041"' in mine
    assert "<img" not in mine
    assert "&lt;img" in mine
    assert "Nobody has told you anything yet" in theirs


def test_the_number_beside_the_bell_is_what_was_not_read(linus: Person, signed_in: SignedIn) -> None:
    first, second = note(linus, 1), note(linus, 2)
    client = signed_in(linus)

    client.post(f"/notices/{first.pk}/read/")

    page = client.get("/notices/?show=unread")
    assert page.context["unread"] == 1
    assert [line.notice.pk for line in page.context["lines"]] == [second.pk]


def test_reading_somebody_elses_notice_is_refused(ada: Person, linus: Person, signed_in: SignedIn) -> None:
    theirs = note(linus)

    assert signed_in(ada).post(f"/notices/{theirs.pk}/read/").status_code == 404

    theirs.refresh_from_db()
    assert theirs.read_at is None


def test_all_read_spares_what_came_after_the_page_was_shown(linus: Person, signed_in: SignedIn) -> None:
    seen, later = note(linus, 1), note(linus, 2)

    answer = signed_in(linus).post("/notices/read/", {"up_to": seen.pk}, headers=HTMX)

    assert answer.status_code == 200
    assert "1 marked as read. 1 not read." in answer.content.decode()
    later.refresh_from_db()
    assert later.read_at is None


def test_looking_reads_nothing(linus: Person, signed_in: SignedIn) -> None:
    one = note(linus)

    signed_in(linus).get("/notices/")

    one.refresh_from_db()
    assert one.read_at is None


def test_notices_are_paged_by_key(linus: Person, signed_in: SignedIn) -> None:
    for number in range(32):
        note(linus, number)
    client = signed_in(linus)

    first = client.get("/notices/")
    second = client.get(f"/notices/?before={first.context['next']}")

    assert len(first.context["lines"]) == 30
    assert [line.notice.facts["number"] for line in second.context["lines"]] == [1, 0]


def test_the_page_costs_few_statements(
    linus: Person, analyst: Entitlement, signed_in: SignedIn, django_assert_max_num_queries: Callable[..., object]
) -> None:
    for number in range(20):
        note(linus, number)
    client = signed_in(linus)
    cache.clear()

    with django_assert_max_num_queries(12):
        client.get("/notices/")


@pytest.mark.parametrize("before", ["x", "-1", "9" * 30])
def test_a_wrong_place_shows_the_beginning(before: str, linus: Person, signed_in: SignedIn) -> None:
    note(linus)

    assert signed_in(linus).get(f"/notices/?before={before}").status_code == 200

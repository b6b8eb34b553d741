"""Hand-written statements: bound by the server, prepared, counted like all others."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import orjson
import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from governance.core.statements import as_json, counts, row, rows
from governance.identity.models import Person
from tests import cast

pytestmark = pytest.mark.django_db


def test_a_statement_returns_its_rows_and_one_without_rows_returns_none_of_them() -> None:
    assert rows("SELECT n FROM generate_series(1, %s) AS n", [3]) == [(1,), (2,), (3,)]
    assert row("SELECT 1 WHERE false") is None
    assert rows("SET LOCAL work_mem = '4MB'") == []


def test_a_value_is_never_part_of_the_text() -> None:
    assert row("SELECT %s::text", ["'; DROP TABLE identity_person; --"]) == ("'; DROP TABLE identity_person; --",)


def test_a_statement_is_prepared_after_a_few_uses() -> None:
    sql = "SELECT %s::int + 4711"
    for number in range(4):
        rows(sql, [number])

    kept = rows("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE %s", ["%4711%"])

    assert kept[0][0] >= 1


def test_statements_are_counted_like_those_of_the_orm() -> None:
    with CaptureQueriesContext(connection) as asked:
        rows("SELECT %s::int", [1])

    assert len(asked) == 1


def test_what_the_database_refuses_comes_as_djangos_error() -> None:
    with pytest.raises(IntegrityError):
        rows("INSERT INTO identity_membership (group_id) VALUES (NULL)")


def test_many_things_are_counted_by_one_statement() -> None:
    for name in ("Ada Lovelace", "Grace 100%", "Linus Berg"):
        cast.hire(name)
    named = Person.objects.filter(display_name__contains="100%").order_by("display_name")
    asked = [Person.objects.all(), named, Person.objects.filter(pk__in=[]), Person.objects.exclude(pk__in=named)]

    with CaptureQueriesContext(connection) as said:
        assert counts(asked) == [3, 1, 0, 2]
    assert len(said) == 1
    # Prepared, as pages ask.
    assert counts(asked) == [3, 1, 0, 2]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, True, None]}, '{"a":[1,true,null]}'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (datetime(2026, 1, 2, tzinfo=UTC), '"2026-01-02T00:00:00+00:00"'),
        ("é", '"é"'),
    ],
    ids=["plain", "uuid", "instant", "text"],
)
def test_values_become_json(value: object, text: str) -> None:
    assert as_json(value) == text


def test_an_integer_beyond_64_bits_is_kept() -> None:
    assert as_json({"n": 2**70}) == '{"n": 1180591620717411303424}'
    assert orjson.loads(as_json({"n": 2**60})) == {"n": 2**60}

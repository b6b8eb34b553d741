"""Rows of a model written as a set."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from governance.core.tables import insert_rows, update_rows
from governance.identity.models import ServiceToken

pytestmark = pytest.mark.django_db
AT = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)


def token(digest: str, **more: object) -> dict[str, object]:
    return {
        "audience": "api",
        "name": "ünïcode 'quoted'",
        "digest": digest,
        "hint": "gh",
        "scopes": "{read,write}",
        "created_at": AT,
        "created_by_ref": "test",
        "acts_for_id": None,
        **more,
    }


def test_rows_are_inserted_as_they_are_with_one_statement_and_their_keys_come_in_their_order() -> None:
    with CaptureQueriesContext(connection) as asked:
        keys = insert_rows(ServiceToken, [token(str(number)) for number in range(9)])

    assert len(asked) == 1
    assert [ServiceToken.objects.get(pk=key).digest for key in keys] == [str(number) for number in range(9)]
    first = ServiceToken.objects.get(pk=keys[0])
    assert (first.name, first.created_at, first.acts_for_id) == ("ünïcode 'quoted'", AT, None)


def test_no_rows_are_no_statement() -> None:
    with CaptureQueriesContext(connection) as asked:
        assert insert_rows(ServiceToken, []) == []
        update_rows(ServiceToken, [])

    assert len(asked) == 0


def test_a_row_that_is_there_is_left_out_only_when_that_is_asked_for() -> None:
    insert_rows(ServiceToken, [token("1")])

    assert len(insert_rows(ServiceToken, [token("1"), token("2")], ignore_conflicts=True)) == 1
    with pytest.raises(IntegrityError):
        insert_rows(ServiceToken, [token("1")])


def test_rows_are_changed_each_to_its_own_values() -> None:
    one, two, three = insert_rows(ServiceToken, [token("1"), token("2"), token("3")])

    update_rows(
        ServiceToken, [{"id": one, "name": "a", "revoked_at": AT}, {"id": two, "name": "b", "revoked_at": None}]
    )

    found = dict(ServiceToken.objects.values_list("pk", "name"))
    assert found == {one: "a", two: "b", three: "ünïcode 'quoted'"}
    assert ServiceToken.objects.get(pk=one).revoked_at == AT

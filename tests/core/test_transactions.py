"""Actions as whole transactions."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from governance.core.statements import row, rows
from governance.core.transactions import all_or_nothing, whole

pytestmark = pytest.mark.django_db


class Refused(Exception):
    pass


@whole
def write(*, refuse: bool = False) -> None:
    rows("INSERT INTO django_content_type (app_label, model) VALUES ('test', gen_random_uuid())")
    if refuse:
        raise Refused


def written() -> bool:
    return row("SELECT 1 FROM django_content_type WHERE app_label = 'test'") is not None


def test_a_refused_action_leaves_nothing_and_lets_the_callers_transaction_go_on() -> None:
    with transaction.atomic():
        with pytest.raises(Refused):
            write(refuse=True)

        assert not written()


def test_an_action_in_what_is_all_or_nothing_needs_no_savepoint() -> None:
    with all_or_nothing(), CaptureQueriesContext(connection) as asked:
        write()

    assert len(asked) == 1
    assert written()


def test_what_is_all_or_nothing_is_given_up_as_a_whole() -> None:
    def twice() -> None:
        with all_or_nothing():
            write()
            write(refuse=True)

    with pytest.raises(Refused):
        twice()

    assert not written()


@pytest.mark.django_db(transaction=True)
def test_an_action_alone_is_a_transaction_of_its_own() -> None:
    with pytest.raises(Refused):
        write(refuse=True)

    assert not written()


def test_an_action_after_what_is_all_or_nothing_has_a_savepoint_again() -> None:
    with all_or_nothing():
        pass

    with CaptureQueriesContext(connection) as asked:
        write()

    assert [each["sql"].split()[0] for each in asked] == ["SAVEPOINT", "INSERT", "RELEASE"]

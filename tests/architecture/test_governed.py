"""Every table is governed, so that no change of a row passes the ledger by, or left out for a reason that is given."""

from __future__ import annotations

import pytest
from django.apps import apps

from governance.ledger.governing import governed_tables, left_out_tables
from governance.ledger.triggers import missing_triggers

HOW = (
    "Say in governance/<room>/governed.py what its columns are: govern(Model, public=[…], personal=[…], volatile=[…]),"
    " or leave_out(Model, because=…). governance/ledger/governing.py explains; the triggers follow after `migrate`."
)


def test_every_model_is_governed_or_left_out_for_a_reason() -> None:
    governed = {one.table for one in governed_tables()}
    tables = {
        model._meta.db_table
        for model in apps.get_models(include_auto_created=True)
        if not model.__module__.startswith("tests.")
    }

    assert tables - governed - set(left_out_tables()) == set(), HOW
    assert governed & set(left_out_tables()) == set()
    assert governed | set(left_out_tables()) <= tables


@pytest.mark.django_db
def test_every_governed_table_has_its_triggers_as_they_are_declared_and_always() -> None:
    assert [f"{one.trigger} on {one.table}" for one in missing_triggers()] == []

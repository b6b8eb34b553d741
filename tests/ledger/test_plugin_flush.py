"""What the tests that commit rely on: afterwards nothing is left, and the tables refuse again what they refused."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import DatabaseError, connection, transaction

from governance.catalog.models import Entitlement
from governance.ledger.notes import Signer
from governance.ledger.sequencer import seal_everything
from tests import cast
from tests.ledger.plugin_flush import empty


def _triggers() -> list[tuple[str, str, str]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger ORDER BY 1, 2")
        return cursor.fetchall()


@pytest.mark.django_db(transaction=True)
def test_every_row_goes_and_everything_else_stays(analyst: Entitlement, signer: Signer) -> None:
    seal_everything(signer=signer)
    declared, kept = _triggers(), (ContentType.objects.count(), Permission.objects.count())
    with connection.cursor() as cursor:
        tables = connection.introspection.django_table_names(only_existing=True)
        assert {"identity_person", "ledger_entry", "catalog_entitlement"} <= set(tables)

        empty()

        for table in tables:
            cursor.execute(f"SELECT count(*) FROM {table}")
            (rows,) = cursor.fetchone()
            assert rows == {"django_content_type": kept[0], "auth_permission": kept[1]}.get(table, 0), table
    assert all(kept)
    assert _triggers() == declared


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("table", ["identity_personrevision", "ledger_entry"])
def test_what_refused_to_be_deleted_refuses_it_again(table: str, analyst: Entitlement, signer: Signer) -> None:
    empty()
    cast.hire("Grace Hopper")
    seal_everything(signer=signer)

    with pytest.raises(DatabaseError, match="insert"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table}")

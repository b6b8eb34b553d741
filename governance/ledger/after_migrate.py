"""What follows each `migrate`: triggers as they are declared, and a word in the ledger when the schema changed."""

from __future__ import annotations

from typing import Any

from django.db import connection

from governance.core.actor import Actor, Door
from governance.ledger import schema
from governance.ledger.triggers import put_in_place


def after_migrate(**_: Any) -> None:
    """Bring the triggers in line, and note the schema when the ledger has noted one before."""
    if not _is_up_to_date():
        return
    put_in_place()
    if schema.noted_parts() is not None:
        schema.note(actor=Actor.system("migrations", door=Door.COMMAND))


def _is_up_to_date() -> bool:
    """Tell whether the migrations of this room are applied; a database may be migrated back."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('ledger_finding') IS NOT NULL")
        return bool(cursor.fetchone()[0])

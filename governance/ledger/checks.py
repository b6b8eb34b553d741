"""What `manage.py check --deploy` says about the database's rights: whether a door could touch what is sealed."""

from __future__ import annotations

from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error, Tags
from django.db import DatabaseError

from governance.ledger.rights import excess_rights, roles_exist
from governance.ledger.verification import missing_guards


@checks.register(Tags.security, deploy=True)
def sealed_ledger_is_out_of_reach(**_: Any) -> list[CheckMessage]:
    """Return an error for each right that the role must not have, and for each trigger that is not in place."""
    try:
        excess = excess_rights()
        there = roles_exist()
        missing = missing_guards()
    except DatabaseError as error:
        return [
            checks.Warning(f"The rights in the database could not be looked at: {str(error).strip()}", id="ledger.W001")
        ]
    hint = "docs/operations.md says how the owner, runtime and sequencer roles are made: manage.py database_roles --sql"
    found: list[CheckMessage] = [Error(one.sentence, hint=hint, id="ledger.E001") for one in excess]
    found += [
        Error(f"The trigger {name} that protects the ledger is missing or not ENABLE ALWAYS.", id="ledger.E002")
        for name in missing
    ]
    if not there:
        found.append(checks.Warning("The database has no runtime and sequencer roles.", hint=hint, id="ledger.W002"))
    return found

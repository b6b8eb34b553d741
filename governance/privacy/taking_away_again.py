"""The writer of what goes a second time: texts and names that a restored backup brought back.

The log says what is gone; the backup does not know it yet. One function of the database (migration 0007) looks at the
sealed entries and takes the same away again, before anybody can read it: `ledger_recover replay` calls it in its own
transaction, and the clock looks again each hour. Who left and is active in the backup leaves again.
"""

from __future__ import annotations

import json

from django.db import connection, transaction

from governance.core.actor import Actor
from governance.identity.models import Person, Status
from governance.ledger.going_again import CameBack, Remover, register
from governance.ledger.recording import Subject, record
from governance.lifecycle import actions as lifecycle
from governance.privacy import events
from governance.privacy.models import Erasure, ErasureState

#: People that one entry names; all of them are counted.
_NAMED = 50


def what_came_back() -> CameBack:
    """Return how much is there that the log says is gone."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT texts, people, bundles FROM gatehouse_what_is_back()")
        return CameBack(*cursor.fetchone())


@transaction.atomic
def take_away_again(actor: Actor) -> CameBack:
    """Take away again what the log says is gone; return how much it was. Again is fine."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT gatehouse_take_away_again()")
        (said,) = cursor.fetchone()
    if said is None:
        return CameBack()
    found = json.loads(said) if isinstance(said, str) else said
    back = CameBack(found["texts"], len(found["people"]), found["bundles"])
    record(
        events.TAKEN_AWAY_AGAIN,
        actor=actor,
        subjects=[Subject("retention", "ledger"), *(Subject("person", ref) for ref in found["people"][:_NAMED])],
        data={"texts": back.texts, "people": back.people, "bundles": back.bundles},
    )
    return back


def have_leave_again(*, actor: Actor) -> int:
    """End what people have who were erased and are active in a restored backup; return how many.

    They had left when they were erased, so the log says that they have nothing; the rows of the backup say otherwise.
    """
    erased = Erasure.objects.filter(state=ErasureState.ERASED, person__status=Status.ACTIVE)
    left = 0
    for pk in list(erased.values_list("person_id", flat=True).distinct()):
        with transaction.atomic():
            person = Person.objects.select_for_update().get(pk=pk)
            if person.user_name == f"erased-{person.ref}":
                lifecycle.leave(person, actor=actor, unlist=True)
                left += 1
    return left


# Known to the ledger once this room is there (`apps`): the ledger itself knows no room above it.
register(Remover(what_came_back, take_away_again))

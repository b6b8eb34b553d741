"""The writers of restriction: while a duty keeps somebody's data, their name is put aside and shown where it asks.

The person's row and revisions get their reference in place of the name, so that no page has to know; evidence reads the
names that were put aside. It waits until nothing brings the name back or needs it: a directory, an account, an order.
"""

from __future__ import annotations

from collections.abc import Collection

from django.db import connection, transaction

from governance.core.actor import Actor
from governance.identity.models import AsideName, Person, Status
from governance.ledger.recording import Subject, record
from governance.privacy import events
from governance.privacy.models import Erasure, ErasureState
from governance.provisioning.models import Account, Operation, OperationState

_CLOSED = (OperationState.VERIFIED, OperationState.FAILED)


def what_would_bring_it_back(person: Person) -> list[str]:
    """Return what still needs this person's name or would write it again, in sentences."""
    found = []
    if person.status != Status.LEFT:
        found.append("They have not left.")
    if person.is_listed and person.source.startswith("scim:"):
        found.append("Their directory still lists them, and would bring everything back. Remove them there first.")
    there = Account.objects.filter(person=person, gone_at__isnull=True).select_related("application")
    names = sorted({one.application.name for one in there})
    if names:
        found.append(f"Applications still show an account of theirs, with their name: {', '.join(names)}.")
    if Operation.objects.filter(person=person).exclude(state__in=_CLOSED).exists():
        found.append("Orders about them are still on their way to applications.")
    return found


def withhold_names(*, actor: Actor) -> int:
    """Put aside what can be by now, and back what somebody who came back has; return how many. Again is fine."""
    done = 0
    for erasure in Erasure.objects.filter(state=ErasureState.RESTRICTED).select_related("person"):
        with transaction.atomic():
            person = Person.objects.select_for_update().get(pk=erasure.person_id)
            done += _fit(person, erasure, actor=actor)
    return done


def withhold(erasure: Erasure, *, actor: Actor) -> bool:
    """Put the names of somebody whose erasure waits aside, unless something needs them; return whether it did."""
    person = erasure.person
    if what_would_bring_it_back(person):
        return False
    shown = f"{str(person.ref)[:8]} (restricted until {erasure.due_at:%Y-%m-%d})"
    _call("gatehouse_withhold(%s, %s)", person.pk, shown)
    record(events.NAMES_WITHHELD, actor=actor, subjects=[Subject("person", str(person.ref))])
    return True


def restore(person: Person, *, actor: Actor) -> bool:
    """Put the names back; return whether any were aside."""
    if not AsideName.objects.filter(person=person).exists():
        return False
    _call("gatehouse_restore(%s)", person.pk)
    record(events.NAMES_RESTORED, actor=actor, subjects=[Subject("person", str(person.ref))])
    return True


def true_names(people: Collection[int]) -> dict[int, str]:
    """Return person → the name that was put aside, for those of whom one was. For the queue of erasures."""
    aside = AsideName.objects.filter(person_id__in=people, number=0)
    return dict(aside.values_list("person_id", "display_name"))


def _fit(person: Person, erasure: Erasure, *, actor: Actor) -> bool:
    if person.status != Status.LEFT:
        return restore(person, actor=actor)
    erasure.person = person
    return person.user_name != f"restricted-{person.ref}" and withhold(erasure, actor=actor)


def _call(function: str, *arguments: int | str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}", arguments)

"""What somebody was told, on their page: read by them alone. Reading it is no act of governance and is not recorded."""

from __future__ import annotations

from django.db.models import QuerySet

from governance.core.clock import now
from governance.core.errors import NotFound
from governance.identity.models import Person
from governance.notices.kinds import KINDS
from governance.notices.models import Notice


def of(person: Person) -> QuerySet[Notice]:
    """Return what a person was told, the latest first."""
    return Notice.objects.filter(person=person, kind__in=KINDS).order_by("-id")


def unread(person: Person) -> QuerySet[Notice]:
    """Return what a person has not read yet."""
    return Notice.objects.filter(person=person, kind__in=KINDS, read_at__isnull=True)


def mark_read(person: Person, notice_id: int) -> Notice:
    """Note that a notice was read; again is fine. Raises NotFound for what is not theirs."""
    found = Notice.objects.filter(person=person, pk=notice_id).first()
    if found is None:
        raise NotFound("There is no such notice.")
    unread(person).filter(pk=notice_id).update(read_at=now())
    return found


def mark_all_read(person: Person, *, up_to: int | None = None) -> int:
    """Note that everything up to a notice was read, what came meanwhile excepted; return how much."""
    found = unread(person)
    return (found if up_to is None else found.filter(pk__lte=up_to)).update(read_at=now())

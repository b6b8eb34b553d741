"""What somebody has, as "My access" shows it: what ends first, then standing, then what comes with the role."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db.models import F, prefetch_related_objects

from governance.access.models import AccessRequest, Approval, EndQuestion, Grant, GrantCause, RequestState
from governance.access.queries import WITH_REQUEST, access_of, past_access_of, upcoming_access_of
from governance.core.clock import is_open_ended
from governance.identity.models import Person
from governance.provisioning.models import OperationState
from governance.web.kinds import kind_of
from governance.web.my_work.catalogue import SOON, Waiting, waiting_cards


@dataclass(frozen=True, slots=True)
class Holding:
    """One grant of the reader, with where it comes from and how far it is."""

    grant: Grant
    kind: str
    at: datetime
    approvals: tuple[Approval, ...] = ()
    #: A waiting request to make it last longer.
    extension: AccessRequest | None = None
    #: When it was to end: it is kept while whoever answers for the application is asked.
    was_due_at: datetime | None = None

    @property
    def left(self) -> timedelta:
        """Return how long it still lasts."""
        return self.grant.ends_at - self.at

    @property
    def whole(self) -> timedelta:
        """Return how long it lasts in all."""
        return self.grant.ends_at - self.grant.starts_at

    @property
    def is_soon(self) -> bool:
        """Tell whether the end is near."""
        return self.left <= SOON

    @property
    def kept_until(self) -> datetime | None:
        """Return until when what came with the role is kept although no rule gives it any more; none otherwise."""
        is_kept = self.grant.cause == GrantCause.BIRTHRIGHT and not is_open_ended(self.grant.ends_at)
        return self.grant.ends_at if is_kept else None

    @property
    def can_be_returned(self) -> bool:
        """Tell whether the person can give it back themselves."""
        return self.grant.cause != GrantCause.BIRTHRIGHT

    @property
    def way_in(self) -> str:
        """Return how far giving it is: `ready` only after read-back, else `ordered`, `sent` or `failed`."""
        operation = self.grant.give_operation
        return _way(operation.state) if operation else "ordered"

    @property
    def way_out(self) -> str:
        """Return how far taking it away is; `kept` when other access supports it, `none` before it was ordered."""
        operation = self.grant.take_operation
        if operation is not None:
            return _way(operation.state)
        return "kept" if self.grant.end_ordered_at else "none"


@dataclass(frozen=True, slots=True)
class MyAccess:
    """The whole page."""

    temporary: tuple[Holding, ...]
    standing: tuple[Holding, ...]
    birthright: tuple[Holding, ...]
    coming: tuple[Holding, ...]
    past: tuple[Holding, ...]
    waiting: tuple[Waiting, ...]

    @property
    def number(self) -> int:
        """Return how many roles the person has now."""
        return len(self.temporary) + len(self.standing) + len(self.birthright)


def my_access(person: Person, at: datetime) -> MyAccess:
    """Return everything a person has, will have and had."""
    now, past = access_of(person, at=at), past_access_of(person, at=at)
    coming = upcoming_access_of(person, at=at)
    requests = {grant.request for grant in (*now, *past, *coming) if grant.request}
    prefetch_related_objects(list(requests), "approvals__approver")
    waiting = list(
        AccessRequest.objects.filter(person=person, state=RequestState.PENDING).select_related(*WITH_REQUEST)
    )
    extensions: dict[int | None, AccessRequest] = {
        request.extends_id: request for request in waiting if request.extends_id
    }
    was_due = {
        question.grant_id: question.due_at
        for question in EndQuestion.objects.filter(
            grant__in=[grant.pk for grant in now], kept_until=F("grant__ends_at"), answered_at__isnull=True
        )
    }
    held = [replace(_holding(grant, at, extensions), was_due_at=was_due.get(grant.pk)) for grant in now]
    return MyAccess(
        temporary=_of_kind(held, "temporary", "breakglass"),
        standing=_of_kind(held, "standing"),
        birthright=_of_kind(held, "birthright"),
        coming=tuple(_holding(grant, at, {}) for grant in coming),
        past=tuple(_holding(grant, at, {}) for grant in past),
        waiting=tuple(waiting_cards(waiting)),
    )


def holding(grant: Grant, at: datetime) -> Holding:
    """Return one grant as the page shows it."""
    return _holding(grant, at, {})


def _holding(grant: Grant, at: datetime, extensions: dict[int | None, AccessRequest]) -> Holding:
    approvals = tuple(grant.request.approvals.all()) if grant.request else ()
    return Holding(grant, kind_of(grant), at, approvals, extensions.get(grant.pk))


def _of_kind(held: Iterable[Holding], *kinds: str) -> tuple[Holding, ...]:
    return tuple(one for one in held if one.kind in kinds)


def _way(state: str) -> str:
    return {
        OperationState.VERIFIED.value: "ready",
        OperationState.FAILED.value: "failed",
        OperationState.DELIVERED.value: "sent",
    }.get(state, "ordered")

"""Questions about erasure and holds, for pages."""

from __future__ import annotations

from collections.abc import Sequence

from governance.core.errors import NotFound
from governance.privacy.models import Erasure, ErasureState, LegalHold


def waiting() -> Sequence[Erasure]:
    """Return what is kept until a day, the next first."""
    return list(Erasure.objects.filter(state=ErasureState.RESTRICTED).select_related("person").order_by("due_at", "id"))


def settled(limit: int = 50) -> Sequence[Erasure]:
    """Return what was erased or cancelled, newest first."""
    found = Erasure.objects.exclude(state=ErasureState.RESTRICTED).select_related("person")
    return list(found.order_by("-settled_at", "-id")[:limit])


def holds() -> Sequence[LegalHold]:
    """Return the legal holds, those that run first."""
    return sorted(LegalHold.objects.order_by("-id")[:200], key=lambda one: one.released_at is not None)


def erasure(erasure_id: int) -> Erasure:
    """Return an erasure. Raises NotFound."""
    found = Erasure.objects.select_related("person").filter(pk=erasure_id).first()
    if found is None:
        raise NotFound("There is no such erasure.")
    return found

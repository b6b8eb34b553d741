"""Files that somebody uploaded and looks at before they are applied: kept for a day, seen by nobody else."""

from __future__ import annotations

import uuid
from datetime import timedelta

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict
from governance.core.transactions import whole
from governance.identity.models import Person
from governance.lifecycle import people_file
from governance.lifecycle.models import PeopleDraft
from governance.lifecycle.people_file import Outcome

KEPT_FOR = timedelta(days=1)


@whole
def keep(raw: bytes, *, name: str, is_full: bool, by: Person, actor: Actor) -> tuple[PeopleDraft, Outcome]:
    """Keep a file that can be applied; return it with what it would do now. Raises Unreadable, and keeps nothing."""
    outcome = people_file.preview(raw, is_full=is_full, actor=actor)
    draft = PeopleDraft.objects.create(name=name[:200], content=raw, is_full=is_full, uploaded_by=by, uploaded_at=now())
    return draft, outcome


@whole
def apply(ref: uuid.UUID, *, by: Person, actor: Actor) -> Outcome:
    """Apply a kept file of the same person and forget it. Raises Conflict when it is gone, and Unreadable."""
    draft = PeopleDraft.objects.select_for_update().filter(ref=ref, uploaded_by=by).first()
    if draft is None:
        raise Conflict("This file was applied, or is older than a day. Upload it again.")
    outcome = people_file.apply(bytes(draft.content), name=draft.name, is_full=draft.is_full, actor=actor)
    draft.delete()
    return outcome


def forget_old() -> int:
    """Forget files that nobody applied within a day; return how many."""
    removed, _ = PeopleDraft.objects.filter(uploaded_at__lt=now() - KEPT_FOR).delete()
    return removed

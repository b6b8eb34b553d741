"""How mail and webhooks do: what waits, what failed, what troubles the server. For pages and health."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Max, Min, Q, QuerySet

from governance.core.clock import now
from governance.core.errors import NotFound
from governance.notices.models import LetterState, Mail, PostOffice
from governance.notices.reading import unread_entries

#: A failure is looked at within this time, or not at all.
LOOKED_AT = timedelta(days=7)
#: What waits longer than this without the server being in trouble is late.
LATE_AFTER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Standing:
    """How mail does. `way` is smtp, folder or none; `sentence` says the most important thing."""

    way: str
    waiting: int
    oldest_due_at: datetime | None
    failed: int
    last_sent_at: datetime | None
    trouble_since: datetime | None
    retry_at: datetime | None
    last_error: str
    unread_entries: int

    @property
    def is_fine(self) -> bool:
        """Tell whether mail goes out as it should."""
        return self.trouble_since is None and not self._is_late

    @property
    def _is_late(self) -> bool:
        return self.oldest_due_at is not None and now() - self.oldest_due_at > LATE_AFTER

    @property
    def sentence(self) -> str:
        """Return how mail does in one sentence."""
        if self.way == "none":
            return "No mail server is set, so people are told on their pages only."
        if self.trouble_since is not None:
            return f"{self.last_error.rstrip('.')}. Mails wait and are not lost."
        if self._is_late:
            return "Mails wait although nothing is in their way. Is a worker running?"
        if self.way == "folder":
            return "No mail server is set. What would have been sent is shown here."
        return "Mail goes out."


def standing() -> Standing:
    """Return how mail does. Three statements."""
    office = PostOffice.objects.order_by("pk").first() or PostOffice()
    at = now()
    found = Mail.objects.aggregate(
        waiting=Count("pk", filter=Q(state=LetterState.WAITING)),
        oldest=Min("next_attempt_at", filter=Q(state=LetterState.WAITING)),
        failed=Count("pk", filter=Q(state=LetterState.FAILED, settled_at__gt=at - LOOKED_AT)),
        sent=Max("settled_at", filter=Q(state=LetterState.SENT)),
    )
    return Standing(
        way=settings.MAIL_WAY,
        waiting=found["waiting"],
        oldest_due_at=found["oldest"],
        failed=found["failed"],
        last_sent_at=found["sent"],
        trouble_since=office.trouble_since,
        retry_at=office.retry_at,
        last_error=office.last_error,
        unread_entries=unread_entries(),
    )


def needs_a_look() -> QuerySet[Mail]:
    """Return the mails that failed lately."""
    return Mail.objects.filter(state=LetterState.FAILED, settled_at__gt=now() - LOOKED_AT)


def mail(ref: UUID) -> Mail:
    """Return one mail with its person. Raises NotFound."""
    found = Mail.objects.select_related("person").filter(ref=ref).first()
    if found is None:
        raise NotFound("There is no such mail.")
    return found

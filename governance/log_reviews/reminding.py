"""A word to whoever may sign when a stretch of the log is over, and when nobody signed it in time.

Time alone causes it, so reviews are asked. What has been due or late for longer than notices look back is no news.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from governance.core.clock import now
from governance.identity.models import Person, RoleName, Status
from governance.log_reviews.models import LogReview
from governance.log_reviews.queries import waiting
from governance.notices.deciding import about_log_review
from governance.notices.models import Notice
from governance.notices.reading import NO_NEWS_AFTER, write
from governance.notices.webhooks import Message

DUE, OVERDUE = "log_review.due", "log_review.overdue"


@transaction.atomic
def remind() -> int:
    """Tell security administrators and auditors, once for each review and step; return how many notices."""
    at = now()
    wanted = [(one, kind) for one in waiting().order_by("starts_at") if (kind := _kind(one, at))]
    causes = [_cause(one, kind) for one, kind in wanted]
    told = set(Notice.objects.filter(kind__in=(DUE, OVERDUE), cause__in=causes).values_list("cause", flat=True))
    fresh = [(one, kind) for one, kind in wanted if _cause(one, kind) not in told]
    if not fresh:
        return 0
    notices, messages = [], []
    for person_id in _may_sign():
        for one, kind in fresh:
            facts = {"review": one.pk, "since": one.starts_at.isoformat(), "until": one.due_at.isoformat()}
            known = {"person_id": person_id, "kind": kind, "cause": _cause(one, kind), "facts": facts, "at": at}
            notices.append(Notice(**known, about=about_log_review(str(one.pk)), created_at=at))
            messages.append(Message(kind, _cause(one, kind), person_id, facts, at))
    return write(notices, messages, at=at)


def _kind(one: LogReview, at: datetime) -> str | None:
    if one.due_at <= at:
        return OVERDUE if at - one.due_at < NO_NEWS_AFTER else None
    return DUE if at - one.ends_at < NO_NEWS_AFTER else None


def _cause(one: LogReview, kind: str) -> str:
    return f"{about_log_review(str(one.pk))}:{kind.rpartition('.')[2]}"


def _may_sign() -> list[int]:
    roles = (RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
    found = Person.objects.filter(status=Status.ACTIVE, role_assignments__role__in=roles)
    return list(found.order_by("id").values_list("pk", flat=True).distinct())

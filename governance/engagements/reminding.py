"""A word before an audit ends, to its hosts and its guests. Time alone causes it, so audits are asked."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, Q

from governance.core.clock import now
from governance.engagements.models import WAITS_FOR_COMPANY, Engagement
from governance.engagements.told import administrators, guests_of, hosts_of
from governance.notices.deciding import about_audit
from governance.notices.happenings import Audit
from governance.notices.models import Notice
from governance.notices.reading import write
from governance.notices.webhooks import Message

#: How long before the end. One that lies in the first half of an audit is left out.
LEADS = (timedelta(days=1), timedelta(days=7))
KIND = "audit.ending"


@transaction.atomic
def warn_of_ends() -> int:
    """Tell people about audits that end soon, once for each lead and end; return how many notices were written."""
    at = now()
    waiting = Count("requests", filter=Q(requests__state__in=WAITS_FOR_COMPANY))
    ending = Engagement.objects.filter(closed_at__isnull=True, ends_at__gt=at, ends_at__lte=at + LEADS[-1])
    due = [(one, lead) for one in ending.annotate(waiting=waiting).order_by("id") if (lead := _lead(one, at))]
    causes = {one.pk: _cause(one, lead) for one, lead in due}
    told = set(Notice.objects.filter(kind=KIND, cause__in=causes.values()).values_list("cause", flat=True))
    fresh = [one for one, _ in due if causes[one.pk] not in told]
    if not fresh:
        return 0
    hosts, guests = hosts_of(fresh, administrators()), guests_of(fresh)
    notices, messages = [], []
    for one in fresh:
        about = about_audit(Audit(str(one.ref), one.name, one.ends_at))
        facts = {"audit": one.name, "audit_ref": str(one.ref), "until": one.ends_at.isoformat(), "waiting": one.waiting}
        for person_id in dict.fromkeys((*hosts[one.pk], *guests.get(one.pk, ()))):
            known = {"person_id": person_id, "kind": KIND, "cause": causes[one.pk], "facts": facts, "at": at}
            notices.append(Notice(**known, about=about, created_at=at))
            messages.append(Message(KIND, causes[one.pk], person_id, facts, at))
    return write(notices, messages, at=at)


def _lead(one: Engagement, at: datetime) -> timedelta | None:
    """Return the shortest lead that is due."""
    known = (lead for lead in LEADS if one.ends_at - lead <= at and lead <= (one.ends_at - one.opened_at) / 2)
    return next(known, None)


def _cause(one: Engagement, lead: timedelta) -> str:
    return f"audit:{one.ref}:ends:{one.ends_at:%Y%m%dT%H%M%S}:{lead.days}"

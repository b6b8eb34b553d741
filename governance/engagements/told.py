"""Who is told in an audit: its hosts and its auditors, asked at the moment when an entry is read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from governance.core.clock import now
from governance.engagements.models import (
    WAITS_FOR_COMPANY,
    AuditRequest,
    Engagement,
    Guest,
    Message,
    RequestState,
)
from governance.engagements.rights import has_ended
from governance.identity.models import Status
from governance.identity.queries import people_by_ref, security_admins
from governance.ledger.queries import SealedEntry
from governance.notices.happenings import Audit
from governance.notices.naming import name_audits


def audits(entries: Sequence[SealedEntry]) -> dict[int, Audit]:
    """Return the audits that entries are about, by the number of the entry. Six statements, none without any."""
    about = {one.index: ref for one in entries if (ref := _ref(one, "engagement"))}
    if not about:
        return {}
    found = {str(one.ref): one for one in Engagement.objects.filter(ref__in=set(about.values()))}
    wanted = {int(ref) for one in entries if (ref := _ref(one, "audit_request"))}
    requests = {str(one.pk): one for one in AuditRequest.objects.filter(pk__in=wanted)}
    people = _People(found.values(), requests.values())
    shown = {}
    for entry in entries:
        engagement = found.get(about.get(entry.index, ""))
        if engagement is not None:
            shown[entry.index] = people.audit(engagement, requests.get(_ref(entry, "audit_request")))
    return shown


def administrators() -> dict[str, int]:
    """Return the security administrators, by reference."""
    return {str(ref): pk for pk, ref in security_admins().values_list("pk", "ref")}


def hosts_of(engagements: Iterable[Engagement], admins: Mapping[str, int]) -> dict[int, tuple[int, ...]]:
    """Return who answers for each: whoever opened it, or all security administrators when they no longer are one."""
    return {
        one.pk: (admins[one.opened_by_ref],) if one.opened_by_ref in admins else tuple(admins.values())
        for one in engagements
    }


def guests_of(engagements: Iterable[Engagement]) -> Mapping[int, list[int]]:
    """Return the guests who came to each and may still look."""
    at = now()
    open_ = [one.pk for one in engagements if not has_ended(one, at)]
    rows = Guest.objects.filter(engagement__in=open_, withdrawn_at__isnull=True, person__isnull=False)
    found: dict[int, list[int]] = defaultdict(list)
    for engagement_id, person_id in rows.order_by("id").values_list("engagement_id", "person_id"):
        found[engagement_id].append(person_id)
    return found


class _People:
    """Who takes part in audits and in their requests."""

    def __init__(self, engagements: Collection[Engagement], requests: Collection[AuditRequest]) -> None:
        admins = administrators()
        self._hosts, self._guests = hosts_of(engagements, admins), guests_of(engagements)
        self._admins = frozenset(admins.values())
        self._asking = _asking(requests)

    def audit(self, engagement: Engagement, asked: AuditRequest | None) -> Audit:
        """Return an audit with who is told. Who works here and only looks is told of what they took part in."""
        colleagues = [one for one in self._asking.get(asked.pk, ()) if one not in self._admins] if asked else []
        return Audit(
            ref=str(engagement.ref),
            name=engagement.name,
            ends_at=engagement.ends_at,
            number=asked.number if asked else 0,
            waits_for_host=asked is not None and asked.state in WAITS_FOR_COMPANY,
            waits_for_auditor=asked is not None and asked.state == RequestState.ANSWERED,
            host_ids=self._hosts[engagement.pk],
            auditor_ids=tuple(dict.fromkeys((*self._guests.get(engagement.pk, ()), *colleagues))),
        )


def _asking(requests: Collection[AuditRequest]) -> dict[int, list[int]]:
    """Return who of those who work here asked for each request, or said something about it."""
    found: dict[int, list[int]] = defaultdict(list)
    askers = people_by_ref({one.asked_by_ref for one in requests})
    for one in requests:
        if (asker := askers.get(one.asked_by_ref)) is not None and asker.is_active:
            found[one.pk].append(asker.pk)
    said = Message.objects.filter(request__in=[one.pk for one in requests], by__status=Status.ACTIVE)
    for request_id, person_id in said.order_by("id").values_list("request_id", "by_id"):
        found[request_id].append(person_id)
    return found


def _ref(entry: SealedEntry, kind: str) -> str:
    return next((one.ref for one in entry.subjects if one.kind == kind), "")


name_audits(audits)

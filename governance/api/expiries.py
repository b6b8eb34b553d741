"""How late access ended in a period, and everything that was missed, by name."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.lateness import LateEnd, Lateness, late_ends, report
from governance.access.models import EndCause
from governance.api.doorway import DoorView
from governance.api.reading import choice, instant
from governance.catalog.models import Application
from governance.core.clock import now
from governance.core.errors import Invalid, NotAllowed, NotFound
from governance.identity.models import RoleName

LONGEST = timedelta(days=366)
WHICH = ["time", "all"]
_WORDS = (
    OpenApiParameter("from", str, required=True, description="RFC 3339, or a day, which means its end in `zone`"),
    OpenApiParameter("to", str, description="The same; default now"),
    OpenApiParameter("zone", str, description="Time zone of days; default UTC"),
    OpenApiParameter("application", str, description="Slug of one application"),
    OpenApiParameter("ends", str, enum=WHICH, description="Ends that time brought about (default), or all"),
)


class ExpiriesView(DoorView):
    """A view for owners (their applications), security administrators and auditors."""

    filters = frozenset({"from", "to", "zone", "application", "ends"})

    def asked(self, request: Request) -> dict[str, Any]:
        """Return what is asked about. Raises Invalid, NotFound and NotAllowed."""
        at = now()
        first, before = instant(request, "from", at), instant(request, "to", at) or at
        if first is None:
            raise Invalid({"from": "Say from when on."})
        if not timedelta(0) <= before - first <= LONGEST:
            raise Invalid({"from": "Choose a period of at most a year that ends after it begins."})
        which = choice(request, "ends", WHICH)
        causes = tuple(EndCause) if which == "all" else (EndCause.EXPIRED,)
        return {
            "first": first,
            "before": before,
            "at": at,
            "causes": causes,
            "applications": self._applications(request.query_params.get("application", "")),
        }

    def _applications(self, slug: str) -> tuple[int, ...] | None:
        if not self.sees_everything and not self.owned and RoleName.OWNER not in self.roles:
            raise NotAllowed("This is for owners of applications, security administrators and auditors.")
        reach = None if self.sees_everything else tuple(self.owned)
        if not slug:
            return reach
        found = Application.objects.filter(slug=slug).first()
        if found is None or (reach is not None and found.pk not in reach):
            raise NotFound(f"There is no application called {slug[:80]}.")
        return (found.pk,)


class Expiries(ExpiriesView):
    """How late access ended."""

    @extend_schema(
        summary="How late access ended: due, ordered, delivered, read back, by application",
        parameters=list(_WORDS),
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        """Return counts and percentiles in seconds; the percentiles are of those that came that far."""
        asked = self.asked(request)
        found = report(asked.pop("first"), asked.pop("before"), **asked)
        parts = [{"slug": one.slug, "name": one.name, **_shown(one.lateness)} for one in found.by_application]
        return Response({"total": _shown(found.total), "by_application": parts})


class LateEnds(ExpiriesView):
    """What was late, or is not done yet."""

    filters = ExpiriesView.filters | {"longer_than", "after"}

    @extend_schema(
        summary="What ended late or is not done yet, by name, in the order it was due",
        parameters=[
            *_WORDS,
            OpenApiParameter("longer_than", int, description="Seconds; default 60"),
            OpenApiParameter("after", str, description="Where a page begins, as `next` says"),
            OpenApiParameter("limit", int, description="Rows of a page, 1 to 200; default 50"),
        ],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        """Return one page of late ends."""
        asked = self.asked(request)
        limit = int(request.query_params.get("limit", "50"))
        found = late_ends(
            asked.pop("first"),
            asked.pop("before"),
            longer_than=timedelta(seconds=_seconds(request)),
            after=_after(request),
            limit=limit + 1,
            **asked,
        )
        last = found[limit - 1] if len(found) > limit else None
        place = f"{last.due_at.isoformat()}~{last.grant_id}" if last else None
        return Response({"results": [_late(one) for one in found[:limit]], "next": place})


def _shown(lateness: Lateness) -> dict[str, Any]:
    return asdict(lateness)


def _late(end: LateEnd) -> dict[str, Any]:
    return {**asdict(end), "missing": end.missing}


def _seconds(request: Request) -> int:
    text = request.query_params.get("longer_than", "60")
    if not (text.isascii() and text.isdecimal() and len(text) < 9):
        raise Invalid({"longer_than": "A whole number of seconds."})
    return int(text)


def _after(request: Request) -> tuple[datetime, int] | None:
    text = request.query_params.get("after")
    if text is None:
        return None
    said, _, key = text.replace(" ", "+").rpartition("~")
    try:
        at, number = datetime.fromisoformat(said), int(key)
    except ValueError as error:
        raise Invalid({"after": "This leads nowhere. Start again without it."}) from error
    if at.tzinfo is None:
        raise Invalid({"after": "This leads nowhere. Start again without it."})
    return at, number

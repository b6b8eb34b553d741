"""What of connections waits for a security administrator."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db.models import Exists, F, OuterRef, QuerySet, Sum

from governance.identity.connections.queries import CHART_HOURS
from governance.identity.models import Connection, ConnectionConflict, ConnectionHour
from governance.web.govern.connections_words import ERRORS_ONE_IN


def undecided() -> QuerySet[ConnectionConflict]:
    """Return the conflicts that nobody decided."""
    return ConnectionConflict.objects.filter(resolution="")


def failing(at: datetime) -> QuerySet[Connection]:
    """Return the live connections with errors, by the rule of `connections_words.has_errors`."""
    first = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=CHART_HOURS - 1)
    refused = (
        ConnectionHour.objects.filter(connection=OuterRef("pk"), hour__gte=first)
        .order_by()
        .values("connection")
        .annotate(asked=Sum("requests"), failed=Sum("errors"))
        .filter(failed__gt=0, asked__lte=F("failed") * ERRORS_ONE_IN)
    )
    return Connection.objects.filter(Exists(refused), revoked_at__isnull=True)

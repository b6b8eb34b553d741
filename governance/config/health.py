"""What monitoring asks: does this process live (`/healthz`), and can Gatehouse do its work (`/readyz`)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass
from pathlib import Path

import celery
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from governance.access.sweep import sweep_lag_seconds
from governance.anchors.queries import freshness
from governance.config.schema import unapplied_migrations
from governance.ledger.queries import halted, sealing_lag_seconds
from governance.lifecycle.planning import leaving_lag_seconds
from governance.notices.reading import reading_lag_seconds
from governance.streams.queries import standings

#: The answer comes within a second, whatever hangs.
_PATIENCE_SECONDS = 0.8
_BROKER_PATIENCE_SECONDS = 0.5
#: An entry is usually sealed within two seconds, and an ended grant ordered away within one.
LARGEST_SEALING_LAG_SECONDS = 60.0
LARGEST_SWEEP_LAG_SECONDS = 30.0
#: An entry is usually read for notices within a second after it was sealed; a demo, or a long outage, takes a while.
LARGEST_READING_LAG_SECONDS = 120.0

#: Two threads for each asker; a check that hangs holds its thread until its own time-out, not the answer.
_threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="readyz")


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check: a stable name, whether it holds, and a sentence that gives nothing away."""

    name: str
    ok: bool
    sentence: str


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer that this process takes requests. Asks nobody else."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 when every part that Gatehouse needs does its work, else 503; which one is in the body."""
    checks = run_checks()
    ready = all(check.ok for check in checks)
    body = {
        "ready": ready,
        "checks": {check.name: {"ok": check.ok, "sentence": check.sentence} for check in checks},
    }
    return JsonResponse(body, status=200 if ready else 503)


def run_checks() -> list[Check]:
    """Return the outcome of every check, within a second."""
    asked: dict[str, Future[list[Check]]] = {
        "database": _threads.submit(_check_database),
        "broker": _threads.submit(lambda: [_check_broker()]),
    }
    wait_for(asked.values(), timeout=_PATIENCE_SECONDS)
    return [check for name, future in asked.items() for check in _outcome(name, future)]


def _outcome(name: str, future: Future[list[Check]]) -> list[Check]:
    if not future.done():
        future.cancel()
        return [Check(name, ok=False, sentence=f"The {name} did not answer in time.")]
    error = future.exception()
    if error is not None:
        return [Check(name, ok=False, sentence=f"The {name} cannot be reached.")]
    return future.result()


def _check_database() -> list[Check]:
    """Ask what only the database knows, on a connection that lives as long as the question."""
    try:
        missing = unapplied_migrations()
        found = [Check("database", ok=True, sentence="The database answers.")]
        if missing:
            return [*found, Check("migrations", ok=False, sentence=f"{missing} migrations are not applied.")]
        return [
            *found,
            Check("migrations", ok=True, sentence="Every migration is applied."),
            check_sealing(),
            _lag("sweep", "ended grant waits to be ordered away", sweep_lag_seconds, LARGEST_SWEEP_LAG_SECONDS),
            _lag("notices", "sealed entry waits to be told", reading_lag_seconds, LARGEST_READING_LAG_SECONDS),
            _lag("leaving", "planned leave is due", leaving_lag_seconds, LARGEST_SWEEP_LAG_SECONDS),
            _check_anchors(),
            _check_streams(),
        ]
    finally:
        connection.close()


def check_sealing() -> Check:
    """Return whether what is recorded is sealed soon, or at all."""
    if halted() is not None:
        return Check("sealing", ok=False, sentence="Nothing is sealed until somebody looks: see the page Ledger.")
    return _lag("sealing", "ledger entry waits to be sealed", sealing_lag_seconds, LARGEST_SEALING_LAG_SECONDS)


def _check_anchors() -> Check:
    found = freshness()
    if found.late:
        return Check("anchors", ok=False, sentence=f"{len(found.late)} of {found.live} anchors keep no new head.")
    said = f"{found.live} anchors keep up." if found.live else "No head of the ledger is kept elsewhere."
    return Check("anchors", ok=True, sentence=said)


def _check_streams() -> Check:
    found = standings()
    late = [one for one in found if one.is_late]
    if late:
        return Check("streams", ok=False, sentence=f"{len(late)} of {len(found)} streams do not get what was sealed.")
    longest = max((one.lag_seconds for one in found), default=0.0)
    said = f"Streams: {len(found)}, the furthest behind by {longest:.0f} s." if found else "Nothing is streamed."
    return Check("streams", ok=True, sentence=said)


def _lag(name: str, what: str, measure: Callable[[], float], largest: float) -> Check:
    seconds = measure()
    sentence = f"The oldest {what} since {seconds:.0f} s." if seconds else f"No {what}."
    return Check(name, ok=seconds <= largest, sentence=sentence)


def _check_broker() -> Check:
    if settings.ENVIRONMENT.uses_embedded_broker:
        _write_into(settings.ENVIRONMENT.data_dir / "broker")
    else:
        _connect_to_broker()
    return Check("broker", ok=True, sentence="The broker answers.")


def _write_into(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def _connect_to_broker() -> None:
    patience = {"socket_timeout": _BROKER_PATIENCE_SECONDS, "socket_connect_timeout": _BROKER_PATIENCE_SECONDS}
    asked = celery.current_app.connection_for_write(
        connect_timeout=_BROKER_PATIENCE_SECONDS, transport_options=patience
    )
    try:
        asked.ensure_connection(max_retries=0)
    finally:
        asked.collect(_BROKER_PATIENCE_SECONDS)

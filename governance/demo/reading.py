"""The readings of the applications over the year, each with the proof of how much was read."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256

from governance.demo.observing import Seen
from governance.demo.world import World
from governance.provisioning.models import Account, Holding, SyncRun

#: Applications whose last reading did not go well, and what it said.
INCOMPLETE = ("hubspot", "Page 3 of 4 was answered 500. What was not read is left as it was.")
STALE = ("expensify", "The application answered 401: the token expired.", timedelta(days=3))
#: Every night lately, once a week before.
_NIGHTS, _WEEKS = 14, 53
_PER_PAGE = 100


def write_readings(world: World, seen: Seen) -> dict[int, datetime]:
    """Make the readings; return when each application was last read completely."""
    holdings: dict[int, list[Holding]] = {application_id: [] for application_id in seen.by_application}
    for holding in seen.holdings:
        holdings[holding.account.application_id].append(holding)
    runs = [
        run
        for application_id, accounts in seen.by_application.items()
        for run in _runs(world, seen.apps[application_id].id, accounts, holdings[application_id])
    ]
    for run in sorted(runs, key=lambda one: (one.started_at, one.application_id)):
        world.add(run)
    complete = [run for run in runs if run.is_complete and run.finished_at is not None]
    return {run.application_id: run.finished_at for run in complete if run.finished_at is not None}


def _runs(world: World, app: str, accounts: list[Account], holdings: list[Holding]) -> Iterator[SyncRun]:
    """Yield the readings of one application, the first one first."""
    present = _Population([(one.target_id, one.first_seen_at, one.gone_at) for one in accounts])
    held = _Population([("", one.first_seen_at, one.gone_at) for one in holdings])
    for started_at in _times(world):
        run = SyncRun(application=accounts[0].application, started_at=started_at)
        run.finished_at = started_at + world.seconds(1.5, 9)
        ids = present.at(started_at)
        run.announced = run.received = len(ids)
        run.holdings_received = len(held.at(started_at))
        run.pages = max(1, -(-len(ids) // _PER_PAGE))
        run.digest = sha256("\n".join(sorted(ids)).encode()).hexdigest()
        run.is_complete = True
        _spoil(world, app, run, ids)
        yield run


def _times(world: World) -> Iterator[datetime]:
    night = world.at.replace(hour=3, minute=world.chance.randrange(60), second=0, microsecond=0)
    if night > world.at - timedelta(hours=1):
        night -= timedelta(days=1)
    for week in range(_WEEKS, 0, -1):
        yield night - timedelta(days=_NIGHTS, weeks=week)
    for day in range(_NIGHTS, -1, -1):
        yield night - timedelta(days=day)
    yield world.at - timedelta(minutes=world.chance.randrange(3, 14))


def _spoil(world: World, app: str, run: SyncRun, ids: list[str]) -> None:
    is_last = run.started_at > world.at - timedelta(minutes=15)
    if app == STALE[0] and run.started_at > world.at - STALE[2]:
        run.is_complete, run.error = False, STALE[1]
        run.announced, run.received, run.holdings_received, run.pages, run.digest = None, 0, 0, 0, ""
    elif app == INCOMPLETE[0] and is_last:
        run.is_complete, run.error = False, INCOMPLETE[1]
        run.received = len(ids) // 2
        run.holdings_received //= 2
        run.pages -= 1


class _Population:
    """Who was there at an instant."""

    def __init__(self, lives: list[tuple[str, datetime, datetime | None]]) -> None:
        self._lives = sorted(lives, key=lambda life: life[1])
        self._starts = [life[1] for life in self._lives]

    def at(self, instant: datetime) -> list[str]:
        """Return the names of those who were there."""
        begun = self._lives[: bisect_right(self._starts, instant)]
        return [name for name, _, gone_at in begun if gone_at is None or gone_at > instant]

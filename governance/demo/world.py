"""The demo company while it is being made: rows with their ids, ledger entries, one source of chance, one clock.

Everything is built in memory and written at the end, so that every row may name every other. Ids are handed out from
where the database's sequences stand, and chance comes from one seeded source: the same instant gives the same company.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import count
from typing import TypeVar
from uuid import UUID

from django.db.models import Model

from governance.core.actor import Actor, ActorKind, Door
from governance.identity.models import Person
from governance.ledger.recording import Record, Subject

Row = TypeVar("Row", bound=Model)

#: The company began to use Gatehouse so long before the demo is loaded.
ROLLOUT = timedelta(days=400)
#: The name of the directory in the ledger. Everything that came "from the directory" was loaded with the demo.
DIRECTORY = "demo-directory"
_SEED = 20260


@dataclass(slots=True)
class World:
    """The company at `at`, the instant the demo is loaded."""

    at: datetime
    #: The first free id of a table.
    first_id: Callable[[type[Model]], int]
    rows: dict[type[Model], list[Model]] = field(default_factory=lambda: defaultdict(list))
    records: list[Record] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(_SEED))  # noqa: S311 - repeatable on purpose
    _ids: dict[type[Model], Iterator[int]] = field(default_factory=dict)

    @property
    def rollout_at(self) -> datetime:
        """Return when the company began to use Gatehouse: seven in the morning."""
        return datetime.combine((self.at - ROLLOUT).date(), time(7), UTC)

    def add(self, row: Row) -> Row:
        """Keep a row and give it its id."""
        model = type(row)
        if model not in self._ids:
            self._ids[model] = count(self.first_id(model))
        row.pk = next(self._ids[model])
        self.rows[model].append(row)
        return row

    def record(
        self,
        event: str,
        *subjects: Subject,
        actor: Actor,
        at: datetime,
        data: dict[str, object] | None = None,
        private: dict[str, tuple[str, str]] | None = None,
    ) -> None:
        """Keep a ledger entry."""
        self.records.append(Record(event, actor, subjects, data or {}, private or {}, at))

    def ref(self) -> UUID:
        """Return a random reference."""
        return UUID(int=self.chance.getrandbits(128), version=4)

    def word(self, length: int) -> str:
        """Return random hexadecimal digits."""
        return f"{self.chance.getrandbits(4 * length):0{length}x}"

    def seconds(self, shortest: float, longest: float) -> timedelta:
        """Return a random time between two numbers of seconds, in whole milliseconds."""
        return timedelta(milliseconds=round(1000 * self.chance.uniform(shortest, longest)))

    def around(self, median: timedelta, *, spread: float = 0.9) -> timedelta:
        """Return a random time whose median is `median`, with the long tail that answers of people have."""
        return timedelta(seconds=round(median.total_seconds() * self.chance.lognormvariate(0, spread)))

    def workday(self, days_ago: float, *, first_hour: int = 7, last_hour: int = 17) -> datetime:
        """Return an instant in working hours about so many days ago; on Friday for a weekend."""
        day = (self.at - timedelta(days=days_ago)).date()
        day -= timedelta(days=max(0, day.weekday() - 4))
        seconds = self.chance.randrange(first_hour * 3600, last_hour * 3600)
        moment = datetime.combine(day, time(), UTC) + timedelta(seconds=seconds)
        return min(moment, self.at - timedelta(minutes=20 + seconds % 40))

    def correlation(self) -> str:
        """Return what ties together what one signal causes."""
        return self.word(32)

    def system(self, name: str, *, door: Door = Door.CLOCK) -> Actor:
        """Return a part of Gatehouse acting once."""
        return Actor.system(name, door=door, correlation_id=self.correlation())

    def by(self, person: Person, *, correlation_id: str = "") -> Actor:
        """Return a person at the pages, in one act or continuing an earlier one."""
        correlation_id = correlation_id or self.correlation()
        return Actor(ActorKind.PERSON, str(person.ref), Door.WEB, person_id=person.pk, correlation_id=correlation_id)


def from_directory(correlation_id: str) -> Actor:
    """Return the directory, sending the change that everything of this correlation id follows from."""
    return Actor(ActorKind.SERVICE, DIRECTORY, Door.SCIM, correlation_id=correlation_id)

"""Who would decide a route, for kinds of people rather than for each of them. Pure.

What decides about the approvers of somebody is who they are themselves and who their manager and that one's manager
are, and of those only whether they are among the people whom the policy asks in other ways as well. A company of a
hundred thousand has a few thousand such kinds of people.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from governance.catalog.stages import BY_SECURITY, GROUP, MANAGER, MANAGERS_MANAGER, OWNER, PEOPLE, Approvers, Stage

#: Stand for a manager, and a manager's manager, whom nothing else asks. Keys of people are positive.
SOME_MANAGER, SOME_UPPER = -1, -2


@dataclass(frozen=True, slots=True)
class Kind:
    """People who are alike as far as approvers go. `own` is 0 for who is asked for nothing; a manager 0 is none."""

    own: int
    manager: int
    upper: int


@dataclass(frozen=True, slots=True)
class Asked:
    """The people whom policies ask by name, group, role and ownership: active ones only, by primary key."""

    security: frozenset[int]
    owners: Mapping[int, frozenset[int]]
    named: Mapping[Approvers, frozenset[int]]

    @property
    def everybody(self) -> frozenset[int]:
        """Return whoever is asked in any of these ways."""
        return self.security.union(*self.owners.values(), *self.named.values())

    def by(self, asked: Approvers, kind: Kind, application_id: int) -> frozenset[int]:
        """Return whom this asks about somebody of a kind, never themselves."""
        if asked.kind == OWNER:
            found = self.owners.get(application_id, frozenset())
        elif asked.kind in (GROUP, PEOPLE):
            found = self.named[asked]
        elif asked.kind in (MANAGER, MANAGERS_MANAGER):
            one = kind.manager if asked.kind == MANAGER else kind.upper
            return frozenset({one} if one else ())
        else:
            found = self.security
        return found - {kind.own}


def lacking(route: Sequence[Stage], kind: Kind, application_id: int, asked: Asked) -> int | None:
    """Return the first stage, from 0, that might find nobody, whoever answered before; none when each has somebody.

    Whoever said yes before is not asked again, and a stage with a quorum needs that many others. The fallback of a
    stage counts where the policy names it; that security is asked when all fails does not: a policy that wants it
    says so.
    """
    before: list[tuple[frozenset[int], int]] = []
    for number, stage in enumerate(route):
        reached = _reached(stage, kind, application_id, asked, before)
        if reached is None:
            return number
        before.append((reached, stage.quorum))
    return None


def route_taken(
    route: Sequence[Stage], kind: Kind, application_id: int, asked: Asked
) -> tuple[tuple[frozenset[int], int], ...]:
    """Return who would be asked first at each stage, and how many have to say yes."""
    return tuple(
        (
            next(
                (by for one in _options(stage, last=True) if (by := asked.by(one, kind, application_id))), frozenset()
            ),
            stage.quorum,
        )
        for stage in route
    )


def _reached(
    stage: Stage, kind: Kind, application_id: int, asked: Asked, before: Sequence[tuple[frozenset[int], int]]
) -> frozenset[int] | None:
    """Return everybody who may come to answer the stage; none when it might find too few."""
    reached: frozenset[int] = frozenset()
    for one in _options(stage, last=False):
        found = asked.by(one, kind, application_id)
        if not found:
            continue
        reached |= found
        left = len(found) - sum(min(quorum, len(found & earlier)) for earlier, quorum in before)
        if left >= stage.quorum:
            return reached
        if stage.quorum > 1:
            return None  # Some are left as asked for, so that nobody is asked instead, and they are too few.
    return None


def _options(stage: Stage, *, last: bool) -> tuple[Approvers, ...]:
    fallback = (stage.fallback,) if stage.fallback is not None else ()
    return (stage.asked, *fallback, *((BY_SECURITY,) if last else ()))


Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Hits(Generic[Result]):
    """What a question found about people of some kinds and applications.

    `pairs` counts people for each application, `people` counts them once. `by_kind` has some applications of every
    kind.
    """

    pairs: Mapping[int, int]
    people: int
    by_kind: Mapping[Kind, Mapping[int, Result]]


#: So many applications are kept for each kind: enough to name somebody.
KEPT = 20


class Population:
    """People in kinds, for questions about each of them and each of some applications.

    Nearly everybody is nobody to an application: neither they nor their managers own it. They are judged together, and
    only the others one kind after the other.
    """

    def __init__(self, kinds: Mapping[Kind, int], asked: Asked, application_ids: Collection[int]) -> None:
        self._kinds = kinds
        self._applications = sorted(application_ids)
        shared = asked.security.union(*asked.named.values())
        self._members: dict[Kind, list[Kind]] = {}
        owned: dict[int, set[int]] = {}
        for application_id in self._applications:
            for owner in asked.owners.get(application_id, ()):
                owned.setdefault(owner, set()).add(application_id)
        self._touched: dict[int, list[Kind]] = {one: [] for one in self._applications}
        self._touches: dict[Kind, set[int]] = {}
        for kind in kinds:
            self._members.setdefault(_reduced(kind, shared), []).append(kind)
            touches = {one for each in (kind.own, kind.manager, kind.upper) for one in owned.get(each, ())}
            self._touches[kind] = touches
            for application_id in touches:
                self._touched[application_id].append(kind)
        self._shared = shared

    def ask(self, judge: Callable[[Kind, int], Result | None], kept: int | None = KEPT) -> Hits[Result]:
        """Return for whom, and in which applications, `judge` says anything. It is asked about kinds, not people.

        Without `kept` every kind has all of its applications.
        """
        pairs: dict[int, int] = {}
        by_kind: dict[Kind, dict[int, Result]] = {}
        together: dict[Kind, dict[int, Result]] = {base: {} for base in self._members}
        sizes = {base: sum(self._kinds[one] for one in several) for base, several in self._members.items()}
        for application_id in self._applications:
            left = dict(sizes)
            for kind in self._touched[application_id]:
                left[_reduced(kind, self._shared)] -= self._kinds[kind]
                found = judge(kind, application_id)
                if found is not None:
                    by_kind.setdefault(kind, {})[application_id] = found
                    pairs[application_id] = pairs.get(application_id, 0) + self._kinds[kind]
            for base, people in left.items():
                found = judge(base, application_id) if people else None
                if found is not None:
                    together[base][application_id] = found
                    pairs[application_id] = pairs.get(application_id, 0) + people
        for base, applications in together.items():
            for kind in self._members[base] if applications else ():
                others = (one for one in applications if one not in self._touches[kind])
                for application_id in islice(others, kept):
                    by_kind.setdefault(kind, {})[application_id] = applications[application_id]
        return Hits(pairs, sum(self._kinds[kind] for kind in by_kind), by_kind)


def _reduced(kind: Kind, shared: frozenset[int]) -> Kind:
    """Return a kind as it looks to an application that none of them owns."""
    manager = kind.manager if kind.manager in shared or kind.manager <= 0 else SOME_MANAGER
    upper = kind.upper if kind.upper in shared or kind.upper <= 0 else SOME_UPPER
    if kind.upper == kind.manager:
        upper = manager
    return Kind(kind.own if kind.own in shared else 0, manager, upper)

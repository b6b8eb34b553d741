"""Who would decide a route, for kinds of people rather than for each of them. Pure.

What decides about the approvers of somebody is who they are themselves and who their manager and that one's manager
are, and of those only whether they are among the people whom the policy asks in other ways as well. A company of a
hundred thousand has a few thousand such kinds of people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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

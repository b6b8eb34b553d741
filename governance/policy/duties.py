"""Separation of duties: which rules are broken when somebody has what they ask for beside what they hold.

Everything is an interval from a start until before an end, so that access that ends before another begins breaks
nothing, and an exception covers only the time for which it was granted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from governance.core.errors import Reason


@dataclass(frozen=True, slots=True)
class DutyRule:
    """A version of a rule. With `at_most`, `second` is empty: nobody has more of `first` than that.

    `severity` is 1 (low) to 4 (critical). A rule that does not block warns.
    """

    rule_id: int
    version_id: int
    slug: str
    name: str
    why: str
    severity: int
    blocks: bool
    first: frozenset[int]
    second: frozenset[int] = frozenset()
    at_most: int | None = None

    @property
    def roles(self) -> frozenset[int]:
        """Return every entitlement the rule speaks of."""
        return self.first | self.second


@dataclass(frozen=True, slots=True)
class Duty:
    """An entitlement somebody holds, will hold or was seen with, or asks for. `name` says it with its application."""

    entitlement_id: int
    name: str
    starts_at: datetime
    ends_at: datetime

    def covers(self, moment: datetime) -> bool:
        """Tell whether it is held at an instant."""
        return self.starts_at <= moment < self.ends_at


@dataclass(frozen=True, slots=True)
class Exemption:
    """The time for which somebody may break a rule."""

    rule_id: int
    starts_at: datetime
    ends_at: datetime

    def covers(self, moment: datetime) -> bool:
        """Tell whether the rule may be broken at an instant."""
        return self.starts_at <= moment < self.ends_at


@dataclass(frozen=True, slots=True)
class DutyConflict:
    """A rule that would be broken, from `begins_at` on, beside what `others` names.

    `excepted_until` is the end of an exception; `is_excepted` when it covers the whole time of the conflict.
    """

    rule_id: int
    version_id: int
    slug: str
    rule_name: str
    why: str
    severity: int
    blocks: bool
    others: tuple[str, ...]
    other_ids: tuple[int, ...]
    begins_at: datetime
    is_excepted: bool = False
    excepted_until: datetime | None = None

    @property
    def is_refused(self) -> bool:
        """Tell whether nobody may say yes to it."""
        return self.blocks and not self.is_excepted

    @property
    def sentence(self) -> str:
        """Say what is broken and why that matters, in plain words."""
        return f"It breaks the rule “{self.rule_name}” together with {_listed(self.others)}. {_ended(self.why)}"


def conflicts(
    rules: Iterable[DutyRule], asked: Duty, held: Sequence[Duty], exemptions: Sequence[Exemption] = ()
) -> tuple[DutyConflict, ...]:
    """Return every rule that is broken when `asked` comes to what is held, the most severe first."""
    found = [
        conflict
        for rule in rules
        if asked.entitlement_id in rule.roles
        and (conflict := _conflict(rule, asked, held, [one for one in exemptions if one.rule_id == rule.rule_id]))
    ]
    return tuple(sorted(found, key=lambda one: (-one.severity, one.rule_name, one.rule_id)))


def refusals(found: Iterable[DutyConflict]) -> Iterator[Reason]:
    """Return why conflicts forbid a request: one reason for each rule that blocks and is not excepted in time."""
    for one in found:
        if one.is_refused:
            until = one.excepted_until
            hint = f" The exception ends {until:%d %B %Y, %H:%M} UTC; choose a time that ends before." if until else ""
            yield Reason("breaks_duties", f"{one.sentence}{hint}", "duration" if until else "entitlement")


def _conflict(
    rule: DutyRule, asked: Duty, held: Sequence[Duty], exemptions: Sequence[Exemption]
) -> DutyConflict | None:
    others = [one for one in held if one.entitlement_id in rule.roles and one.entitlement_id != asked.entitlement_id]
    broken = [
        (moment, against)
        for moment in _moments(asked, others, exemptions)
        if (against := _against(rule, asked, [one for one in others if one.covers(moment)]))
    ]
    open_ = [each for each in broken if not any(one.covers(each[0]) for one in exemptions)]
    shown = open_ or broken
    if not shown:
        return None
    roles = {one.entitlement_id: one.name for _, against in shown for one in against}
    named = sorted(roles, key=lambda key: (roles[key], key))
    return DutyConflict(
        rule_id=rule.rule_id,
        version_id=rule.version_id,
        slug=rule.slug,
        rule_name=rule.name,
        why=rule.why,
        severity=rule.severity,
        blocks=rule.blocks,
        others=tuple(roles[key] for key in named),
        other_ids=tuple(named),
        begins_at=shown[0][0],
        is_excepted=not open_,
        excepted_until=max((one.ends_at for one in exemptions if one.ends_at > asked.starts_at), default=None),
    )


def _moments(asked: Duty, others: Sequence[Duty], exemptions: Sequence[Exemption]) -> list[datetime]:
    """Return the instants at which a conflict without an exception can begin.

    That is when the asked access begins, when something else does, and when an exception ends. At every other instant
    somebody holds no more than just before.
    """
    begins = {asked.starts_at, *(one.starts_at for one in others), *(one.ends_at for one in exemptions)}
    return sorted(moment for moment in begins if asked.covers(moment))


def _against(rule: DutyRule, asked: Duty, live: Sequence[Duty]) -> list[Duty]:
    """Return what is held at an instant that breaks the rule beside what is asked for; empty when nothing does."""
    if rule.at_most is not None:
        return list(live) if len({one.entitlement_id for one in live}) >= rule.at_most else []
    opposite = rule.second if asked.entitlement_id in rule.first else rule.first
    return [one for one in live if one.entitlement_id in opposite]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."

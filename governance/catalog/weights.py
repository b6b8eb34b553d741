"""What each fact adds to a score of risk: settings with versions, so that any score can be made again. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from governance.core.errors import Invalid

MOST_POINTS = 100


@dataclass(frozen=True, slots=True)
class Weights:
    """Points for each fact, the bounds of what counts as one, and the points from which each level begins.

    `version` is the number under which they are kept; 0 is what is shipped.
    """

    version: int = 0
    #: For each level of the role above the lowest.
    role_level: int = 15
    privileged: int = 15
    patient_data: int = 15
    other_data: int = 8
    not_employee: int = 10
    new_here: int = 8
    new_here_days: int = 30
    open_end: int = 12
    long: int = 6
    long_days: int = 7
    unusual_hour: int = 6
    weekend: int = 4
    #: The usual hours of a day where the person is: from the first until before the last.
    day_begins: int = 7
    day_ends: int = 20
    few_peers: int = 8
    few_peers_percent: int = 10
    declined_lately: int = 10
    #: For each rule about duties that it would break, and for each level of how severe that is.
    duties: int = 10
    duties_level: int = 5
    medium_from: int = 25
    high_from: int = 50
    critical_from: int = 75

    @property
    def levels(self) -> tuple[tuple[int, int], ...]:
        """Return from how many points each level begins, the highest first."""
        return ((self.critical_from, 4), (self.high_from, 3), (self.medium_from, 2), (0, 1))

    def as_json(self) -> dict[str, int]:
        """Return what is kept, without the number."""
        return {name: value for name, value in asdict(self).items() if name != "version"}


#: What is shipped, until somebody decides otherwise.
STANDARD = Weights()
#: What counted before weights had versions: the hour did not.
FIRST = Weights(unusual_hour=0, weekend=0)
#: The names of all weights, in the order of the page.
NAMES = tuple(field.name for field in fields(Weights) if field.name != "version")
_BOUNDS = {
    "new_here_days": (0, 3650),
    "long_days": (1, 3650),
    "day_begins": (0, 23),
    "day_ends": (1, 24),
    "few_peers_percent": (0, 100),
    "medium_from": (1, 98),
    "high_from": (2, 99),
    "critical_from": (3, 100),
}


def weights_of(kept: dict[str, Any], version: int = 0) -> Weights:
    """Return weights from what is kept; what did not exist when they were kept counts nothing."""
    unknown = {name: getattr(FIRST, name) for name in NAMES}
    known = {name: int(value) for name, value in kept.items() if name in unknown}
    return Weights(version=int(kept.get("version", version)), **{**unknown, **known})


def check(said: dict[str, Any]) -> Weights:
    """Return weights as somebody wants them. Raises Invalid naming every field that is wrong."""
    wrong: dict[str, str] = {name: "There is no such weight." for name in said if name not in NAMES}
    for name in NAMES:
        least, most = _BOUNDS.get(name, (0, MOST_POINTS))
        value = said.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            wrong[name] = f"Write a whole number from {least} to {most}."
    if wrong:
        raise Invalid(wrong)
    found = Weights(**{name: said[name] for name in NAMES})
    if not found.medium_from < found.high_from < found.critical_from:
        raise Invalid({"high_from": "Medium, high and critical must begin one after the other."})
    if found.day_begins >= found.day_ends:
        raise Invalid({"day_ends": "The day must end after it begins."})
    return found

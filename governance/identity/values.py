"""Which values the directory really has: to pick from where a condition is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from governance.core.statements import rows

DEPARTMENT, TITLE, TYPE, GROUP = "department", "title", "userType", "groups.display"
#: The attributes of people that are offered, by what a condition calls them.
ATTRIBUTES = {DEPARTMENT: "Department", TITLE: "Title", TYPE: "Employment type", GROUP: "Group"}


@dataclass(frozen=True, slots=True)
class Value:
    """A value of an attribute, with how many active people have it."""

    attribute: str
    value: str
    people: int

    @property
    def condition(self) -> str:
        """Return the condition that selects them."""
        return equals(self.attribute, self.value)


def equals(attribute: str, value: str) -> str:
    """Return the condition that an attribute has a value."""
    return compared(attribute, "eq", value)


def compared(attribute: str, operator: str, value: str) -> str:
    """Return a comparison of an attribute as a SCIM filter expression (RFC 7644 §3.4.2.2: values as JSON)."""
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{attribute} {operator} "{quoted}"'


def common_values(most: int) -> Mapping[str, Sequence[Value]]:
    """Return the most frequent values of each attribute that is offered. One statement."""
    found: dict[str, list[Value]] = defaultdict(list)
    for attribute, value, people in rows(_COMMON, {"most": most}):
        found[attribute].append(Value(attribute, value, people))
    return {attribute: found[attribute] for attribute in ATTRIBUTES}


_COMMON = """
WITH active AS MATERIALIZED (
    SELECT id, department, title, person_type FROM identity_person WHERE status = 'active'
), counted AS (
    SELECT 'department' AS attribute, department AS value, count(*) AS people FROM active GROUP BY department
    UNION ALL
    SELECT 'title', title, count(*) FROM active GROUP BY title
    UNION ALL
    SELECT 'userType', person_type, count(*) FROM active GROUP BY person_type
    UNION ALL
    SELECT 'groups.display', inside.display_name, count(*)
    FROM identity_membership link JOIN active ON active.id = link.person_id
    JOIN identity_group inside ON inside.id = link.group_id WHERE inside.is_listed GROUP BY inside.id
), placed AS (
    SELECT counted.*, row_number() OVER (PARTITION BY attribute ORDER BY people DESC, value) AS place
    FROM counted WHERE value <> ''
)
SELECT attribute, value, people FROM placed WHERE place <= %(most)s ORDER BY attribute, place
"""

"""Rules that people's access suggests: what most of those who have something in common have, and no rule gives them.

Counted are grants of every cause and what was seen on accounts. One look counts everybody as sets and keeps what it
found; nothing is applied by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, QuerySet

from governance.access.models import Grant, RuleSuggestion
from governance.access.queries import covering
from governance.core.clock import now
from governance.core.wakeup import wake
from governance.identity.models import Person
from governance.identity.selection import selected
from governance.identity.values import ATTRIBUTES, equals
from governance.provisioning.models import Holding

WAKE = "access.look_for_rules"
#: Fewer people have too little in common for a rule.
FEWEST_PEOPLE = 5
#: Below this share nothing is kept; the page asks for more.
LOWEST_PERCENT = 60
USUAL_PERCENT = 80
EVERYBODY = "active"
#: A look needs room to count in: a few million pairs of person and role.
_WORK_MEM = "256MB"


@dataclass(frozen=True, slots=True)
class Suggested:
    """What some people have in common, and the roles most of them have."""

    place: int
    attribute: str
    value: str
    people: int
    roles: Sequence[RuleSuggestion]

    @property
    def condition(self) -> str:
        """Return the condition that selects them."""
        return condition_of(self.attribute, self.value)

    @property
    def name(self) -> str:
        """Return a name for the rule."""
        return "Everybody" if self.attribute == EVERYBODY else f"{self.value} baseline"[:120]

    @property
    def words(self) -> str:
        """Return what they have in common, in words."""
        return "Everybody" if self.attribute == EVERYBODY else f"{ATTRIBUTES[self.attribute]} {self.value}"


@transaction.atomic
def look(*, at: datetime | None = None) -> int:
    """Count anew what people with something in common have; return how many roles were found worth a suggestion.

    One statement over everybody, as of `at` or now. May run twice, also at once: the second waits and replaces what
    the first found.
    """
    at = at or now()
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE access_rulesuggestion IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute(f"SET LOCAL work_mem = '{_WORK_MEM}'")
        cursor.execute("DELETE FROM access_rulesuggestion")
        cursor.execute(_LOOK, {"at": at, "fewest": FEWEST_PEOPLE, "percent": LOWEST_PERCENT})
        return int(cursor.rowcount)


def look_soon() -> None:
    """Have a worker look again."""
    wake(WAKE)


def suggestions(*, percent: int, after: int, size: int) -> tuple[list[Suggested], int | None]:
    """Return what is suggested after a place where so many of a hundred have a role, and where to continue."""
    shares = RuleSuggestion.objects.annotate(over=F("holders") * 100 - F("people") * percent).filter(over__gte=0)
    further = shares.filter(place__gt=after).order_by("place").values_list("place", flat=True).distinct()
    places = list(further[: size + 1])
    rows = shares.filter(place__in=places[:size]).select_related("entitlement__application")
    found = [
        Suggested(place, (some := list(lines))[0].attribute, some[0].value, some[0].people, some)
        for place, lines in groupby(rows.order_by("place", "-holders", "id"), key=lambda one: one.place)
    ]
    return found, places[size - 1] if len(places) > size else None


def without_it(suggestion: RuleSuggestion) -> QuerySet[Person]:
    """Return the people who have it in common and do not have the role: whom a rule would add it to."""
    at = now()
    granted = Grant.objects.filter(covering(at), person=OuterRef("pk"), entitlement=suggestion.entitlement_id)
    seen = Holding.objects.filter(
        account__person=OuterRef("pk"),
        account__gone_at__isnull=True,
        gone_at__isnull=True,
        entitlement=suggestion.entitlement_id,
    )
    people = selected(condition_of(suggestion.attribute, suggestion.value))
    return people.filter(~Exists(granted), ~Exists(seen))


def condition_of(attribute: str, value: str) -> str:
    """Return the condition that selects who has something in common."""
    return "active eq true" if attribute == EVERYBODY else equals(attribute, value)


#: A role that everybody has nearly as often is suggested once, for everybody. One that a rule gives to most
#: of those who have it is no news.
_LOOK = """
WITH people AS MATERIALIZED (
    SELECT id, department, title, person_type FROM identity_person WHERE status = 'active'
),
has AS MATERIALIZED (
    SELECT person_id, entitlement_id, bool_or(by_rule) AS by_rule
    FROM (
        SELECT person_id, entitlement_id, cause = 'birthright' AS by_rule FROM access_grant
        WHERE starts_at <= %(at)s AND ends_at > %(at)s
        UNION ALL
        SELECT account.person_id, seen.entitlement_id, false
        FROM provisioning_holding seen JOIN provisioning_account account ON account.id = seen.account_id
        WHERE seen.gone_at IS NULL AND account.gone_at IS NULL AND account.person_id IS NOT NULL
            AND seen.entitlement_id IS NOT NULL
    ) reasons GROUP BY person_id, entitlement_id
),
common AS MATERIALIZED (
    SELECT 'active' AS attribute, '' AS value, id AS person_id FROM people
    UNION ALL SELECT 'department', department, id FROM people WHERE department <> ''
    UNION ALL SELECT 'title', title, id FROM people WHERE title <> ''
    UNION ALL SELECT 'userType', person_type, id FROM people WHERE person_type <> ''
    UNION ALL
    SELECT 'groups.display', inside.display_name, link.person_id
    FROM identity_membership link JOIN identity_group inside ON inside.id = link.group_id AND inside.is_listed
    JOIN people ON people.id = link.person_id
),
sizes AS MATERIALIZED (
    SELECT attribute, value, count(*) AS people FROM common GROUP BY attribute, value HAVING count(*) >= %(fewest)s
),
counted AS MATERIALIZED (
    SELECT sizes.attribute, sizes.value, has.entitlement_id, sizes.people, count(*) AS holders,
        count(*) FILTER (WHERE has.by_rule) AS by_rule
    FROM sizes JOIN common USING (attribute, value) JOIN has USING (person_id)
    GROUP BY sizes.attribute, sizes.value, has.entitlement_id, sizes.people
    HAVING 100 * count(*) >= %(percent)s * sizes.people
),
telling AS (
    SELECT counted.* FROM counted
    JOIN catalog_entitlement role ON role.id = counted.entitlement_id AND role.retired_at IS NULL
    JOIN catalog_application application ON application.id = role.application_id AND application.retired_at IS NULL
    WHERE 2 * counted.by_rule < counted.holders AND (counted.attribute = 'active' OR NOT EXISTS (
        SELECT FROM counted everybody
        WHERE everybody.attribute = 'active' AND everybody.entitlement_id = counted.entitlement_id
            AND 100.0 * everybody.holders / everybody.people + 10 >= 100.0 * counted.holders / counted.people
    ))
)
INSERT INTO access_rulesuggestion (place, attribute, value, entitlement_id, people, holders, by_rule, looked_at)
SELECT dense_rank() OVER (ORDER BY people DESC, attribute, value), attribute, value, entitlement_id, people, holders,
    by_rule, %(at)s
FROM telling ORDER BY 1, holders DESC, entitlement_id
"""

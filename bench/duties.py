"""Measures rules about duties: who breaks them now, over everything that is granted and seen, and one person's request.

`--full` takes 100,000 people with fifty grants each and 200 rules; without it everything is ten times smaller.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
FOLDER = tempfile.mkdtemp(prefix="gatehouse-bench-")
os.environ["DATA_DIR"] = FOLDER
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.config.settings")

import django  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

django.setup()

from governance.access import conflicts, duties  # noqa: E402
from governance.catalog.models import Entitlement  # noqa: E402
from governance.catalog.policies import standard_policy  # noqa: E402
from governance.catalog.sod_queries import sod_rules_in_force  # noqa: E402
from governance.config import postgres  # noqa: E402
from governance.core.actor import Actor, Door  # noqa: E402
from governance.core.clock import OPEN_END, now  # noqa: E402
from governance.identity.models import Person  # noqa: E402
from governance.policy.facts import Ask  # noqa: E402

BENCH = Actor.system("bench", door=Door.COMMAND)
ROUNDS = 5
GRANTS_EACH, APPLICATIONS, ROLES_EACH, RULES = 50, 500, 10, 200


def seconds(act: Callable[[], object]) -> float:
    """Return the median time of an act, after one that warms the caches."""
    act()
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        act()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def fill(people: int) -> None:
    """Make people, applications, grants, a tenth of them seen without a grant, and rules: half pairs, half limits."""
    policy = standard_policy(actor=BENCH)
    known = {
        "people": people, "applications": APPLICATIONS, "roles": ROLES_EACH, "each": GRANTS_EACH, "rules": RULES,
        "at": now(), "open_end": OPEN_END, "policy": policy.pk,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("SELECT setseed(0.5)")
        for statement in _FILL:
            cursor.execute(statement, known)
        for table in ("access_grant", "provisioning_holding", "provisioning_account", "identity_person"):
            cursor.execute(f"VACUUM ANALYZE {table}")


_FILL = (
    """
    INSERT INTO catalog_application
        (slug, name, description, category, catalogue_id, icon, risk, data_classes, created_at)
    SELECT 'app-' || n, 'Application ' || n, '', '', '', '', 2, '{}', %(at)s FROM generate_series(1, %(applications)s) n
    """,
    """
    INSERT INTO catalog_entitlement (application_id, slug, name, kind, target_ref, sentence, risk, data_classes,
        is_privileged, is_requestable, created_at, policy_id)
    SELECT application.id, 'role-' || n, 'Role ' || n, 'group', 'role-' || n, 'Work.', 2, '{}', false, true, %(at)s,
        %(policy)s
    FROM catalog_application application, generate_series(1, %(roles)s) n
    """,
    """
    INSERT INTO access_grant (person_id, entitlement_id, application_id, cause, starts_at, ends_at, end_cause, revision,
        created_at, correlation_id, start_ordered_at)
    SELECT given.person_id, role.id, role.application_id, 'manual', %(at)s - (0.3 + random()) * interval '300 days',
        CASE WHEN random() < 0.8 THEN %(open_end)s ELSE %(at)s + (random() - 0.3) * interval '300 days' END,
        '', 1, %(at)s, '', %(at)s
    FROM (
        SELECT person.id AS person_id, 1 + floor(random() * %(applications)s * %(roles)s)::int AS place
        FROM identity_person person, generate_series(1, %(each)s) n
    ) given
    JOIN (SELECT *, row_number() OVER (ORDER BY id) AS place FROM catalog_entitlement) role USING (place)
    """,
    """
    INSERT INTO provisioning_account (application_id, target_id, user_name, display_name, email, kind, is_active,
        person_id, linked_by, first_seen_at, confirmed_at)
    SELECT DISTINCT given.application_id, 'p' || given.person_id, 'p' || given.person_id, '', '', 'human', true,
        given.person_id, 'created', %(at)s, %(at)s
    FROM access_grant given
    """,
    """
    INSERT INTO provisioning_holding (account_id, entitlement_id, first_seen_at, confirmed_at)
    SELECT account.id, role.id, %(at)s - interval '9 days', %(at)s FROM provisioning_account account
    JOIN catalog_entitlement role
        ON role.application_id = account.application_id AND role.slug = 'role-' || 1 + account.id %% %(roles)s
    """,
    """
    INSERT INTO catalog_sodrule (slug, name, created_at)
    SELECT 'rule-' || n, 'Rule ' || n, %(at)s FROM generate_series(1, %(rules)s) n
    """,
    """
    INSERT INTO catalog_sodruleversion (rule_id, number, effective_at, created_at, created_by_ref, name, why, at_most,
        severity, effect, owner_id)
    SELECT rule.id, 1, %(at)s, %(at)s, 'bench', rule.name, 'They could.', CASE WHEN rule.id %% 2 = 0 THEN 2 END, 3,
        'block', (SELECT min(id) FROM identity_person)
    FROM catalog_sodrule rule
    """,
    """
    INSERT INTO catalog_sodmember (version_id, entitlement_id, side)
    SELECT version.id, role.id, CASE WHEN n <= 4 OR version.at_most IS NOT NULL THEN 'a' ELSE 'b' END
    FROM catalog_sodruleversion version, generate_series(1, 8) n,
        (SELECT *, row_number() OVER (ORDER BY id) - 1 AS place FROM catalog_entitlement) role
    WHERE role.place = (version.id * 97 + n * 613) %% (%(applications)s * %(roles)s)
    """,
)


def measure() -> None:
    """Print what each question takes."""
    at = now()
    rules = [duties.as_policy(rule) for rule in sod_rules_in_force(at)]
    totals = conflicts.totals(rules, at=at)
    broken = sum(total.open for total in totals.values())
    person = Person.objects.order_by("pk").first()
    assert person is not None
    role = Entitlement.objects.get(pk=min(rules[0].first))
    print(f"{len(rules)} rules, {broken} conflicts")
    for what, act in (
        ("who breaks which rule, counted for all rules", lambda: conflicts.totals(rules, at=at)),
        ("the first fifty who break one rule", lambda: conflicts.page_of(rules[0], at=at, size=50)),
        ("a draft, counted before it is saved", lambda: conflicts.total_of(rules[1], at=at)),
        ("the rules one person breaks", lambda: conflicts.of_person(person.pk, at=at)),
        ("what a request would break", lambda: duties.of_ask(person, role, Ask(None, "", ""), at=at)),
    ):
        print(f"{what:<50} {1000 * seconds(act):>12.1f} ms")


def people_of(number: int) -> None:
    """Make so many people."""
    at = now()
    Person.objects.bulk_create(
        (
            Person(
                user_name=f"p{n}@bench.example",
                user_name_key=f"p{n}@bench.example",
                display_name=f"Person {n}",
                email=f"p{n}@bench.example",
                source="bench",
                joined_at=at,
                created_at=at,
                modified_at=at,
            )
            for n in range(number)
        ),
        batch_size=5_000,
    )


def main() -> None:
    """Fill a throw-away database and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    people = 100_000 if parser.parse_args().full else 10_000
    try:
        with postgres.running(settings.ENVIRONMENT.data_dir):
            call_command("migrate", verbosity=0)
            people_of(people)
            fill(people)
            print(f"{people} people with {GRANTS_EACH} grants each, {APPLICATIONS * ROLES_EACH} roles")
            measure()
            connection.close()
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)


if __name__ == "__main__":
    main()

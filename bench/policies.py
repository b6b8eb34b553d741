"""Measures a change of policy: whom a draft affects, and the requests of 90 days decided again under it.

`--full` takes 100,000 people and 20,000 requests; without it everything is ten times smaller.
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

from governance.access import facts  # noqa: E402
from governance.access.preview import preview  # noqa: E402
from governance.access.receipts import receipt  # noqa: E402
from governance.access.replay import replay  # noqa: E402
from governance.catalog.models import Entitlement  # noqa: E402
from governance.catalog.policies import save_policy  # noqa: E402
from governance.catalog.policy_terms import PolicyTerms  # noqa: E402
from governance.catalog.stages import BY_SECURITY, Approvers, Stage  # noqa: E402
from governance.config import postgres  # noqa: E402
from governance.core.actor import Actor, Door  # noqa: E402
from governance.core.clock import now  # noqa: E402
from governance.core.statements import as_json  # noqa: E402
from governance.identity.models import Person  # noqa: E402
from governance.policy.facts import Ask  # noqa: E402
from governance.policy.risk import score  # noqa: E402
from governance.policy.verdicts import decide_request  # noqa: E402

BENCH = Actor.system("bench", door=Door.COMMAND)
ROUNDS, APPLICATIONS, ROLES_EACH = 3, 500, 3
OWNER = Stage(Approvers("owner"), fallback=BY_SECURITY)
MANAGER = Stage(Approvers("manager"), fallback=BY_SECURITY)
BEFORE = PolicyTerms(stages=(OWNER,))
#: Everything at once: other people may ask, others decide, and one of a hundred has no manager and no fallback.
DRAFT = PolicyTerms(
    stages=(Stage(Approvers("manager")), OWNER), may_request='not (userType eq "Contractor")',
    auto_deny='department eq "Department 7"', max_duration=BEFORE.max_duration / 2, needs_security_from=40,
)  # fmt: skip


def seconds(act: Callable[[], object]) -> float:
    """Return the median time of an act."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        act()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def fill(people: int, requests: int) -> None:
    """Make people in a tree of managers, two who run security, owned applications with roles, and requests."""
    version = save_policy("Bench", BEFORE, slug="bench", actor=BENCH)
    known = {"people": people, "applications": APPLICATIONS, "roles": ROLES_EACH, "at": now(),
             "policy": version.policy_id, "version": version.pk, "requests": requests}  # fmt: skip
    with connection.cursor() as cursor:
        for statement in _FILL:
            cursor.execute(statement, known)
        role = Entitlement.objects.select_related("application").order_by("pk")[0]
        person = Person.objects.select_related("manager__manager").get(user_name="p5000@bench.example")
        ask = Ask(BEFORE.max_duration, "Fix an incident", "The nightly load failed again.")
        seen = facts.of_request(person, person, role, version, ask, at=now())
        risk = score(seen)
        known["receipt"] = as_json(receipt(seen, decide_request(seen, risk), risk))
        cursor.execute(_REQUESTS, known)
        for table in ("identity_person", "identity_personrevision", "access_accessrequest"):
            cursor.execute(f"VACUUM ANALYZE {table}")


_FILL = (
    """
    INSERT INTO identity_personrevision (person_id, number, effective_at, recorded_at, status, user_name, display_name,
        email, title, department, person_type, change, actor_ref, correlation_id)
    SELECT id, 1, %(at)s - interval '400 days', %(at)s - interval '400 days', status, user_name, display_name, email,
        title, department, person_type, 'joined', 'bench', '' FROM identity_person
    """,
    """
    UPDATE identity_person SET manager_id = boss.id
    FROM identity_person AS boss
    WHERE identity_person.user_name <> 'p0@bench.example'
        AND boss.user_name = 'p' || (substring(identity_person.user_name from 2 for
            position('@' in identity_person.user_name) - 2)::int - 1) / 10 || '@bench.example'
    """,
    """
    INSERT INTO identity_roleassignment (person_id, role, assigned_at, assigned_by_ref)
    SELECT id, 'security_admin', %(at)s, 'bench' FROM identity_person ORDER BY id LIMIT 5
    """,
    """
    INSERT INTO catalog_application
        (slug, name, description, category, catalogue_id, icon, risk, data_classes, created_at)
    SELECT 'app-' || n, 'Application ' || n, '', '', '', '', 2, '{}', %(at)s FROM generate_series(1, %(applications)s) n
    """,
    """
    INSERT INTO catalog_applicationowner (application_id, person_id, since)
    SELECT application.id, person.id, %(at)s FROM catalog_application application, generate_series(1, 2) n,
        (SELECT id, row_number() OVER (ORDER BY id) AS place FROM identity_person) person
    WHERE person.place = 1 + (application.id * 37 + n * 11) %% %(people)s
    """,
    """
    INSERT INTO catalog_entitlement (application_id, slug, name, kind, target_ref, sentence, risk, data_classes,
        is_privileged, is_requestable, created_at, policy_id)
    SELECT application.id, 'role-' || n, 'Role ' || n, 'group', 'role-' || n, 'Work.', 2, '{}', false, true, %(at)s,
        %(policy)s
    FROM catalog_application application, generate_series(1, %(roles)s) n
    """,
)
_REQUESTS = """
    INSERT INTO access_accessrequest (number, requester_id, person_id, entitlement_id, duration, purpose, reason,
        ticket, policy_version_id, verdict, state, stage, created_at, lapses_at, closed_at, closed_because,
        correlation_id)
    SELECT n, person.id, person.id, role.id, interval '30 days', 'Fix an incident', 'Bench.', '', %(version)s,
        %(receipt)s::jsonb, 'approved', 1, %(at)s - n * interval '6 minutes', %(at)s, %(at)s, '', ''
    FROM generate_series(1, %(requests)s) n
    JOIN (SELECT id, row_number() OVER (ORDER BY id) AS place FROM identity_person) person
        ON person.place = 1 + n %% %(people)s
    JOIN (SELECT id, row_number() OVER (ORDER BY id) AS place FROM catalog_entitlement) role
        ON role.place = 1 + n %% (%(applications)s * %(roles)s)"""


def people_of(number: int) -> None:
    """Make so many people; one of twenty is a contractor."""
    at = now()
    Person.objects.bulk_create(
        (
            Person(
                user_name=f"p{n}@bench.example",
                user_name_key=f"p{n}@bench.example",
                display_name=f"Person {n}",
                email=f"p{n}@bench.example",
                department=f"Department {n % 50}",
                person_type="Contractor" if n % 20 == 0 else "Employee",
                source="bench",
                joined_at=at,
                created_at=at,
                modified_at=at,
                document={"userType": "Contractor" if n % 20 == 0 else "Employee"},
                document_key={"usertype": "contractor" if n % 20 == 0 else "employee"},
            )
            for n in range(number)
        ),
        batch_size=5_000,
    )


def measure() -> None:
    """Print what each question takes."""
    seen = preview(DRAFT, BEFORE, "bench")
    again = replay(DRAFT, "bench", at=now())
    print(f"{seen.roles} roles; {seen.no_longer.count} can no longer ask, {seen.redirected_count} meet others, "
          f"{seen.lacking_count} pairs without anybody; {again.total} requests, {again.counts}, "
          f"{again.unknown_count} unknown")  # fmt: skip
    for what, act in (
        ("whom a draft affects", lambda: preview(DRAFT, BEFORE, "bench")),
        ("whom a draft affects that only changes lengths",
         lambda: preview(PolicyTerms(stages=(OWNER,), allows_open_end=True), BEFORE, "bench")),
        ("90 days decided again, other conditions", lambda: replay(DRAFT, "bench", at=now())),
        ("90 days decided again, same conditions",
         lambda: replay(PolicyTerms(stages=(MANAGER, OWNER)), "bench", at=now())),
    ):  # fmt: skip
        print(f"{what:<50} {seconds(act):>9.2f} s")


def main() -> None:
    """Fill a throw-away database and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    people, requests = (100_000, 20_000) if parser.parse_args().full else (10_000, 2_000)
    try:
        with postgres.running(settings.ENVIRONMENT.data_dir):
            call_command("migrate", verbosity=0)
            people_of(people)
            fill(people, requests)
            print(f"{people} people, {APPLICATIONS * ROLES_EACH} roles, {requests} requests")
            measure()
            connection.close()
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)


if __name__ == "__main__":
    main()

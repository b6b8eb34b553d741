"""How long it takes to look at a birthright rule before it is saved, to apply it to everybody, and to serve a joiner.

    nice .venv/bin/python bench/birthright.py [--full]

Makes 10,000 people (--full: 100,000) with five grants each and 200 rules over their titles, and measures with the real
actions: the preview of a rule for everybody, the run after saving it, the same when it is narrowed to half and when the
other half keeps it for a week, one joiner among all the rules, and the look for suggestions. Each figure is of one
round; what is asserted is what happened.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
FOLDER = Path(tempfile.mkdtemp(prefix="gatehouse-bench-"))
os.environ.update(
    {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "DEBUG": "0",
        "DATA_DIR": str(FOLDER),
        "ALLOWED_HOSTS": "localhost",
        "DJANGO_SETTINGS_MODULE": "governance.config.settings",
    }
)

import django  # noqa: E402

django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402

from governance.access import birthright, rule_runs, suggestions  # noqa: E402
from governance.access.birthright_preview import preview  # noqa: E402
from governance.access.models import Grant, RuleRun  # noqa: E402
from governance.catalog import actions as catalog  # noqa: E402
from governance.catalog import rules  # noqa: E402
from governance.catalog.models import Entitlement  # noqa: E402
from governance.catalog.rules import RuleTerms  # noqa: E402
from governance.config import postgres  # noqa: E402
from governance.core.actor import Actor, Door  # noqa: E402
from governance.core.clock import now  # noqa: E402
from governance.identity.models import Person  # noqa: E402

ACTOR = Actor.system("bench", door=Door.COMMAND)
RULES = 200
DEPARTMENTS = 50
#: What people have besides, by hand.
GRANTS_EACH = 5
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
_PEOPLE = """
INSERT INTO identity_person
    (password, ref, scim_id, user_name, user_name_key, external_id, display_name, given_name, family_name, email, title,
    department, person_type, employee_number, time_zone, manager_hint, status, is_listed, source, joined_at, document,
    document_key, version, created_at, modified_at)
SELECT '!', gen_random_uuid(), gen_random_uuid(), 'person' || n, 'person' || n, '', 'Person ' || n, '', '',
    'person' || n || '@halden.example', 'Title ' || n %% %(rules)s, 'Department ' || n %% %(departments)s, 'Employee',
    '', '', '', 'active', true, 'scim:bench', now(),
    jsonb_build_object('userName', 'person' || n, 'title', 'Title ' || n %% %(rules)s, 'active', true, 'userType',
        'Employee', %(enterprise)s, jsonb_build_object('department', 'Department ' || n %% %(departments)s)),
    jsonb_build_object('username', 'person' || n, 'title', 'title ' || n %% %(rules)s, 'active', true, 'usertype',
        'employee', lower(%(enterprise)s), jsonb_build_object('department', 'department ' || n %% %(departments)s)),
    1, now(), now()
FROM generate_series(1, %(people)s) AS n
"""


_BASE = """
INSERT INTO access_grant (person_id, entitlement_id, application_id, cause, starts_at, ends_at, end_cause, revision,
    created_at, correlation_id, start_ordered_at)
SELECT person.id, role.id, role.application_id, 'manual', now() - interval '90 days', '9999-12-31', '', 1, now(),
    repeat('b', 32), now() - interval '90 days'
FROM identity_person person CROSS JOIN generate_series(0, %(each)s - 1) n
JOIN (SELECT id, application_id, row_number() OVER (ORDER BY id) - 1 AS place FROM catalog_entitlement) role
    ON role.place = (person.id + n * 7) %% %(rules)s
"""


def measure(people: int) -> None:
    """Print what each part takes."""
    roles = list(Entitlement.objects.select_related("application").order_by("id"))
    for number in range(RULES):
        terms = RuleTerms(f"Rule {number}", f'title eq "Title {number}"', [roles[number]])
        rules.save_rule(terms, actor=ACTOR)
    print(f"{people} people, {RULES} rules that give one role to each two hundredth\n")
    everybody = RuleTerms("Everybody", "active eq true", roles[RULES : RULES + 1])
    said, seconds = _timed(lambda: preview(everybody, None, at=now()))
    assert said.adds.people == people
    _tell("preview of a rule for everybody", seconds)
    rule = rule_runs.change_rule(everybody, actor=ACTOR).rule
    _run("the run after it, a role for each", people, started=people)
    half = 'department eq "Department 0"' + "".join(
        f' or department eq "Department {n}"' for n in range(1, DEPARTMENTS // 2)
    )
    narrow = RuleTerms("Everybody", half, roles[RULES : RULES + 1])
    said, seconds = _timed(lambda: preview(narrow, rule, at=now()))
    assert said.takes.people == people // 2
    _tell("preview of narrowing it to half", seconds)
    rule_runs.change_rule(narrow, slug=rule.slug, actor=ACTOR)
    _run("the run after it, half lose it", people // 2, ended=people // 2)
    kept = RuleTerms("Everybody", "active eq false", roles[RULES : RULES + 1], grace=timedelta(days=7))
    rule_runs.change_rule(kept, slug=rule.slug, actor=ACTOR)
    _run("a run by which the other half keeps it for a week", people // 2, kept=people // 2)
    _joiners(people)
    found, seconds = _timed(suggestions.look)
    _tell(f"the look for suggestions ({found} found)", seconds)


def _run(what: str, people: int, **expected: int) -> None:
    _, seconds = _timed(rule_runs.work)
    run = RuleRun.objects.order_by("-id")[0]
    assert run.finished_at is not None
    assert run.total == people
    assert {name: getattr(run, name) for name in expected} == expected
    _tell(f"{what} ({people / seconds:,.0f}/s)", seconds)


def _joiners(people: int) -> None:
    """Judge people by all rules, each in a transaction of their own: who has nothing by them yet."""
    keys = list(Person.objects.order_by("pk").values_list("pk", flat=True)[:60])
    times = []
    for key in keys:
        with transaction.atomic():
            birthright.lock([key])
            began = time.perf_counter()
            birthright.apply([key], at=now(), actor=ACTOR)
            times.append(time.perf_counter() - began)
    assert Grant.objects.filter(
        person_id__in=keys, cause="birthright", rule_version__rule__name__startswith="Rule"
    ).count() == len(keys)
    _tell(f"one joiner among {RULES} rules, one role given, median of {len(keys)}", statistics.median(times[10:]))


def _timed(act: Callable[[], object]) -> tuple[object, float]:
    began = time.perf_counter()
    found = act()
    return found, time.perf_counter() - began


def _tell(what: str, seconds: float) -> None:
    print(f"{what:<80} {seconds * 1000:>12,.1f} ms", flush=True)


def _fill(people: int) -> None:
    first = catalog.add_application("Application 0", actor=ACTOR)
    for number in range(RULES + 1):
        catalog.add_entitlement(first, f"Role {number}", sentence="Use it.", target_ref=f"r{number}", actor=ACTOR)
    with connection.cursor() as cursor:
        known = {"people": people, "rules": RULES, "departments": DEPARTMENTS, "enterprise": ENTERPRISE}
        cursor.execute(_PEOPLE, known)
        cursor.execute(_BASE, {"each": GRANTS_EACH, "rules": RULES})
        cursor.execute("VACUUM ANALYZE")


def main() -> None:
    """Fill a throw-away database and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    people = 100_000 if parser.parse_args().full else 10_000
    try:
        with postgres.running(settings.ENVIRONMENT.data_dir):
            call_command("migrate", verbosity=0)
            _fill(people)
            measure(people)
            connection.close()
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)


if __name__ == "__main__":
    main()

"""How the demo is loaded: into an empty database only, always the same, never in production."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from io import StringIO

import pytest
import time_machine
from django.apps import apps
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from governance.core.clock import now
from governance.core.errors import Conflict
from governance.demo import staff
from governance.demo.audits import GUEST
from governance.demo.loading import load
from governance.engagements.models import Engagement
from governance.exceptions.days import day_of
from governance.exceptions.models import ControlException, State
from governance.identity.models import Person
from governance.provisioning.models import Account

#: A Wednesday afternoon.
AT = datetime(2026, 11, 25, 14, 12, tzinfo=UTC)

ROOMS = ("identity", "catalog", "provisioning", "access")
#: Salts are random in a ledger and for passwords, by design.
_SALTED = re.compile(r'"(private|password)": ?(\{[^}]*\}|"[^"]*")')
_NUMBERED = re.compile(r'"id":\d+,')


def _restart_sequences() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT schemaname || '.' || sequencename FROM pg_sequences WHERE schemaname = 'public'")
        for (name,) in cursor.fetchall():
            cursor.execute(f"ALTER SEQUENCE {name} RESTART")


def _everything() -> dict[str, list[str]]:
    models = [model for room in ROOMS for model in apps.get_app_config(room).get_models(include_auto_created=True)]
    tables = [model._meta.db_table for model in models]
    rows: dict[str, list[str]] = {}
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT row_to_json({table})::text FROM {table} ORDER BY id")
            rows[table] = [_SALTED.sub("", text) for (text,) in cursor.fetchall()]
        # A trigger writes these in the order in which PostgreSQL came by the rows of one UPDATE.
        rows["access_formerbelief"] = sorted(_NUMBERED.sub("", text) for text in rows["access_formerbelief"])
        cursor.execute("SELECT body::text FROM ledger_pending ORDER BY id")
        rows["ledger_pending"] = [_SALTED.sub("", text) for (text,) in cursor.fetchall()]
    return rows


def _load_and_look() -> dict[str, list[str]]:
    with transaction.atomic():
        _restart_sequences()
        load(AT)
        rows = _everything()
        transaction.set_rollback(True)
    return rows


@pytest.mark.timeout(240)
@pytest.mark.django_db
def test_two_loads_at_the_same_instant_give_the_same_rows() -> None:
    first, second = _load_and_look(), _load_and_look()

    assert first.keys() == second.keys()
    for table, rows in first.items():
        assert rows == second[table], table
    assert sum(map(len, first.values())) > 20_000


@pytest.mark.timeout(120)
@pytest.mark.django_db
def test_the_command_loads_an_empty_database_and_refuses_a_second_time() -> None:
    said = StringIO()

    call_command("load_demo", stdout=said)

    people = Person.objects.exclude(status="guest").count()
    assert f"{people} people" in said.getvalue()
    with pytest.raises(CommandError, match="There are people"):
        call_command("load_demo", stdout=StringIO())
    with pytest.raises(Conflict), transaction.atomic():
        load(AT)
    call_command("load_demo", "--if-empty", stdout=(silent := StringIO()))
    assert silent.getvalue() == ""
    assert Person.objects.exclude(status="guest").count() == people


@pytest.mark.timeout(120)
@pytest.mark.django_db
def test_ids_go_on_after_those_of_the_demo() -> None:
    with time_machine.travel(AT, tick=False):
        load(AT)

    highest = Person.objects.order_by("-id").values_list("id", flat=True)[0]
    newcomer = Person.objects.create(user_name="new", user_name_key="new", joined_at=AT, created_at=AT, modified_at=AT)
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('access_request_number') > (SELECT max(number) FROM access_accessrequest)")
        goes_on = cursor.fetchone()

    assert newcomer.pk == highest + 1
    assert goes_on == (True,)


def test_the_demo_is_refused_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    class Production:
        is_production = True

    monkeypatch.setattr(settings, "ENVIRONMENT", Production())

    for arguments in ([], ["--if-empty"], ["--sign-ins"]):
        with pytest.raises(CommandError, match="production"):
            call_command("load_demo", *arguments, stdout=StringIO())


def test_the_sign_ins_are_printed_with_their_password() -> None:
    said = StringIO()

    call_command("load_demo", "--sign-ins", stdout=said)

    lines = said.getvalue().splitlines()
    assert [line.split()[-1] for line in lines[:4]] == [one.email for one in staff.SIGN_INS]
    assert staff.PASSWORD in lines[4]
    assert len(staff.PASSWORD) >= 12
    assert lines[5].endswith(GUEST.email)


@pytest.mark.django_db
def test_an_audit_is_under_way_and_what_auditors_would_ask_about_is_partly_answered() -> None:
    call_command("load_demo", "--no-downstream", stdout=StringIO())

    audit = Engagement.objects.get()
    guest = audit.guests.get().person
    assert guest is not None
    assert guest.check_password(staff.PASSWORD)
    states = set(audit.requests.values_list("state", flat=True))
    assert states == {"open", "accepted", "flagged"}

    found = ControlException.objects.filter(report="R15")
    nobodys = Account.objects.filter(gone_at__isnull=True, kind="human", person__isnull=True).count()
    assert found.filter(codes__contains="no_person").count() == nobodys > 10
    states = Counter(one.state_on(day_of(now())) for one in found)
    assert states == {State.EXPLAINED: 4, State.ACCEPTED: 1, State.OPEN: found.count() - 5}
    assert found.filter(owner__isnull=False).count() >= 3

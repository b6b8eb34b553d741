"""What applications and roles said of themselves is kept: by the database when they are new, by the actions after."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.db import connection

from governance.catalog import actions as catalog
from governance.catalog.models import Application, ApplicationRevision, Entitlement, EntitlementRevision
from governance.core.clock import now
from governance.core.errors import Invalid
from governance.ledger.models import Pending
from governance.ledger.notes import Signer
from governance.ledger.sequencer import seal_pending
from tests.cast import TESTING

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
SAID = ("number", "effective_at", "recorded_at", "change", "name", "risk", "data_classes")


@pytest.fixture
def noon() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def change(application: Application, **said: Any) -> bool:
    known = {"description": application.description, "risk": application.risk, "data_classes": ()} | said
    return catalog.change_application(application, known.pop("name", application.name), actor=TESTING, **known)


def test_every_row_says_something_from_when_it_was_made(noon: object, analyst: Entitlement) -> None:
    first = EntitlementRevision.objects.values_list("effective_at", "recorded_at", "sentence").get()

    assert first == (analyst.created_at, analyst.created_at, analyst.sentence)
    assert ApplicationRevision.objects.values_list("name", "number").get() == ("Snowflake", 1)


def test_a_changed_application_is_revised_and_recorded(noon: time_machine.Traveller, snowflake: Application) -> None:
    noon.shift(timedelta(hours=1))
    Pending.objects.all().delete()

    assert change(snowflake, risk=4, data_classes=["phi"])

    snowflake.refresh_from_db()
    latest = ApplicationRevision.objects.filter(application=snowflake).order_by("-number").values_list(*SAID).first()
    entry = Pending.objects.get().body
    assert latest == (2, now(), now(), "changed", "Snowflake", 4, ["phi"])
    assert (snowflake.risk, entry["event"], entry["data"]["risk"]) == (4, "application.changed", {"from": 2, "to": 4})


def test_saying_the_same_of_an_application_changes_nothing(noon: object, snowflake: Application) -> None:
    Pending.objects.all().delete()

    assert not change(snowflake)

    assert ApplicationRevision.objects.count() == 1
    assert not Pending.objects.exists()


def test_a_description_is_no_matter_of_history(noon: object, snowflake: Application) -> None:
    assert change(snowflake, description="Where the figures are.")

    assert ApplicationRevision.objects.count() == 1


def test_an_application_is_not_made_to_say_nonsense(noon: object, snowflake: Application) -> None:
    with pytest.raises(Invalid) as problem:
        change(snowflake, name=" ", risk=9, data_classes=["gossip"])

    assert sorted(problem.value.fields) == ["data_classes", "name", "risk"]


@pytest.mark.parametrize("sealed", [False, True], ids=["waiting in the ledger", "sealed"])
def test_what_was_said_before_there_were_revisions_is_read_from_the_ledger(
    noon: time_machine.Traveller, sealed: bool, analyst: Entitlement
) -> None:
    for name, risk, data in (("Reader", 2, ["pii"]), ("Reader", 3, ["pii", "phi"]), ("Watcher", 3, [])):
        noon.shift(timedelta(hours=1))
        catalog.change_entitlement(
            analyst, name, sentence=analyst.sentence, risk=risk, data_classes=data, policy=analyst.policy, actor=TESTING
        )
    if sealed:
        seal_pending(signer=Signer.generate("example.com/catalog"))
    known = list(EntitlementRevision.objects.order_by("number").values_list(*SAID, "correlation_id"))
    _forget()

    importlib.import_module("governance.catalog.migrations.0007_revisions_of_before").write(apps, None)

    assert list(EntitlementRevision.objects.order_by("number").values_list(*SAID, "correlation_id")) == known
    assert len(known) == 4
    assert ApplicationRevision.objects.count() == 1


def _forget() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in ("catalog_entitlementrevision", "catalog_applicationrevision"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            cursor.execute(f"DELETE FROM {table}")
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")

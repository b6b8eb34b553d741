"""django-auditlog's field history of configuration, and the entry that goes with each change."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from auditlog.registry import auditlog
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import FieldDoesNotExist
from django.core.management import call_command
from django.db import IntegrityError, models, transaction
from django.db.models import ProtectedError

from governance.core.actor import Actor, acting_as
from governance.ledger.configuration import register_configuration
from governance.ledger.configuration_history import FieldChange, changes_of
from governance.ledger.configuration_log import HIDDEN
from governance.ledger.models import ConfigurationChange, Pending
from tests.ledger.conftest import GRACE

pytestmark = pytest.mark.django_db


@pytest.fixture
def watched() -> Iterator[None]:
    """Group of django.contrib.auth plays a configuration model."""
    register_configuration(Group, related_fields=["permissions"])
    yield
    auditlog.unregister(Group)


@pytest.fixture
def hidden() -> Iterator[None]:
    register_configuration(Group, hidden_fields=["name"])
    yield
    auditlog.unregister(Group)


@pytest.fixture
def own_types() -> Iterator[None]:
    """Forget the content types that the test made and the rollback took."""
    yield
    ContentType.objects.clear_cache()


def recorded() -> list[dict[str, Any]]:
    return list(Pending.objects.order_by("id").values_list("body", flat=True))


@pytest.mark.usefixtures("watched")
def test_every_change_of_configuration_is_a_row_and_an_entry(grace: Actor) -> None:
    with acting_as(grace):
        group = Group.objects.create(name="Reviewers")
        group.name = "Certifiers"
        group.save()
        key = str(group.pk)
        group.delete()

    rows = changes_of("auth.group", [key])
    assert [(row.action, row.actor_ref, row.index) for row in rows] == [
        (action, GRACE, None) for action in ("deleted", "updated", "created")
    ]
    assert rows[1].fields == (FieldChange("name", "Reviewers", "Certifiers"),)
    created, updated, deleted = recorded()
    assert updated["event"] == "configuration.changed"
    assert updated["actor"] == {"kind": "person", "ref": GRACE, "door": "web"}
    assert updated["subjects"] == [{"kind": "group", "ref": key}]
    assert updated["data"] == {
        "model": "auth.group",
        "key": key,
        "action": "updated",
        "changes": {"name": ["Reviewers", "Certifiers"]},
    }
    assert created["data"]["changes"]["name"] == [None, "Reviewers"]
    assert deleted["data"]["action"] == "deleted"


@pytest.mark.usefixtures("watched")
def test_saving_without_a_change_records_nothing() -> None:
    group = Group.objects.create(name="Reviewers")
    group.save()

    assert len(recorded()) == 1


@pytest.mark.usefixtures("watched")
def test_a_change_that_nobody_signed_is_unattributed_and_not_lost() -> None:
    Group.objects.create(name="Reviewers")

    assert recorded()[0]["actor"]["ref"] == "unattributed"


@pytest.mark.usefixtures("watched")
def test_related_rows_are_named_by_reference() -> None:
    group = Group.objects.create(name="Reviewers")
    permission = Permission.objects.first()
    assert permission is not None

    group.permissions.set([permission])
    group.permissions.set([])

    added, removed = (body["data"]["changes"] for body in recorded()[1:])
    assert added == {"permissions.add": [None, f'["{permission.pk}"]']}
    assert removed == {"permissions.delete": [None, f'["{permission.pk}"]']}
    history = ConfigurationChange.objects.exclude(action=0).values_list("changes", flat=True)
    assert permission.name not in str(list(history))


@pytest.mark.usefixtures("hidden")
def test_a_hidden_field_is_seen_to_change_and_never_spelled() -> None:
    group = Group.objects.create(name="sk_live_5f1c2a")
    group.name = "sk_live_99a8b7"
    group.save()

    assert [body["data"]["changes"]["name"] for body in recorded()] == [[HIDDEN, HIDDEN], [HIDDEN, HIDDEN]]
    assert "sk_live" not in str(recorded())
    assert "sk_live" not in str(
        list(ConfigurationChange.objects.values_list("changes", "changes_text", "serialized_data"))
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("watched")
def test_configuration_is_not_saved_outside_of_a_transaction() -> None:
    with transaction.atomic():
        group = Group.objects.create(name="Reviewers")
    group.name = "Certifiers"

    with pytest.raises(transaction.TransactionManagementError):
        group.save()

    assert Group.objects.get().name == "Reviewers"
    assert ConfigurationChange.objects.count() == Pending.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("watched")
def test_a_change_that_fails_leaves_neither_row_nor_entry() -> None:
    with transaction.atomic():
        Group.objects.create(name="Reviewers")
        group = Group.objects.create(name="Certifiers")

    group.name = "Reviewers"
    with pytest.raises(IntegrityError), transaction.atomic():
        group.save()

    assert ConfigurationChange.objects.count() == Pending.objects.count() == 2


@pytest.mark.usefixtures("own_types")
def test_long_values_are_named_by_their_digest() -> None:
    ConfigurationProbe.log("é" * 500)
    ConfigurationProbe.log("é" * 501)

    spelled, digested = (body["data"]["changes"]["text"][1] for body in recorded())
    assert spelled == "é" * 500
    assert digested == {"sha256": hashlib.sha256(("é" * 501).encode()).hexdigest(), "characters": 501}


class ConfigurationProbe(models.Model):
    """A model without a table, with values that an entry cannot hold as they are."""

    text = models.TextField()
    weight = models.FloatField(default=0.5)
    options = models.JSONField(default=dict)

    class Meta:
        app_label = "ledger"
        managed = False

    @classmethod
    def log(cls, text: str) -> None:
        """Have auditlog log a row of this model as created."""
        probe = cls(pk=1, text=text, options={"größe": [1.5, None]})
        changes = {"text": (None, text), "weight": (None, 0.5), "options": (None, probe.options)}
        ConfigurationChange.objects.log_create(probe, action=0, changes=changes)


@pytest.mark.usefixtures("own_types")
def test_floats_and_documents_are_spelled_as_json() -> None:
    ConfigurationProbe.log("text")

    changes = recorded()[0]["data"]["changes"]
    assert changes == {"text": [None, "text"], "weight": [None, "0.5"], "options": [None, '{"größe": [1.5, null]}']}


@pytest.mark.usefixtures("watched")
def test_a_field_that_does_not_exist_cannot_be_hidden() -> None:
    with pytest.raises(FieldDoesNotExist, match="secret_typo"):
        register_configuration(Group, hidden_fields=["secret_typo"])


@pytest.mark.usefixtures("watched")
def test_the_history_cannot_be_flushed_or_lose_its_type() -> None:
    Group.objects.create(name="Reviewers")

    with pytest.raises(IntegrityError, match="insert-only"), transaction.atomic():
        call_command("auditlogflush", yes=True)
    with pytest.raises(ProtectedError):
        ContentType.objects.get_for_model(Group).delete()


def test_the_history_keeps_no_address_and_no_link_to_a_person() -> None:
    names = {field.name for field in ConfigurationChange._meta.get_fields()}

    assert not names & {"actor", "actor_email", "remote_addr", "remote_port"}

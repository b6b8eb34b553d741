"""Packages: named bundles of roles, versioned, kept by owners and security."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client

from governance.catalog.models import Application, Entitlement, PackageVersion
from governance.catalog.packages import retire_package, save_package
from governance.catalog.packages_queries import package_in_force, packages_in_force, versions_of_package
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, NotFound
from governance.identity.models import Person
from governance.ledger.models import Pending
from tests.cast import TESTING, add_application, add_role

pytestmark = pytest.mark.django_db


@pytest.fixture
def writer(snowflake: Application) -> Entitlement:
    return add_role(snowflake, "Writer")


def save(*roles: Entitlement, **known: str) -> PackageVersion:
    name = known.pop("name", "Data start")
    return save_package(name, "For the first day in Data.", list(roles), actor=TESTING, **known)


def test_a_package_says_what_it_holds_and_every_change_is_a_version(analyst: Entitlement, writer: Entitlement) -> None:
    save(analyst)
    save(analyst, writer, slug="data-start", name="Data")

    assert package_in_force("data-start").roles == (analyst, writer)
    assert [one.number for one in versions_of_package("data-start")] == [2, 1]
    changed = [one.body for one in Pending.objects.order_by("id") if one.body["event"] == "package.changed"]
    assert [one["data"] for one in changed] == [{"version": 1, "roles": 1}, {"version": 2, "roles": 2}]


def test_roles_that_are_gone_are_not_in_it_any_more(analyst: Entitlement, writer: Entitlement) -> None:
    save(analyst, writer)
    Entitlement.objects.filter(pk=writer.pk).update(retired_at=now())

    assert package_in_force("data-start").roles == (analyst,)


def test_what_is_wrong_is_named(analyst: Entitlement) -> None:
    with pytest.raises(Invalid) as refusal:
        save_package(" ", "", [], actor=TESTING)

    assert set(refusal.value.fields) == {"name", "sentence", "roles"}
    save(analyst)
    with pytest.raises(Conflict):
        save(analyst)


def test_a_retired_package_cannot_be_asked_for_or_changed(analyst: Entitlement) -> None:
    save(analyst)
    retire_package("data-start", actor=TESTING)

    assert packages_in_force() == []
    with pytest.raises(NotFound):
        package_in_force("data-start")
    for again in (lambda: save(analyst, slug="data-start"), lambda: retire_package("data-start", actor=TESTING)):
        with pytest.raises(Conflict):
            again()


@pytest.mark.parametrize("table", ["catalog_packageversion", "catalog_packageversion_entitlements"])
def test_what_a_package_held_can_never_be_changed(table: str, analyst: Entitlement) -> None:
    save(analyst)

    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table}")


def test_owners_keep_packages_of_their_own_applications_only(linus: Person, sam: Person, analyst: Entitlement) -> None:
    foreign = add_role(add_application("Payroll"), "Payer")
    client, admin = Client(), Client()
    client.force_login(linus)
    admin.force_login(sam)
    form = {"name": "Mine", "sentence": "For my team.", "roles": [analyst.pk]}

    assert client.post("/new-package/", form).url == "/packages/mine/"
    refused = client.post("/new-package/", {**form, "name": "Theirs", "roles": [analyst.pk, foreign.pk]})
    assert refused.status_code == 422
    assert "You do not own Payroll" in refused.content.decode()
    assert admin.post("/new-package/", {**form, "name": "Both", "roles": [analyst.pk, foreign.pk]}).status_code == 302
    assert client.post("/packages/both/retire/").status_code == 403
    assert "Mine" in client.get("/packages/").content.decode()
    assert client.post("/packages/mine/change/", {**form, "name": "Mine too"}).status_code == 302
    assert "Mine too" in client.get("/packages/mine/").content.decode()

"""What applications and entitlements said so far: as they are now, with the changes that the ledger holds undone."""

import json

from django.db import migrations
from django.db.models import Max

SAID = {"name", "sentence", "risk", "data_classes", "is_privileged"}


def _changes(apps):
    """Return the changes of each entitlement by key, oldest first: when, in which act, and what it said before."""
    bodies = list(
        apps.get_model("ledger", "Entry")
        .objects.filter(event="entitlement.changed")
        .order_by("index")
        .values_list("body", flat=True)
    )
    waiting = apps.get_model("ledger", "Pending").objects.filter(body__event="entitlement.changed").order_by("id")
    found = {}
    for entry in [*(json.loads(body) for body in bodies), *waiting.values_list("body", flat=True)]:
        before = {name: change["from"] for name, change in entry["data"].items() if name in SAID}
        key = next((int(one["ref"]) for one in entry["subjects"] if one["kind"] == "entitlement"), None)
        if before and key is not None:
            found.setdefault(key, []).append((entry["at"], entry["correlation"], before))
    return found


def _history(row, changes):
    """Return what an entitlement said, newest first, each with when it began to say so."""
    said = {name: getattr(row, name) for name in SAID}
    for at, correlation_id, before in reversed(changes):
        yield at, correlation_id, "changed", dict(said)
        said.update(before)
    yield row.created_at, "", "added", said


def write(apps, schema_editor):
    """Write the revisions of every row that has none."""
    application, revision = (apps.get_model("catalog", name) for name in ("Application", "ApplicationRevision"))
    revision.objects.bulk_create(
        revision(
            application_id=row.pk,
            number=1,
            effective_at=row.created_at,
            recorded_at=row.created_at,
            change="added",
            **{name: getattr(row, name) for name in SAID & {"name", "risk", "data_classes"}},
        )
        for row in application.objects.filter(revisions__isnull=True)
    )
    entitlement, revision = (apps.get_model("catalog", name) for name in ("Entitlement", "EntitlementRevision"))
    changes = _changes(apps)
    revision.objects.bulk_create(
        revision(
            entitlement_id=row.pk,
            number=number,
            effective_at=at,
            recorded_at=at,
            change=change,
            correlation_id=correlation_id,
            **said,
        )
        for row in entitlement.objects.annotate(last=Max("revisions__number")).filter(last__isnull=True)
        for number, (at, correlation_id, change, said) in enumerate(
            reversed(list(_history(row, changes.get(row.pk, [])))), 1
        )
    )


class Migration(migrations.Migration):
    dependencies = [("catalog", "0006_revisions_insert_only"), ("ledger", "0003_insert_only")]
    operations = [migrations.RunPython(write, migrations.RunPython.noop)]

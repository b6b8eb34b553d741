"""A house that has been at work for years does not tell its people everything that happened before."""

from django.db import migrations
from django.db.models import Max


def begin_at_the_end(apps, schema_editor):
    last = apps.get_model("ledger", "Entry").objects.aggregate(last=Max("index"))["last"]
    apps.get_model("notices", "Bookmark").objects.create(pk=1, next_index=0 if last is None else last + 1)
    apps.get_model("notices", "PostOffice").objects.create(pk=1)


class Migration(migrations.Migration):
    dependencies = [("notices", "0001_notices"), ("ledger", "0003_insert_only")]
    operations = [migrations.RunPython(begin_at_the_end, migrations.RunPython.noop)]

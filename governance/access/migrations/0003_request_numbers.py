"""Requests are numbered for people, from R-2001 on."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("access", "0002_insert_only")]
    operations = [
        migrations.RunSQL("CREATE SEQUENCE access_request_number START 2001;", "DROP SEQUENCE access_request_number;"),
    ]

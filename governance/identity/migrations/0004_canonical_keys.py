"""Compose the accents in what names and filters compare with, as `profiles.caseless` does (RFC 7644 §5).

Fails, and changes nothing, where two listed people or groups have names that differ in that only: rename one first.
"""

from django.db import migrations

_COMPOSE = """
UPDATE identity_person SET user_name_key = normalize(user_name_key, NFC)
 WHERE user_name_key IS NOT NFC NORMALIZED;
UPDATE identity_person SET document_key = normalize(document_key::text, NFC)::jsonb
 WHERE document_key::text IS NOT NFC NORMALIZED;
UPDATE identity_group SET display_name_key = normalize(display_name_key, NFC)
 WHERE display_name_key IS NOT NFC NORMALIZED;
UPDATE identity_group SET document_key = normalize(document_key::text, NFC)::jsonb
 WHERE document_key::text IS NOT NFC NORMALIZED;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('identity', '0003_connections'),
    ]

    operations = [
        migrations.RunSQL(_COMPOSE, migrations.RunSQL.noop),
    ]

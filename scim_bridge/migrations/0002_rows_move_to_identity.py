"""Connections live in the identity room now: their rows and those of their tokens move there, with their ids."""

from django.db import migrations

FORWARD = """
INSERT INTO identity_connection
    (id, ref, name, dialect, note, requests_per_minute, keep_exchanges_days, created_at, revoked_at)
SELECT id, gen_random_uuid(), name, dialect, '', 6000, 7, created_at, revoked_at FROM scim_bridge_connection;
INSERT INTO identity_connectiontoken (id, connection_id, token_id)
SELECT id, connection_id, token_id FROM scim_bridge_connectiontoken;
SELECT setval(pg_get_serial_sequence('identity_connection', 'id'), max(id)) FROM identity_connection HAVING count(*) > 0;
SELECT setval(pg_get_serial_sequence('identity_connectiontoken', 'id'), max(id))
FROM identity_connectiontoken HAVING count(*) > 0;
"""
BACKWARD = """
INSERT INTO scim_bridge_connection (id, name, dialect, created_at, revoked_at)
SELECT id, name, dialect, created_at, revoked_at FROM identity_connection;
INSERT INTO scim_bridge_connectiontoken (id, connection_id, token_id)
SELECT id, connection_id, token_id FROM identity_connectiontoken;
SELECT setval(pg_get_serial_sequence('scim_bridge_connection', 'id'), max(id))
FROM scim_bridge_connection HAVING count(*) > 0;
SELECT setval(pg_get_serial_sequence('scim_bridge_connectiontoken', 'id'), max(id))
FROM scim_bridge_connectiontoken HAVING count(*) > 0;
"""


class Migration(migrations.Migration):
    dependencies = [("scim_bridge", "0001_connections"), ("identity", "0003_connections")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]

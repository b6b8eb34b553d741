"""What the revisions written so far had superseded. The trigger is there already, so nothing falls between."""

from django.db import migrations

BEFORE = """
INSERT INTO access_formerbelief
    (grant_id, number, person_id, entitlement_id, starts_at, ends_at, known_from, known_until)
SELECT former.grant_id, former.number, held.person_id, held.entitlement_id, former.starts_at, former.ends_at,
    former.recorded_at, following.recorded_at
FROM access_grantrevision following
JOIN access_grantrevision former ON former.grant_id = following.grant_id AND former.number = following.number - 1
JOIN access_grant held ON held.id = following.grant_id
WHERE following.number > 1
ON CONFLICT (grant_id, number) DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [("access", "0007_keep_former_beliefs")]
    operations = [migrations.RunSQL(BEFORE, migrations.RunSQL.noop)]

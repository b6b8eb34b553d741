"""Requests that wait know who answered them before. Few: the others are closed."""

from django.db import migrations

KNOWN = """
UPDATE access_accessrequest asked SET answered_ids = given.ids
FROM (
    SELECT approval.request_id, array_agg(approval.approver_id) AS ids
    FROM access_accessrequest waiting JOIN access_approval approval ON approval.request_id = waiting.id
    WHERE waiting.state = 'pending' AND approval.approver_id IS NOT NULL
    GROUP BY approval.request_id
) given
WHERE asked.id = given.request_id
"""


class Migration(migrations.Migration):
    dependencies = [("access", "0018_answers_are_kept")]
    operations = [migrations.RunSQL(KNOWN, migrations.RunSQL.noop)]

"""The tables whose rows moved to the identity room go."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("scim_bridge", "0002_rows_move_to_identity")]
    operations = [migrations.DeleteModel("ConnectionToken"), migrations.DeleteModel("Connection")]

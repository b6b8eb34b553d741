"""The order in which the matrix shows people, so that a page of it is read and not sorted out."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('identity', '0009_planned_leaving'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='person',
            index=models.Index(models.ExpressionWrapper(models.Q(('department', '')), output_field=models.BooleanField()), models.F('department'), models.F('display_name'), models.F('id'), condition=models.Q(('status', 'active')), name='person_place_in_matrix'),
        ),
    ]

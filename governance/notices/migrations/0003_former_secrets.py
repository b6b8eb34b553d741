"""After a new secret is made, the one before signs as well for a while."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('notices', '0002_begin_at_the_end'),
    ]

    operations = [
        migrations.AddField(
            model_name='webhook',
            name='former_secret_encrypted',
            field=models.CharField(blank=True, max_length=500),
        ),
        migrations.AddField(
            model_name='webhook',
            name='former_until',
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]

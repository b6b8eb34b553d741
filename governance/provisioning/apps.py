"""Makes it true in the applications and reads back what is there.

Wanted changes arrive as operations; accounts and holdings are what was seen."""

from django.apps import AppConfig


class ProvisioningConfig(AppConfig):
    """Account, Holding, Operation, SyncRun."""

    name = "governance.provisioning"
    label = "provisioning"

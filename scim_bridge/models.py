"""Which identity providers are connected, and with which tokens. Only `scim_bridge.connections` writes them."""

from __future__ import annotations

from django.db import models

from governance.identity.models import ServiceToken


class Connection(models.Model):
    """One identity provider that pushes people and groups."""

    name = models.CharField(max_length=80, unique=True)
    #: A name of `scim_bridge.dialects.policies.DIALECTS`.
    dialect = models.CharField(max_length=20, default="strict")
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name

    @property
    def source(self) -> str:
        """Return what people and groups from this connection carry as their source."""
        return f"scim:{self.name}"


class ConnectionToken(models.Model):
    """A token opens one connection; a connection may have several, so that they can be rotated with an overlap."""

    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="links")
    token = models.OneToOneField(ServiceToken, on_delete=models.PROTECT, related_name="connection_link")

    def __str__(self) -> str:
        return f"{self.connection_id}: {self.token_id}"

"""What can be had: applications, their entitlements, and the versioned policies and rules about them.

Ships the catalogue of real applications."""

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """Application, Entitlement, AccessPolicy, BirthrightRule."""

    name = "governance.catalog"
    label = "catalog"

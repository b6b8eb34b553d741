"""What auditors ask for: reports over everything below, and bundles that verify without us."""

from django.apps import AppConfig


class EvidenceConfig(AppConfig):
    """Reports and bundles."""

    name = "governance.evidence"
    label = "evidence"

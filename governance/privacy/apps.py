"""What is kept of people, for how long, and how it goes: erasure, legal holds, retention."""

from django.apps import AppConfig


class PrivacyConfig(AppConfig):
    """Erasure and holds."""

    name = "governance.privacy"
    label = "privacy"
